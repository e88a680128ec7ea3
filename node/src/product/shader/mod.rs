//! A job of any WGSL compute shader, as its author writes it, and the work that becomes of it.
//!
//! | file | what it does |
//! |---|---|
//! | `file` | `job.toml` |
//! | `input` | files and numbers that the shader reads |
//!
//! The shader itself is looked at in a confined process only (`starling_kernels::runner`), also its author's own: this
//! process may be a peer's. Invariant: whatever is wrong with a job is said here, before anything is sent to anybody.

mod file;
mod input;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use starling_kernels::runner::RunnerCommand;
use starling_kernels::shader::bindings::Bound;
use starling_kernels::shader::program::draft;
use starling_kernels::shader::source::MAX_SOURCE_BYTES;
use starling_kernels::shader::spec::{MAX_UNITS_PER_TILE, OutputSpec, Per, Spec};
use starling_kernels::shader::survey::Survey;
use starling_kernels::shader::{Refusal, Wgsl};
use starling_kernels::{JobSpec, Kernel as _, MAX_TILE_BYTES};

use super::{ProductError, Target, Work};

pub(super) use file::is_name;
pub use input::{Numbers, Source};

/// How long a shader may take to be looked at.
pub const LOOK: Duration = Duration::from_secs(20);
/// Operations of the loops of one invocation, where their author does not say.
pub const FUEL: u32 = 1 << 16;
/// Tiles that a job is cut into, about, where its author does not say: enough for audits to draw from.
const TILES: u64 = 1024;

/// A job as its author writes it.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The shader's file.
    pub shader: PathBuf,
    /// Its text.
    pub text: String,
    /// What it is, in a line.
    pub about: String,
    /// Where inputs are looked for.
    pub folder: PathBuf,
    /// The entry point, if it is named.
    pub entry: Option<String>,
    /// Workgroups of the dispatch; else enough for the largest output.
    pub groups: Option<[u32; 3]>,
    /// Workgroups of a tile; else enough for some thousand tiles.
    pub tile: Option<[u32; 3]>,
    /// Operations of the loops of one invocation; else [`FUEL`].
    pub fuel: Option<u32>,
    /// Values of `override` declarations.
    pub overrides: Vec<(String, f64)>,
    /// What is read, by variable.
    pub inputs: Vec<(String, Source)>,
    /// What is written; the first is the result.
    pub outputs: Vec<Wanted>,
}

/// An output, as its author wants it.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The variable.
    pub name: String,
    /// Slots along x, y and z.
    pub size: [u32; 3],
    /// Who writes a slot.
    pub per: Per,
    /// Array elements of a slot.
    pub elements: u32,
    /// The file that it is written to.
    pub file: Option<PathBuf>,
}

impl Wanted {
    /// `NAME=WIDTHxHEIGHTxDEPTH`, then `*ELEMENTS` and `/group` where they are wanted.
    ///
    /// # Errors
    /// How to write it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || {
            "write NAME=WIDTHxHEIGHTxDEPTH, like squares=1024 or best=64/group or roots=100x100*2"
                .to_owned()
        };
        let (name, size) = text.split_once('=').ok_or_else(wrong)?;
        let (size, per) = match size.strip_suffix("/group") {
            Some(size) => (size, Per::Group),
            None => (size, Per::Invocation),
        };
        let (size, elements) = match size.split_once('*') {
            Some((size, elements)) => (size, elements.parse().map_err(|_| wrong())?),
            None => (size, 1),
        };
        let axes: Result<Vec<u32>, _> = size.split('x').map(str::parse).collect();
        let axes = axes.map_err(|_| wrong())?;
        if name.is_empty() || axes.is_empty() || axes.len() > 3 {
            return Err(wrong());
        }
        Ok(Self {
            name: name.to_owned(),
            size: std::array::from_fn(|i| axes.get(i).copied().unwrap_or(1)),
            per,
            elements,
            file: None,
        })
    }
}

