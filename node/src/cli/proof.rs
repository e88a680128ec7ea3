//! `starling proof verify`: receipts checked offline, against nothing but the file itself and the keys one knows.
//!
//! Invariant: a file's size is looked at before its bytes; one damaged file does not hide what the others say.

use std::collections::BTreeSet;
use std::io::Read;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde::Serialize;
use starling_kernels::kernels;
use starling_protocol::config::BUNDLE_MAX;
use starling_protocol::crypto::{Ed25519Signer, Ed25519Verifier, Signer as _};
use starling_protocol::receipt::{Flags, Precedence, Verified, mark_duplicates};
use starling_protocol::{Bundle, JobId, LeaseId, PeerKey, SwarmId};

use super::Context;
use super::exit::{Exit, Failure, Outcome};
use super::place::Place;
use super::text;
use crate::home::disk::DiskError;
use crate::key::Seed;

/// Longest bundle file, in bytes: its magic and its body.
const MAX_FILE: u64 = BUNDLE_MAX as u64 + 8;
/// Longest file of known keys, in bytes.
const MAX_KNOWN: u64 = 1 << 20;
/// What a receipt that holds can say without a network.
const VALID: &str = "valid; no fraud proof known here";

/// Check receipts.
#[derive(Args, Debug)]
pub struct Proof {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    Verify(Verify),
}

/// Verify receipt bundles offline.
///
/// A valid receipt proves that the worker was bound to its output before anybody knew which tiles would be recomputed,
/// and that the peers drawn for it recomputed theirs and agreed. Its strength says how many of them you know: your own
/// keys, and those in HOME/known-peers or the file that --known names (one key in hexadecimal a line). A requester
/// can fill its roster with its own peers, so a strength of 0 proves nothing to a stranger.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  starling proof verify receipts/*.popw
  starling proof verify bundle.popw --known friends.txt --json

Exits 1 if any receipt is invalid, or a file is damaged or holds none.")]
struct Verify {
    /// Bundles as `starling run --receipts DIR` writes them.
    #[arg(required = true, value_name = "BUNDLE")]
    bundles: Vec<PathBuf>,
    /// Keys that you know, one in hexadecimal a line.
    #[arg(long, value_name = "FILE")]
    known: Option<PathBuf>,
}

#[derive(Serialize)]
struct FileReport {
    file: PathBuf,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(flatten)]
    about: Option<About>,
    receipts: Vec<ReceiptReport>,
}

#[derive(Serialize)]
struct About {
    job: JobId,
    swarm: SwarmId,
    swarm_name: String,
    kernel: String,
    requester: PeerKey,
    slices: u32,
    roster: usize,
}

#[derive(Serialize)]
struct ReceiptReport {
    slice: u32,
    worker: PeerKey,
    valid: bool,
    verdict: String,
    #[serde(flatten)]
    proven: Option<Proven>,
}

#[derive(Serialize)]
struct Proven {
    id: LeaseId,
    units: u64,
    audited_units: u64,
    /// Whether those units count: the output is kept, and no other receipt that was named stands for the slice.
    credited: bool,
    /// It was named before, in another file.
    repeated: bool,
    #[serde(skip)]
    precedence: Precedence,
    flags: Flags,
    known: usize,
    committee: usize,
}

impl Proof {
    pub(super) fn run(self, context: &Context) -> Outcome {
        let Command::Verify(verify) = self.command;
        verify.run(context)
    }
}

impl Verify {
    fn run(self, context: &Context) -> Outcome {
        let known = self.known_keys(context)?;
        let reports = reports(&self.bundles, &known);
        let receipts = || reports.iter().flat_map(|r| &r.receipts);
        let valid = receipts().filter(|r| r.counts()).count();
        let invalid = receipts().filter(|r| !r.valid).count();
        let damaged = reports.iter().filter(|r| r.error.is_some()).count();
        let proven = receipts().filter_map(|r| r.proven.as_ref());
        let credited_units: u64 = proven
            .filter(|p| p.credited)
            .fold(0, |sum, p| sum.saturating_add(p.units));

        let out = context.console;
        if out.json {
            let all = serde_json::json!({
                "files": reports, "valid": valid, "invalid": invalid, "damaged_files": damaged,
                "credited_units": credited_units,
            });
            out.json(&all);
        } else {
            reports
                .iter()
                .for_each(|r| r.lines().iter().for_each(|line| out.data(line)));
            if reports.len() > 1 {
                let files = text::count(damaged, "damaged file");
                out.data(format!(
                    "{}, {invalid} invalid, {files}",
                    text::count(valid, "valid receipt")
                ));
            }
        }
        Ok(if invalid + damaged == 0 {
            Exit::Ok
        } else {
            Exit::Error
        })
    }

