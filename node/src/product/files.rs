//! Files that somebody sends, as work: what `starling run` makes of the same files and options.
//!
//! They lie in a folder of their own, under their names. Invariant: nothing outside of that folder is read, whatever the
//! files say of each other.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use serde::{Deserialize, Serialize};
use starling_kernels::fractal;
use starling_kernels::runner::RunnerCommand;
use utoipa::ToSchema;

use super::picture::{self, ITERATIONS, SPP, SPP_MAX};
use super::shader::{Plan, is_name};
use super::{ProductError, Work};

/// Pixels of a picture.
const SIZE: (u32, u32) = (640, 360);

/// What files are meant to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A scene, with what it refers to.
    Render,
    /// A shader and its inputs, with a `job.toml` that says how they belong together.
    Wgsl,
    /// Two matrices, in the order of their names.
    Matmul,
    /// Nothing: a fractal needs no file.
    Fractal,
}

/// What can be chosen beside the files; what the kind has no use for is not looked at.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct Options {
    /// Width and height in pixels, like `640x360`.
    #[serde(default)]
    pub size: Option<String>,
    /// Samples of each pixel.
    #[serde(default)]
    pub spp: Option<u32>,
    /// Most that is paid per 10^9 work units.
    #[serde(default)]
    pub max_price: Option<u64>,
    /// Audit every slice as a newcomer's, whoever computes it.
    #[serde(default)]
    pub full_audits: bool,
}

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// What it is to be.
    pub kind: Kind,
    /// The files' names, in order.
    pub names: &'a [String],
    /// The rest.
    pub options: &'a Options,
}

/// Whether a file may have this name.
pub fn is_file_name(name: &str) -> bool {
    is_name(OsStr::new(name)) && name.len() <= 255 && !name.contains(char::is_control)
}

impl Asked<'_> {
    /// The work. Blocks for as long as large files take to load, and a shader to be looked at.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn work(&self, folder: &Path, command: &RunnerCommand) -> Result<Work, ProductError> {
        match self.kind {
            Kind::Render => {
                let (size, spp) = (self.size()?, self.options.spp.unwrap_or(SPP));
                if !(1..=SPP_MAX).contains(&spp) {
                    return Err(ProductError::Samples(spp));
                }
                picture::rendered(&folder.join(self.main()?), size, spp, None)
            }
            Kind::Fractal => {
                let (width, height) = self.size()?;
                picture::fractal(fractal::Params::mandelbrot(width, height, ITERATIONS))
            }
            Kind::Matmul => match &self.ending(&[".npy"])[..] {
                [a, b] => Work::matmul_of(&folder.join(a), &folder.join(b)),
                all => {
                    let what = format!("two matrices make a product, {} are here", all.len());
                    Err(plan(what, "give two .npy files"))
                }
            },
            Kind::Wgsl => {
                let plan = Plan::open_beside(&folder.join(self.main()?))?;
                plan.work(command).map(|(work, _)| work)
            }
        }
    }

    /// The same as a command, for a folder with these files.
    pub fn command(&self) -> String {
        let mut words: Vec<String> = vec!["starling".into(), "run".into()];
        let main = self.main().unwrap_or("");
        let (size, spp) = (self.options.size.as_deref(), self.options.spp);
        let (kind, files) = match self.kind {
            Kind::Render => ("render", vec![main]),
            Kind::Fractal => ("fractal", Vec::new()),
            Kind::Matmul => ("matmul", self.ending(&[".npy"])),
            Kind::Wgsl => ("wgsl", vec![main]),
        };
        words.push(kind.into());
        words.extend(files.into_iter().map(named));
        if matches!(self.kind, Kind::Render | Kind::Fractal) {
            let (width, height) = SIZE;
            let size = size.map_or_else(|| format!("{width}x{height}"), quoted);
            words.extend(["--size".into(), size]);
        }
        if self.kind == Kind::Render {
            words.extend(["--spp".into(), spp.unwrap_or(SPP).to_string()]);
        }
        if let Some(most) = self.options.max_price {
            words.extend(["--max-price".into(), most.to_string()]);
        }
        if self.options.full_audits {
            words.push("--full-audits".into());
        }
        let result = match self.kind {
            Kind::Render => Some("render.png"),
            Kind::Fractal => Some("fractal.png"),
            Kind::Matmul => Some("product.npy"),
            // The job's file names its results.
            Kind::Wgsl => None,
        };
        if let Some(result) = result {
            words.extend(["-o".into(), result.into()]);
        }
        words.join(" ")
    }

    fn size(&self) -> Result<(u32, u32), ProductError> {
        let Some(text) = &self.options.size else {
            return Ok(SIZE);
        };
        picture::size(text).map_err(|fix| plan(format!("{text:?} is no size"), &fix))
    }

    fn ending(&self, endings: &[&str]) -> Vec<&str> {
        let fits = |name: &&String| {
            let name = name.to_lowercase();
            endings.iter().any(|ending| name.ends_with(ending))
        };
        self.names.iter().filter(fits).map(String::as_str).collect()
    }

    /// The file that names the others, if any does.
    fn main(&self) -> Result<&str, ProductError> {
        let (found, what) = match self.kind {
            Kind::Wgsl => {
                let jobs = self.ending(&[".toml"]);
                let shaders = if jobs.is_empty() {
                    self.ending(&[".wgsl"])
                } else {
                    jobs
                };
                (shaders, "job.toml, or one shader")
            }
            _ => (self.ending(&[".gltf", ".glb", ".obj", ".toml"]), "scene"),
        };
        match found[..] {
            [only] => Ok(only),
            _ => {
                let what = format!("one {what} is needed, {} are here", found.len());
                Err(plan(what, "give the files of one job"))
            }
        }
    }
}

