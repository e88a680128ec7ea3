//! Compute shaders of other projects, fetched by `scripts/foreign`: each runs, or is refused for a reason that is true.

use std::fs;
use std::path::Path;

use serde::Deserialize;

use crate::support::{Place, read};

#[derive(Deserialize)]
struct List {
    shader: Vec<Foreign>,
}

#[derive(Deserialize)]
struct Foreign {
    #[serde(rename = "crate")]
    package: String,
    version: String,
    path: String,
    /// BLAKE3 of the file.
    blake3: String,
    entry: String,
    about: String,
    /// A tier, or the code of the refusal.
    outcome: String,
    #[serde(default)]
    outputs: std::collections::BTreeMap<String, Output>,
    #[serde(default)]
    inputs: std::collections::BTreeMap<String, usize>,
    groups: Option<[u32; 3]>,
    fuel: Option<u32>,
}

#[derive(Deserialize)]
struct Output {
    size: Vec<u32>,
    elements: u32,
}

/// Words that mean something as integers and as floats between 1 and 2, the same every time.
fn words(bytes: usize) -> Vec<u8> {
    let word = |i: usize| {
        let noise = (i as u32).wrapping_mul(2_654_435_761) >> 9;
        if i.is_multiple_of(3) {
            noise % 100
        } else {
            0x3f80_0000 | noise & 0x3f_ffff
        }
    };
    (0..bytes / 4).flat_map(|i| word(i).to_le_bytes()).collect()
}

impl Foreign {
    /// What admission says: a tier, or the code of the first refusal.
    fn admitted(&self, place: &Place, file: &str) -> String {
        let args = ["shader", "check", file, "--entry", &self.entry, "--json"];
        let ended = place.run("h", &args);
        let told = ended.json();
        if told["runs"] == true {
            return told["survey"]["tier"].as_str().unwrap().to_owned();
        }
        let refusal = &told["refusals"][0];
        assert!(
            refusal["reason"].as_str().is_some_and(|r| !r.is_empty()),
            "{told}"
        );
        refusal["code"].as_str().unwrap().to_owned()
    }

    fn run(&self, place: &Place, file: &str, device: &str) -> Vec<u8> {
        let mut args: Vec<String> = [
            "run",
            "wgsl",
            file,
            "--entry",
            &self.entry,
            "--local",
            "-o",
            "out.bin",
            "--device",
            device,
        ]
        .map(String::from)
        .into();
        for (name, bytes) in &self.inputs {
            fs::write(place.path(name), words(*bytes)).unwrap();
            args.extend(["--input".into(), format!("{name}={name}")]);
        }
        for (name, output) in &self.outputs {
            let size: Vec<String> = output.size.iter().map(u32::to_string).collect();
            args.extend([
                "--output".into(),
                format!("{name}={}*{}", size.join("x"), output.elements),
            ]);
        }
        if let Some([x, y, z]) = self.groups {
            args.extend(["--dispatch".into(), format!("{x},{y},{z}")]);
        }
        if let Some(fuel) = self.fuel {
            args.extend(["--fuel".into(), fuel.to_string()]);
        }
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        place.run("h", &args).expect(0);
        read(&place.path("out.bin"))
    }
}

#[test]
fn shaders_of_other_projects_run_or_are_refused_for_a_reason_that_is_true() {
    let list = Path::new(env!("CARGO_MANIFEST_DIR")).join("../compute-kernels/tests/foreign.toml");
    let list: List = toml::from_str(&fs::read_to_string(list).unwrap()).unwrap();
    assert!(list.shader.len() >= 15);
    let Some(packages) = std::env::var_os("STARLING_FOREIGN") else {
        eprintln!("not fetched: scripts/foreign does");
        return;
    };
    let place = Place::new();
    for shader in &list.shader {
        let Foreign {
            package,
            version,
            path,
            ..
        } = shader;
        let file = Path::new(&packages)
            .join(format!("{package}-{version}"))
            .join(path);
        let digest = blake3::hash(&read(&file)).to_hex();
        assert_eq!(digest.as_str(), shader.blake3, "{package} {path}");
        let file = file.to_str().unwrap();
        let outcome = shader.admitted(&place, file);
        assert_eq!(outcome, shader.outcome, "{package} {path}");
        let mut ran = "";
        let runs = ["exact", "canonical"].contains(&outcome.as_str());
        if runs && !shader.outputs.is_empty() {
            let (cpu, gpu) = (
                shader.run(&place, file, "cpu"),
                shader.run(&place, file, "software"),
            );
            assert!(cpu == gpu, "{package} {path}");
            ran = "; ran, equal";
        }
        println!(
            "| {package} {version} | `{path}` | {} | {outcome}{ran} |",
            shader.about
        );
    }
}
