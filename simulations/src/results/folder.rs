//! The results folder: what is run, and one file for every finished cell and seed.
//!
//! ```text
//! DIR/experiment.toml      the resolved experiment
//! DIR/run.json             where the results come from, and what the metrics mean
//! DIR/cells/NNNNN-SEED.json  one finished run each
//! ```
//!
//! Files appear whole or not at all, so whoever kills the program keeps every finished run and loses the others. The
//! tables, plots and pages that [`super::export()`] adds can be deleted and made again.

use super::row::{Finished, MetricInfo, Row, Samples};
use super::{ResultsError, atomic, lines, provenance};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

/// The only format of results folders that is written and read.
pub const FORMAT: u32 = 1;

const OTHER_FOLDER: &str = "Name another folder";

/// What is about to be run.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// The resolved experiment, as TOML.
    pub experiment: String,
    /// The command line that runs it, argument by argument, the program's name first.
    pub command: Vec<String>,
    /// What the metrics mean, in the order in which they are to be shown.
    pub metrics: Vec<MetricInfo>,
    /// The swept parameters, most important first: the first numeric one becomes the x axis of plots.
    pub swept: Vec<String>,
    /// The metrics that the stop rule looks at. None: all.
    pub stop: Vec<String>,
    /// Tables and columns of samples to be plotted as distributions.
    pub distributions: Vec<(String, String)>,
}

/// `run.json`: where results come from, and what they mean.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// [`FORMAT`].
    pub format: u32,
    /// This program's version.
    pub version: String,
    /// The source's commit, `-dirty` when changed, `unknown` when not to be found.
    pub commit: String,
    /// BLAKE3 of the lockfile that the program was built with, in hex.
    pub lockfile_blake3: String,
    /// BLAKE3 of `experiment.toml`, in hex.
    pub experiment_blake3: String,
    /// As in [`Plan::command`].
    pub command: Vec<String>,
    /// As in [`Plan::metrics`].
    pub metrics: Vec<MetricInfo>,
    /// As in [`Plan::swept`].
    pub swept: Vec<String>,
    /// As in [`Plan::stop`].
    pub stop: Vec<String>,
    /// As in [`Plan::distributions`].
    pub distributions: Vec<(String, String)>,
}

impl About {
    fn new(plan: &Plan) -> Self {
        Self {
            format: FORMAT,
            version: env!("CARGO_PKG_VERSION").into(),
            commit: provenance::commit(),
            lockfile_blake3: provenance::lockfile(),
            experiment_blake3: blake3::hash(plan.experiment.as_bytes())
                .to_hex()
                .to_string(),
            command: plan.command.clone(),
            metrics: plan.metrics.clone(),
            swept: plan.swept.clone(),
            stop: plan.stop.clone(),
            distributions: plan.distributions.clone(),
        }
    }

    /// The command as it is typed into a shell.
    #[must_use]
    pub fn command_line(&self) -> String {
        provenance::typed(&self.command)
    }
}

/// A results folder.
#[derive(Debug)]
pub struct Folder {
    dir: PathBuf,
    about: About,
    /// Held by whoever writes cells; the system lets go of it when the program ends, however it ends.
    _lock: Option<File>,
}

impl Folder {
    /// For running: makes the folder, or goes on with the one that is there. `replace` deletes the finished cells of
    /// another experiment instead of refusing; it never touches a folder that holds no results.
    ///
    /// # Errors
    /// When the folder is somebody else's, of another format or experiment, in use, or cannot be written.
    pub fn open_or_create(dir: &Path, plan: &Plan, replace: bool) -> Result<Self, ResultsError> {
        let about = About::new(plan);
        let cells = dir.join("cells");
        // Judged twice: before anything is touched, and again once nobody else can change it.
        is_fresh(dir, plan, &about, replace)?;
        fs::create_dir_all(&cells).map_err(|e| ResultsError::io("create", &cells, e))?;
        let lock = lock(dir)?;
        if is_fresh(dir, plan, &about, replace)? {
            // Without run.json the cells belong to nobody, so nobody can mistake them for the new experiment's.
            remove(&dir.join("run.json"))?;
            for path in entries(&cells)? {
                remove(&path)?;
            }
        }
        atomic::write(&dir.join("experiment.toml"), plan.experiment.as_bytes())?;
        write_json(&dir.join("run.json"), &about)?;
        Ok(Self {
            dir: dir.into(),
            about,
            _lock: Some(lock),
        })
    }

