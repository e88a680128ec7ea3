//! Example jobs of shaders: what `starling shader new` starts from. Each is a folder of `compute-kernels/gallery`.

/// An example.
#[derive(Clone, Copy, Debug)]
pub struct Example {
    /// Its folder, and its shader's name.
    pub name: &'static str,
    /// Its files.
    pub files: &'static [(&'static str, &'static [u8])],
}

macro_rules! example {
    ($name:literal, $($file:literal),+) => {
        Example {
            name: $name,
            files: &[$(($file, include_bytes!(concat!("../../gallery/", $name, "/", $file)))),+],
        }
    };
}

/// All of them, the one to begin with first.
pub const ALL: &[Example] = &[
    example!("hello", "hello.wgsl", "job.toml", "README.md"),
    example!(
        "blur",
        "blur.wgsl",
        "job.toml",
        "README.md",
        "murmuration.png"
    ),
    example!("life", "life.wgsl", "job.toml", "README.md", "board.png"),
    example!("queens", "queens.wgsl", "job.toml", "README.md"),
    example!("hash", "hash.wgsl", "job.toml", "README.md", "message.txt"),
    example!("montecarlo", "montecarlo.wgsl", "job.toml", "README.md"),
    example!("heat", "heat.wgsl", "job.toml", "README.md", "plate.npy"),
    example!("collatz", "collatz.wgsl", "job.toml", "README.md"),
];

/// The example of this name.
pub fn named(name: &str) -> Option<&'static Example> {
    ALL.iter().find(|e| e.name == name)
}

impl Example {
    /// One of its files, as text.
    pub fn text(&self, file: &str) -> &'static str {
        let found = self.files.iter().find(|(name, _)| *name == file);
        let text = found.and_then(|(_, bytes)| std::str::from_utf8(bytes).ok());
        text.unwrap_or_default()
    }

    /// What it is, in a line: the `about` of its job.
    pub fn about(&self) -> &'static str {
        let lines = self.text("job.toml").lines();
        let mut about = lines.filter_map(|l| l.strip_prefix("about = \"")?.strip_suffix('"'));
        about.next().unwrap_or_default()
    }
}