impl Plan {
    /// A shader, and nothing said of it yet.
    ///
    /// # Errors
    /// [`ProductError::Plan`] if it cannot be read.
    pub fn of(shader: &Path) -> Result<Self, ProductError> {
        Ok(Self {
            text: read_text(shader)?,
            shader: shader.to_owned(),
            about: String::new(),
            folder: PathBuf::new(),
            entry: None,
            groups: None,
            tile: None,
            fuel: None,
            overrides: Vec::new(),
            inputs: Vec::new(),
            outputs: Vec::new(),
        })
    }

    /// A shader's file, or a job's, which ends in `.toml`.
    ///
    /// # Errors
    /// [`ProductError::Plan`].
    pub fn open(path: &Path) -> Result<Self, ProductError> {
        match path.extension() {
            Some(extension) if extension == "toml" => file::read(path, false),
            _ => Self::of(path),
        }
    }

    /// The same for somebody else's files: none is read that does not lie beside it.
    ///
    /// # Errors
    /// [`ProductError::Plan`].
    pub fn open_beside(path: &Path) -> Result<Self, ProductError> {
        match path.extension() {
            Some(extension) if extension == "toml" => file::read(path, true),
            _ => Self::of(path),
        }
    }

    /// What the shader is, by a confined process.
    ///
    /// # Errors
    /// [`ProductError::Refused`], [`ProductError::Runner`].
    pub fn survey(&self, command: &RunnerCommand) -> Result<Survey, ProductError> {
        let entry = self.entry.as_deref();
        let surveyed = command.survey(&self.text, entry, &self.overrides, LOOK)?;
        surveyed.map_err(|all| self.refused(all))
    }

    /// The work, and the files that its author named.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn work(&self, command: &RunnerCommand) -> Result<(Work, Vec<Target>), ProductError> {
        let survey = self.survey(command)?;
        let spec = self.spec(&survey)?;
        let mut inputs = vec![Arc::from(self.text.as_bytes())];
        for (_, source) in &self.inputs {
            inputs.push(source.read(&self.folder)?);
        }
        let bytes: Vec<usize> = inputs[1..].iter().map(|i| i.len()).collect();
        let admitted = command.admit(&spec, &self.text, &bytes, LOOK)?;
        let spec = admitted.map_err(|refusal| self.refused(vec![refusal]))?;
        let files = self.outputs.iter().enumerate();
        let files = files.filter_map(|(k, o)| Some(Target::of_output(k, o.file.clone()?)));
        let work = Work::new(JobSpec {
            kernel: Wgsl.id(),
            params: spec.encode(),
            inputs,
        })?;
        Ok((work, files.collect()))
    }

    fn refused(&self, all: Vec<Refusal>) -> ProductError {
        ProductError::Refused {
            file: self.shader.clone(),
            text: self.text.clone(),
            all,
        }
    }

    /// The job's parameters, but for the digest of the program.
    fn spec(&self, survey: &Survey) -> Result<Spec, ProductError> {
        let mut spec = draft(survey, [1; 3], [1; 3], self.fuel.unwrap_or(FUEL));
        spec.overrides.clone_from(&self.overrides);
        for Bound { name, .. } in survey.bindings.iter().filter(|b| !b.written) {
            if !self.inputs.iter().any(|(n, _)| n == name) {
                return Err(ProductError::Plan {
                    what: format!("`{name}` is read, but nothing is given for it"),
                    fix: format!("give it with --input {name}=FILE, or --input {name}=u32:1,2,3"),
                });
            }
        }
        for (name, _) in &self.inputs {
            let bound = known(survey, name, "input")?;
            spec.inputs.push(bound.at);
        }
        for bound in survey.bindings.iter().filter(|b| b.written) {
            if !self.outputs.iter().any(|o| o.name == bound.name) {
                let name = &bound.name;
                return Err(ProductError::Plan {
                    what: format!("the size of `{name}`, which the shader writes, is missing"),
                    fix: format!(
                        "give it with --output {name}=SIZE; what is only read is `var<storage, read>`"
                    ),
                });
            }
        }
        for wanted in &self.outputs {
            let bound = known(survey, &wanted.name, "output")?;
            if !bound.written {
                return Err(ProductError::Plan {
                    what: format!("the shader does not write `{}`", wanted.name),
                    fix: "give it as an input".into(),
                });
            }
            let from = spec.inputs.iter().position(|at| *at == bound.at);
            spec.outputs.push(OutputSpec {
                from: from.map(|input| input as u32 + 1),
                ..bound.output(wanted.per, wanted.size, wanted.elements)
            });
        }
        spec.groups = self.groups.unwrap_or_else(|| enough(&spec));
        spec.tile = self.tile.unwrap_or_else(|| cut(&spec));
        spec.check()?;
        Ok(spec)
    }
}