    /// For reading alone.
    ///
    /// # Errors
    /// When it is no results folder, of another format, or cannot be read.
    pub fn open(dir: &Path) -> Result<Self, ResultsError> {
        let text = read_if_there(&dir.join("run.json"))?
            .ok_or_else(|| ResultsError::NoResults { dir: dir.into() })?;
        let about = parse_about(dir, &text, false)?.ok_or_else(|| ResultsError::Damaged {
            path: dir.join("run.json"),
            reason: "it has no format".into(),
            fix: OTHER_FOLDER,
        })?;
        Ok(Self {
            dir: dir.into(),
            about,
            _lock: None,
        })
    }

    /// Where it is.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Its `run.json`.
    #[must_use]
    pub fn about(&self) -> &About {
        &self.about
    }

    /// Its `experiment.toml`.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn experiment(&self) -> Result<String, ResultsError> {
        read(&self.dir.join("experiment.toml"))
    }

    /// The finished cells with their seeds.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn finished(&self) -> Result<BTreeSet<(u32, u64)>, ResultsError> {
        let files = entries(&self.dir.join("cells"))?;
        let names = files.iter().filter_map(|path| path.file_name()?.to_str());
        Ok(names.filter_map(parse_name).collect())
    }

    /// Keeps a finished run. Several threads may do so, for different cells or seeds.
    ///
    /// # Errors
    /// [`ResultsError::DiskFull`], or another refusal of the file system, or [`ResultsError::BadRow`].
    pub fn put(&self, row: &Row, samples: &[Samples]) -> Result<(), ResultsError> {
        let finished = Finished {
            commit: self.about.commit.clone(),
            row: row.clone(),
            samples: samples.to_vec(),
        };
        finished.check()?;
        let path = self.path(row.cell, row.seed);
        // Without line breaks: samples can be many.
        let text = serde_json::to_string(&finished).map_err(|e| encode(&path, e))?;
        atomic::write(&path, format!("{text}\n").as_bytes())
    }

    /// A finished run.
    ///
    /// # Errors
    /// When it cannot be read or is damaged.
    pub fn get(&self, cell: u32, seed: u64) -> Result<Finished, ResultsError> {
        let path = self.path(cell, seed);
        let damaged = |reason: String| ResultsError::Damaged {
            path: path.clone(),
            reason,
            fix: "Delete it and run the same command again: only this run is repeated",
        };
        let finished: Finished =
            serde_json::from_str(&read(&path)?).map_err(|e| damaged(e.to_string()))?;
        if (finished.row.cell, finished.row.seed) != (cell, seed) {
            let Row { cell, seed, .. } = finished.row;
            return Err(damaged(format!("it holds cell {cell}, seed {seed}")));
        }
        finished.check().map_err(|e| damaged(e.to_string()))?;
        Ok(finished)
    }

    /// All rows by cell, then seed.
    ///
    /// # Errors
    /// When one cannot be read or is damaged.
    pub fn rows(&self) -> Result<Vec<Row>, ResultsError> {
        let all = self.finished()?.into_iter();
        all.map(|(cell, seed)| Ok(self.get(cell, seed)?.row))
            .collect()
    }

    fn path(&self, cell: u32, seed: u64) -> PathBuf {
        self.dir.join("cells").join(name(cell, seed))
    }
}

fn name(cell: u32, seed: u64) -> String {
    format!("{cell:05}-{seed}.json")
}

/// Only exactly what [`name`] makes: temporary files and strangers are none.
fn parse_name(text: &str) -> Option<(u32, u64)> {
    let (cell, seed) = text.strip_suffix(".json")?.split_once('-')?;
    let both = (cell.parse().ok()?, seed.parse().ok()?);
    (name(both.0, both.1) == text).then_some(both)
}