    /// Own keys, and those that a file lists.
    fn known_keys(&self, context: &Context) -> Result<BTreeSet<PeerKey>, Failure> {
        let mut keys = BTreeSet::new();
        if let Ok(place) = context.place() {
            keys.extend(own_keys(&place));
            let listed = place.root.join("known-peers");
            if self.known.is_none() && listed.exists() {
                keys.extend(listed_keys(&listed)?);
            }
        }
        if let Some(file) = &self.known {
            keys.extend(listed_keys(file)?);
        }
        Ok(keys)
    }
}

/// How many receipts of a folder hold.
pub(super) struct Tally {
    /// Valid ones.
    pub(super) valid: usize,
    /// Invalid ones, and files that are no bundles.
    pub(super) invalid: usize,
}

/// Verifies every bundle of a folder.
pub(super) fn verify_dir(dir: &Path) -> Result<Tally, Failure> {
    let entries =
        std::fs::read_dir(dir).map_err(|e| Failure::from(DiskError::new("read", dir, e)))?;
    let files: Vec<_> = entries
        .flatten()
        .map(|e| e.path())
        .filter(|p| p.extension().is_some_and(|e| e == "popw"))
        .collect();
    let mut tally = Tally {
        valid: 0,
        invalid: 0,
    };
    for report in reports(&files, &BTreeSet::new()) {
        tally.invalid += usize::from(report.error.is_some());
        tally.invalid += report.receipts.iter().filter(|r| !r.valid).count();
        tally.valid += report.receipts.iter().filter(|r| r.counts()).count();
    }
    Ok(tally)
}

/// Every file by itself, then each receipt counted once, and one for each slice.
fn reports(files: &[PathBuf], known: &BTreeSet<PeerKey>) -> Vec<FileReport> {
    let mut reports: Vec<_> = files.iter().map(|file| report(file, known)).collect();
    let all = reports.iter_mut().flat_map(FileReport::proven);
    mark_duplicates(all.map(|(slice, p)| (slice, p.precedence, &mut p.flags)));
    let mut seen = BTreeSet::new();
    for (_, proven) in reports.iter_mut().flat_map(FileReport::proven) {
        proven.repeated = !seen.insert(proven.id);
        proven.credited = !proven.repeated && !proven.flags.not_stored && !proven.flags.duplicate;
    }
    reports
}

pub(super) fn own_keys(place: &Place) -> impl Iterator<Item = PeerKey> {
    let files = [
        place.root.join("identity.key"),
        place.requester().join("identity.key"),
    ];
    files
        .into_iter()
        .filter_map(|f| Some(Ed25519Signer::from_seed(Seed::load(&f).ok()?.as_bytes()).key()))
}

fn listed_keys(file: &Path) -> Result<BTreeSet<PeerKey>, Failure> {
    let bytes = read(file, MAX_KNOWN)
        .map_err(|why| Failure::new(Exit::Error, why, "name a text file of keys"))?;
    let text = String::from_utf8_lossy(&bytes);
    let mut keys = BTreeSet::new();
    for (number, line) in (1..).zip(text.lines()) {
        let key = line.split('#').next().unwrap_or_default().trim();
        if !key.is_empty() {
            let key = key.parse().map_err(|e| {
                let what = format!("{}:{number}: {e}", file.display());
                Failure::new(
                    Exit::Error,
                    what,
                    "write one key a line, as `starling peers --json` shows them",
                )
            })?;
            keys.insert(key);
        }
    }
    Ok(keys)
}

/// A whole file of at most `limit` bytes; the error says what is wrong with it.
fn read(file: &Path, limit: u64) -> Result<Vec<u8>, String> {
    let on = |e| DiskError::new("read", file, e).to_string();
    let too_long = |bytes: u64| {
        format!(
            "{} has {bytes} bytes, at most {limit} are read",
            file.display()
        )
    };
    // Asked by name first: opening a pipe would wait for ever.
    let about = std::fs::metadata(file).map_err(on)?;
    if !about.is_file() {
        return Err(on(std::io::Error::other("not a regular file")));
    }
    if about.len() > limit {
        return Err(too_long(about.len()));
    }
    let mut bytes = Vec::new();
    let opened = std::fs::File::open(file).map_err(on)?;
    // It may grow after its size was read.
    opened.take(limit + 1).read_to_end(&mut bytes).map_err(on)?;
    if bytes.len() as u64 > limit {
        Err(too_long(bytes.len() as u64))
    } else {
        Ok(bytes)
    }
}

