//! A job of a shader in a file: `job.toml`, beside the shader and its inputs.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};

use serde::Deserialize;
use starling_kernels::shader::spec::Per;

use super::{Plan, Source, Wanted};
use crate::product::ProductError;

/// The file, as people write it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct JobToml {
    /// What it is, in a line.
    #[serde(default)]
    about: String,
    shader: PathBuf,
    entry: Option<String>,
    #[serde(default)]
    dispatch: Dispatch,
    #[serde(default)]
    overrides: BTreeMap<String, f64>,
    #[serde(default)]
    inputs: BTreeMap<String, Source>,
    outputs: toml::Table,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Dispatch {
    groups: Option<Vec<u32>>,
    tile: Option<Vec<u32>>,
    fuel: Option<u32>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct OutputToml {
    size: Vec<u32>,
    #[serde(default)]
    per: Option<Per>,
    #[serde(default)]
    elements: Option<u32>,
    #[serde(default)]
    file: Option<PathBuf>,
}

/// One to three numbers, the rest ones.
fn axes(of: &str, numbers: &[u32]) -> Result<[u32; 3], ProductError> {
    if numbers.is_empty() || numbers.len() > 3 {
        return Err(ProductError::Plan {
            what: format!("{of} has {} numbers", numbers.len()),
            fix: "give one to three, along x, y and z".into(),
        });
    }
    Ok(std::array::from_fn(|i| {
        numbers.get(i).copied().unwrap_or(1)
    }))
}

/// Whether a file of this name lies in the folder that it is looked for in, whatever the system.
pub(in crate::product) fn is_name(name: &OsStr) -> bool {
    let mut parts = Path::new(name).components();
    let first = matches!(parts.next(), Some(Component::Normal(_)));
    let text = name.to_str().unwrap_or_default();
    first && parts.next().is_none() && !text.is_empty() && !text.contains(['/', '\\', ':', '\0'])
}

/// Reads a job's file and its shader; if it `stays`, none that is not beside it.
pub(super) fn read(path: &Path, stays: bool) -> Result<Plan, ProductError> {
    let folder = path.parent().unwrap_or(Path::new("")).to_owned();
    let bad = |what: String| ProductError::Plan {
        what: format!("{}: {}", path.display(), what.trim_end()),
        fix: "`starling shader new` writes one that is right".into(),
    };
    let text = super::read_text(path)?;
    let job: JobToml = toml::from_str(&text).map_err(|e| bad(e.to_string()))?;
    let files = job.inputs.values().filter_map(|source| match source {
        Source::File(file) => Some(file),
        Source::Numbers(_) => None,
    });
    let away = files
        .chain([&job.shader])
        .find(|file| !is_name(file.as_os_str()));
    if let (true, Some(file)) = (stays, away) {
        return Err(bad(format!("{file:?} is not beside it")));
    }
    let mut plan = Plan::of(&folder.join(&job.shader))?;
    plan.folder = folder;
    plan.about = job.about;
    plan.entry = job.entry;
    let of = |of: &str, numbers: Option<Vec<u32>>| {
        let given = numbers.map(|n| axes(of, &n));
        given.transpose()
    };
    plan.groups = of("groups", job.dispatch.groups)?;
    plan.tile = of("tile", job.dispatch.tile)?;
    plan.fuel = job.dispatch.fuel;
    plan.overrides = job.overrides.into_iter().collect();
    plan.inputs = job.inputs.into_iter().collect();
    // In the order of the file: the first output is the result.
    for (name, value) in job.outputs {
        let output: OutputToml = value
            .try_into()
            .map_err(|e: toml::de::Error| bad(format!("output {name}: {e}")))?;
        plan.outputs.push(Wanted {
            size: axes("size", &output.size)?,
            per: output.per.unwrap_or(Per::Invocation),
            elements: output.elements.unwrap_or(1),
            file: output.file,
            name,
        });
    }
    Ok(plan)
}