/// Whether the folder has to begin anew, because it is empty or to be replaced.
fn is_fresh(dir: &Path, plan: &Plan, about: &About, replace: bool) -> Result<bool, ResultsError> {
    let Some(text) = read_if_there(&dir.join("run.json"))? else {
        // Killed before its first cell it may lack run.json, and then there is nothing to lose.
        let ours = ["experiment.toml", ".lock", "cells"].map(|name| dir.join(name));
        let stranger = |path: &PathBuf| !ours.contains(path) && !is_temporary(path);
        let cells = entries(&dir.join("cells"))?;
        return match entries(dir)?.iter().any(stranger) || !cells.is_empty() && !replace {
            true => Err(ResultsError::NotResults { dir: dir.into() }),
            false => Ok(true),
        };
    };
    let before = parse_about(dir, &text, replace)?;
    let other = before.is_none_or(|b| b.experiment_blake3 != about.experiment_blake3);
    if other && !replace {
        let theirs = read(&dir.join("experiment.toml"))?;
        return Err(ResultsError::OtherExperiment {
            dir: dir.into(),
            differences: lines::differing(&theirs, &plan.experiment),
        });
    }
    Ok(other)
}

/// None when `lenient` and it is not of this format.
fn parse_about(dir: &Path, text: &str, lenient: bool) -> Result<Option<About>, ResultsError> {
    #[derive(Deserialize)]
    struct OfAnyFormat {
        format: u64,
    }
    let damaged = |e: serde_json::Error| ResultsError::Damaged {
        path: dir.join("run.json"),
        reason: e.to_string(),
        fix: OTHER_FOLDER,
    };
    let found = serde_json::from_str::<OfAnyFormat>(text)
        .map_err(damaged)?
        .format;
    match found == u64::from(FORMAT) {
        true => serde_json::from_str(text).map(Some).map_err(damaged),
        false if lenient => Ok(None),
        false => Err(ResultsError::OtherFormat {
            dir: dir.into(),
            found,
            ours: FORMAT,
        }),
    }
}

fn lock(dir: &Path) -> Result<File, ResultsError> {
    let path = dir.join(".lock");
    let file = File::create(&path).map_err(|e| ResultsError::io("create", &path, e))?;
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => Err(ResultsError::InUse { dir: dir.into() }),
        // Some network file systems have no locks: better to run there than not.
        Ok(()) | Err(TryLockError::Error(_)) => Ok(file),
    }
}

/// Files and folders in `dir`, in order; none where there is no such folder.
pub(super) fn entries(dir: &Path) -> Result<Vec<PathBuf>, ResultsError> {
    let failed = |e| ResultsError::io("read", dir, e);
    let list = match fs::read_dir(dir) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(failed)?,
    };
    let paths: Result<Vec<_>, _> = list.map(|entry| entry.map(|e| e.path())).collect();
    let mut paths = paths.map_err(failed)?;
    paths.sort();
    Ok(paths)
}

fn is_temporary(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.starts_with('.') && name.ends_with(".tmp")
}

fn read(path: &Path) -> Result<String, ResultsError> {
    fs::read_to_string(path).map_err(|e| ResultsError::io("read", path, e))
}

fn read_if_there(path: &Path) -> Result<Option<String>, ResultsError> {
    match fs::read_to_string(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        other => other
            .map(Some)
            .map_err(|e| ResultsError::io("read", path, e)),
    }
}

pub(super) fn remove(path: &Path) -> Result<(), ResultsError> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            Err(ResultsError::io("delete", path, e))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Of a library that could not encode `path`.
pub(super) fn encode(path: &Path, reason: impl ToString) -> ResultsError {
    ResultsError::Encode {
        path: path.into(),
        reason: reason.to_string(),
    }
}

/// Puts `what` at `path` as JSON for people and programs, with a line end.
pub(super) fn write_json(path: &Path, what: &impl Serialize) -> Result<(), ResultsError> {
    let text = serde_json::to_string_pretty(what).map_err(|e| encode(path, e))?;
    atomic::write(path, format!("{text}\n").as_bytes())
}