fn report(file: &Path, known: &BTreeSet<PeerKey>) -> FileReport {
    match read(file, MAX_FILE) {
        Ok(bytes) => report_of(file, &bytes, known),
        Err(error) => FileReport::failed(file, error),
    }
}

/// What the bytes of one bundle say, as JSON.
pub(super) fn verdict(bytes: &[u8], known: &BTreeSet<PeerKey>) -> serde_json::Value {
    let report = report_of(Path::new("bundle"), bytes, known);
    serde_json::json!(report)
}

fn report_of(file: &Path, bytes: &[u8], known: &BTreeSet<PeerKey>) -> FileReport {
    let failed = |error| FileReport::failed(file, error);
    let bundle = match Bundle::from_bytes(bytes) {
        Ok(bundle) => bundle,
        Err(error) => return failed(error.to_string()),
    };
    let results = match bundle.verify(&Ed25519Verifier) {
        Ok(results) => results,
        Err(error) => return failed(error.to_string()),
    };
    let swarm = bundle.genesis.swarm_id();
    let manifest = &bundle.record.manifest.body;
    let kernel = kernels()
        .iter()
        .find(|k| k.id().0 == *manifest.kernel.as_bytes());
    let about = About {
        job: bundle.record.id(&swarm),
        swarm,
        swarm_name: bundle.genesis.name.clone(),
        kernel: kernel.map_or_else(|| manifest.kernel.to_string(), |k| k.name().to_owned()),
        requester: manifest.requester,
        slices: manifest.slices(),
        roster: bundle.record.roster.peers().len(),
    };
    let receipts = bundle
        .receipts
        .iter()
        .zip(results)
        .map(|(receipt, result)| {
            let lease = &receipt.lease.body;
            let (valid, verdict, proven) = match result {
                Ok(verified) => (true, VALID.to_owned(), Some(Proven::of(&verified, known))),
                Err(error) => (false, format!("invalid: {error}"), None),
            };
            ReceiptReport {
                slice: lease.slice,
                worker: lease.worker,
                valid,
                verdict,
                proven,
            }
        });
    let receipts: Vec<_> = receipts.collect();
    let error = receipts
        .is_empty()
        .then(|| "the bundle holds no receipt, so it proves nothing".to_owned());
    FileReport {
        file: file.to_owned(),
        error,
        about: Some(about),
        receipts,
    }
}

impl Proven {
    fn of(verified: &Verified, known: &BTreeSet<PeerKey>) -> Self {
        Self {
            id: verified.lease,
            units: verified.units,
            audited_units: verified.audited_units,
            credited: verified.is_credited(),
            repeated: false,
            precedence: verified.precedence(),
            flags: verified.flags,
            known: verified.committee.intersection(known).count(),
            committee: verified.committee.len(),
        }
    }
}

impl FileReport {
    fn failed(file: &Path, error: String) -> Self {
        Self {
            file: file.to_owned(),
            error: Some(error),
            about: None,
            receipts: Vec::new(),
        }
    }

    /// The receipts that hold, with job and slice.
    fn proven(&mut self) -> impl Iterator<Item = ((JobId, u32), &mut Proven)> {
        let job = self.about.as_ref().map(|about| about.job);
        let receipts = self.receipts.iter_mut();
        receipts.filter_map(move |r| Some(((job?, r.slice), r.proven.as_mut()?)))
    }

    fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let file = self.file.display();
        if let Some(about) = &self.about {
            lines.push(format!(
                "{file}: {} job {} of {} in swarm {:?}, {} among {}",
                about.kernel,
                about.job,
                about.requester.short(),
                about.swarm_name,
                text::count(about.slices as usize, "slice"),
                text::count(about.roster, "peer"),
            ));
        }
        lines.extend(self.error.iter().map(|error| format!("{file}: {error}")));
        lines.extend(
            self.receipts
                .iter()
                .map(|receipt| format!("  {}", receipt.line())),
        );
        lines
    }
}

impl ReceiptReport {
    /// It holds, and is not one that was counted already.
    fn counts(&self) -> bool {
        self.valid && self.proven.as_ref().is_none_or(|p| !p.repeated)
    }

    fn line(&self) -> String {
        let mut line = format!("slice {}: {}", self.slice, self.verdict);
        if let Some(p) = &self.proven {
            line += &format!(
                "; worker {}, {} work units, strength {} of {}",
                self.worker.short(),
                text::si(p.units as f64),
                p.known,
                p.committee
            );
            let mut flags: Vec<_> = p.flags.names().collect();
            flags.extend(p.repeated.then_some("counted already"));
            if !flags.is_empty() {
                line += &format!("; {}", flags.join(", "));
            }
        }
        line
    }
}