fn plan(what: String, fix: &str) -> ProductError {
    ProductError::Plan {
        what,
        fix: fix.to_owned(),
    }
}

/// This program with these arguments, as a shell takes it.
pub fn command_line(args: impl IntoIterator<Item = OsString>) -> String {
    let words = args.into_iter().map(|arg| quoted(&arg.to_string_lossy()));
    let all: Vec<String> = ["starling".to_owned()].into_iter().chain(words).collect();
    all.join(" ")
}

/// A file's name as an argument, which must not look like an option.
fn named(file: &str) -> String {
    if file.starts_with('-') {
        return quoted(&format!("./{file}"));
    }
    quoted(file)
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-/,:+=%@".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked<'a>(kind: Kind, names: &'a [String], options: &'a Options) -> Asked<'a> {
        Asked {
            kind,
            names,
            options,
        }
    }

    #[test]
    fn a_job_is_a_command_too() {
        let options = Options {
            size: Some("32x16".into()),
            spp: Some(2),
            max_price: Some(5),
            full_audits: true,
        };
        let scene = ["it's here.obj".to_owned(), "it's here.mtl".to_owned()];
        assert_eq!(
            asked(Kind::Render, &scene, &options).command(),
            "starling run render 'it'\\''s here.obj' --size 32x16 --spp 2 --max-price 5 --full-audits -o render.png"
        );
        let two = ["-a.npy".to_owned(), "b.npy".to_owned()];
        assert_eq!(
            asked(Kind::Matmul, &two, &Options::default()).command(),
            "starling run matmul ./-a.npy b.npy -o product.npy"
        );
    }

    #[test]
    fn a_command_can_be_pasted() {
        let args = ["run", "fractal", "-o", "my set.png", "--centre", "-0.7,0.1"];
        assert_eq!(
            command_line(args.map(OsString::from)),
            "starling run fractal -o 'my set.png' --centre -0.7,0.1"
        );
    }

    #[test]
    fn names_are_names_and_no_ways() {
        for name in ["job.toml", "a b.npy", "..a", "ä.obj"] {
            assert!(is_file_name(name), "{name}");
        }
        for name in [
            "", ".", "..", "/a", "a/b", "../a", "a\\b", "c:d", "a\nb", "a\0",
        ] {
            assert!(!is_file_name(name), "{name}");
        }
    }

    #[test]
    fn a_job_reads_nothing_outside_of_its_folder() {
        let outer = tempfile::tempdir().expect("a folder");
        let inner = outer.path().join("in");
        std::fs::create_dir(&inner).expect("a folder");
        std::fs::write(outer.path().join("secret"), "words").expect("written");
        let job = |shader: &str, input: &str| {
            let text = format!(
                "shader = {shader:?}\n[inputs]\na = {input:?}\n[outputs]\nb = {{ size = [4] }}\n"
            );
            std::fs::write(inner.join("job.toml"), text).expect("written");
            Plan::open_beside(&inner.join("job.toml"))
        };
        std::fs::write(inner.join("a.wgsl"), "").expect("written");
        std::fs::write(inner.join("a.bin"), "").expect("written");
        assert!(job("a.wgsl", "a.bin").is_ok());
        let secret = outer.path().join("secret").display().to_string();
        for away in ["../secret", &secret] {
            for (shader, input) in [(away, "a.bin"), ("a.wgsl", away)] {
                let refused = job(shader, input).expect_err("it is outside").to_string();
                assert!(refused.contains("not beside it"), "{refused}");
            }
        }
    }
}