fn known<'a>(survey: &'a Survey, name: &str, what: &str) -> Result<&'a Bound, ProductError> {
    let found = survey.bindings.iter().find(|b| b.name == name);
    found.ok_or_else(|| {
        let all: Vec<&str> = survey.bindings.iter().map(|b| b.name.as_str()).collect();
        ProductError::Plan {
            what: format!("the {what} `{name}` is none of the shader's variables"),
            fix: format!("it binds {}", all.join(", ")),
        }
    })
}

/// Workgroups that reach every slot.
fn enough(spec: &Spec) -> [u32; 3] {
    let needs = |o: &OutputSpec, i: usize| match o.per {
        Per::Invocation => o.extent[i].div_ceil(spec.workgroup[i].max(1)),
        Per::Group => o.extent[i],
    };
    std::array::from_fn(|i| spec.outputs.iter().map(|o| needs(o, i)).max().unwrap_or(1))
}

/// Tiles of as many workgroups as leave some thousand of them, along x first.
fn cut(spec: &Spec) -> [u32; 3] {
    let mut tile = [1; 3];
    let tiles = |s: &Spec| s.grid().iter().map(|n| u64::from(*n)).product::<u64>();
    let mut next = Spec {
        tile,
        ..spec.clone()
    };
    while tiles(&next) > TILES {
        let Some(axis) = (0..3).find(|i| tile[*i] < spec.groups[*i]) else {
            break;
        };
        let mut wider = tile;
        wider[axis] = (tile[axis] * 2).min(spec.groups[axis]);
        next.tile = wider;
        let words: u64 = next.outputs.iter().map(|o| next.piece_words(o)).sum();
        let shape = next.shape();
        if words * 4 > u64::from(MAX_TILE_BYTES) || shape.units_per_tile > MAX_UNITS_PER_TILE {
            break;
        }
        tile = wider;
    }
    tile
}

/// A text file of a size that a shader may have.
fn read_text(path: &Path) -> Result<String, ProductError> {
    let wrong = |what: String, fix: &str| ProductError::Plan {
        what: format!("{}: {what}", path.display()),
        fix: fix.into(),
    };
    let size =
        std::fs::metadata(path).map_err(|e| wrong(e.to_string(), "check the file's name"))?;
    if size.len() > MAX_SOURCE_BYTES as u64 {
        return Err(wrong(
            format!("more than {MAX_SOURCE_BYTES} bytes"),
            "make it shorter",
        ));
    }
    let text = std::fs::read_to_string(path);
    text.map_err(|e| wrong(e.to_string(), "it has to be text in UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_are_written_as_name_and_size() {
        let parse = |text| {
            let w = Wanted::parse(text).unwrap();
            (w.name, w.size, w.per, w.elements)
        };
        assert_eq!(
            parse("a=1024"),
            ("a".into(), [1024, 1, 1], Per::Invocation, 1)
        );
        assert_eq!(
            parse("a=3x4x5*2"),
            ("a".into(), [3, 4, 5], Per::Invocation, 2)
        );
        assert_eq!(
            parse("best=64/group"),
            ("best".into(), [64, 1, 1], Per::Group, 1)
        );
        assert_eq!(
            parse("best=8x8*2/group"),
            ("best".into(), [8, 8, 1], Per::Group, 2)
        );
        for wrong in [
            "a",
            "=3",
            "a=",
            "a=x",
            "a=1x2x3x4",
            "a=1*",
            "a=-1",
            "a=1/invocation",
        ] {
            assert!(Wanted::parse(wrong).is_err(), "{wrong}");
        }
    }
}
