//! `starling doctor`: what keeps this machine from working well in a swarm, and how to fix each thing.
//!
//! Without `--fix` it changes nothing, and it needs no running peer. A missing GPU or a first start is no fault; a
//! finding is something that would fail or mislead. Devices are opened in a child process: broken drivers crash.

mod bundle;
mod fix;
mod left;
mod private;
mod redact;

use std::net::{TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use clap::Args;
use serde_json::json;
use starling_kernels::canary::canary;
use starling_kernels::runner::{
    AdapterChoice, CpuRunner, DeviceInfo, GpuProcess, Runner, RunnerCommand, sandbox,
};
use starling_protocol::Scope;

use super::Context;
use super::checks::{Check, Checks};
use super::exit::{Exit, Failure, Outcome};
use super::place::{Place, listen};
use super::text;
use crate::compute::{confinement, device_process};
use crate::genesis::{self, GenesisFileError};
use crate::home::Config;
use crate::key::{KeyError, Seed};
use crate::log::{Log, scan};
use crate::net::{Multiaddr, socket};

/// Opening a device, its shader compiler's first run included.
const DEVICE_WAIT: Duration = Duration::from_secs(60);
/// No clock that is right shows a time before this: 1 January 2026.
const NOT_BEFORE_S: u64 = 1_767_225_600;
/// Files from a future farther away than this tell of a clock that went back.
const SKEW: Duration = Duration::from_secs(starling_protocol::config::CLOCK_SKEW_S);
/// Less free space than this stops jobs soon.
const LOW_DISK: u64 = 1 << 30;

/// Find what is wrong with this machine's peer, and how to fix it.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  starling doctor
  starling doctor --fix
  starling doctor --bundle for-a-friend.tar.gz
  starling doctor --json

Exits 8 if there are findings.")]
pub struct Doctor {
    /// Put right first what can be without a question: permissions, what dead peers left, an index that does not open,
    /// missing settings. Keys, log and results stay as they are.
    #[arg(long)]
    fix: bool,
    /// Write what helps somebody else to help into a new .tar.gz file, without secrets and addresses.
    #[arg(long, value_name = "FILE", conflicts_with = "fix")]
    bundle: Option<PathBuf>,
}

impl Doctor {
    pub(super) fn run(self, context: &Context) -> Outcome {
        let place = context.place()?;
        if let Some(file) = self.bundle {
            return bundle::write(context, &place, &file);
        }
        let fixes = self.fix.then(|| fix::repair(&place));
        if !context.console.json {
            for deed in fixes.iter().flatten() {
                context.console.data(deed.line());
            }
        }
        let mut checks = Checks::new(context.console);
        examine(&place, |check| checks.tell(check));
        Ok(checks.end(fixes.map(|fixes| ("fixes", json!(fixes)))))
    }
}

/// Makes all checks, each told as it is made.
pub(super) fn examine(place: &Place, mut tell: impl FnMut(Check)) {
    tell(home(place));
    tell(running(place));
    left::stale(place).into_iter().for_each(&mut tell);
    tell(key(place));
    private::exposed(place).into_iter().for_each(&mut tell);
    let (genesis_check, scope) = genesis_of(place);
    tell(genesis_check);
    private::member(place).into_iter().for_each(&mut tell);
    logs(place).into_iter().for_each(&mut tell);
    left::index(place).into_iter().for_each(&mut tell);
    let (config_check, config) = config_of(place);
    tell(config_check);
    tell(clock(place));
    tell(disk_space(place, &config));
    ports(place, &config, scope).into_iter().for_each(&mut tell);
    tell(processor());
    adapters().into_iter().for_each(&mut tell);
    tell(confined());
}

fn home(place: &Place) -> Check {
    let shown = place.root.display();
    let Ok(about) = std::fs::metadata(&place.root) else {
        return Check::note(
            "home",
            format!("{shown} does not exist yet"),
            "nothing to do: `starling up` makes it",
        );
    };
    if !about.is_dir() {
        let what = format!("{shown} is not a folder");
        return Check::finding(
            "home",
            Failure::new(Exit::Error, what, "choose another with --home DIR"),
        );
    }
    #[cfg(unix)]
    {
        let mode = std::os::unix::fs::PermissionsExt::mode(&about.permissions()) & 0o777;
        if mode & 0o022 != 0 {
            let what = format!("others on this machine can write to {shown} (mode {mode:03o})");
            return Check::finding(
                "home",
                Failure::new(Exit::Auth, what, format!("run: chmod 700 {shown}")),
            );
        }
    }
    // A file that is gone again at once: permissions alone do not tell of read-only disks.
    match tempfile::tempfile_in(&place.root) {
        Ok(_) => Check::ok("home", shown.to_string()),
        Err(e) => {
            let what = format!("cannot write to {shown}: {e}");
            Check::finding(
                "home",
                Failure::new(
                    Exit::Error,
                    what,
                    "make it writable, or choose another with --home DIR",
                ),
            )
        }
    }
}

fn running(place: &Place) -> Check {
    let path = place.root.join("lock");
    let Ok(file) = std::fs::File::open(&path) else {
        return Check::ok("lock", "no peer has run in this home yet");
    };
    match file.try_lock_shared() {
        Ok(()) => Check::ok("lock", "no peer runs in this home"),
        Err(std::fs::TryLockError::WouldBlock) => {
            let who = std::fs::read_to_string(&path).unwrap_or_default();
            let answers = if place.running().is_some() {
                ""
            } else {
                ", and is starting or does not say where it listens"
            };
            Check::ok(
                "lock",
                format!("a peer runs in this home (process {}{answers})", who.trim()),
            )
        }
        Err(std::fs::TryLockError::Error(e)) => {
            let what = format!("cannot lock {}: {e}", path.display());
            let fix = "choose a folder on a local disk with --home DIR";
            Check::finding("lock", Failure::new(Exit::Error, what, fix))
        }
    }
}

fn key(place: &Place) -> Check {
    let path = place.root.join("identity.key");
    match Seed::load(&path) {
        Ok(_) => Check::ok("key", path.display().to_string()),
        Err(KeyError::Missing { .. }) => Check::note(
            "key",
            "this home has no identity yet",
            "nothing to do: `starling up` makes it",
        ),
        Err(error) => Check::finding("key", error.into()),
    }
}

fn genesis_of(place: &Place) -> (Check, Scope) {
    match genesis::load(&place.genesis_file()) {
        Ok(genesis) => {
            let what = format!(
                "{:?}, {:?}, {}",
                genesis.name,
                genesis.scope,
                genesis.swarm_id()
            );
            (Check::ok("genesis", what), genesis.scope)
        }
        Err(GenesisFileError::Missing(_)) => {
            let fix = "nothing to do: `starling up` makes a private one, `starling swarm join FILE` takes another";
            (
                Check::note("genesis", "this home belongs to no swarm yet", fix),
                Scope::Local,
            )
        }
        Err(error) => (Check::finding("genesis", error.into()), Scope::Local),
    }
}

/// Whether this program can read what the home's two peers have signed.
fn logs(place: &Place) -> Vec<Check> {
    let Ok(genesis) = genesis::load(&place.genesis_file()) else {
        return Vec::new();
    };
    let swarm = genesis.swarm_id();
    let homes = [place.root.clone(), place.requester()];
    let mut checks: Vec<Check> = homes
        .iter()
        .filter_map(|home| Log::check(&home.join("log"), swarm.as_bytes()).err())
        .map(|error| Check::finding("log", error.into()))
        .collect();
    if checks.is_empty() {
        let what = format!("of version {}, as this program writes it", scan::VERSION);
        checks.push(Check::ok("log", what));
    }
    checks
}

fn config_of(place: &Place) -> (Check, Config) {
    let path = place.config_file();
    if !path.exists() {
        let note = Check::note(
            "config",
            "the settings are the default ones",
            "nothing to do: `starling up` writes them down",
        );
        return (note, Config::default());
    }
    match place.settings() {
        Ok(settings) => (
            Check::ok("config", path.display().to_string()),
            settings.config,
        ),
        Err(failure) => (Check::finding("config", failure), Config::default()),
    }
}

fn clock(place: &Place) -> Check {
    let fix = "set the clock, for instance with: timedatectl set-ntp true";
    let now = SystemTime::now();
    let unix_s = now.duration_since(UNIX_EPOCH).map_or(0, |t| t.as_secs());
    if unix_s < NOT_BEFORE_S {
        return Check::finding(
            "clock",
            Failure::new(Exit::Error, "the clock shows a time before 2026", fix),
        );
    }
    let written = |name: &str| {
        std::fs::metadata(place.root.join(name))
            .and_then(|a| a.modified())
            .ok()
    };
    let newest = ["lock", "identity.key", "genesis.toml", "log"]
        .iter()
        .filter_map(|n| written(n))
        .max();
    match newest
        .and_then(|newest| newest.duration_since(now).ok())
        .filter(|ahead| *ahead > SKEW)
    {
        Some(ahead) => {
            let what = format!(
                "the clock went back: this home was used {} in the future",
                text::duration(ahead)
            );
            Check::finding("clock", Failure::new(Exit::Error, what, fix))
        }
        None => Check::ok(
            "clock",
            format!(
                "{unix_s} s, plausible; peers must agree within {} s",
                SKEW.as_secs()
            ),
        ),
    }
}

#[cfg(unix)]
fn disk_space(place: &Place, config: &Config) -> Check {
    // The folder itself, or what is to hold it.
    let there = place
        .root
        .ancestors()
        .find(|p| p.exists() && !p.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let wanted = u64::from(config.limits.blobs_gib) << 30;
    let gib = |bytes: u64| format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30));
    match rustix::fs::statvfs(there) {
        Err(e) => Check::note(
            "disk",
            format!("free space is unknown: {e}"),
            "look with: df -h",
        ),
        Ok(fs) => {
            let free = fs.f_bavail.saturating_mul(fs.f_frsize);
            if free < LOW_DISK {
                let what = format!("{} free at {}", gib(free), there.display());
                Check::finding(
                    "disk",
                    Failure::new(
                        Exit::Error,
                        what,
                        "free some space, or move the home with --home DIR",
                    ),
                )
            } else if free < wanted {
                let what = format!(
                    "{} free, less than the {} that the settings lend",
                    gib(free),
                    gib(wanted)
                );
                Check::note("disk", what, "lower limits.blobs_gib in config.toml")
            } else {
                Check::ok("disk", format!("{} free", gib(free)))
            }
        }
    }
}

#[cfg(not(unix))]
fn disk_space(_place: &Place, _config: &Config) -> Check {
    Check::note(
        "disk",
        "free space is not looked at on this system",
        "keep some GiB free",
    )
}

/// Whether the configured addresses can be listened on.
fn ports(place: &Place, config: &Config, scope: Scope) -> Vec<Check> {
    let busy_by_us = place.running().is_some();
    let one = |address: Multiaddr| {
        let fix = "stop the program that uses it, or choose another port in config.toml";
        let result = match socket(&address) {
            Some((at, false)) => TcpListener::bind(at).map(drop),
            Some((at, true)) => UdpSocket::bind(at).map(drop),
            None => {
                let what = format!("{address} is no address to listen on");
                return Check::finding(
                    "port",
                    Failure::new(
                        Exit::Error,
                        what,
                        "write /ip4/0.0.0.0/udp/4001/quic-v1 or /ip4/0.0.0.0/tcp/4001",
                    ),
                );
            }
        };
        match result {
            Ok(()) => Check::ok("port", format!("{address} is free")),
            Err(e) if busy_by_us && e.kind() == std::io::ErrorKind::AddrInUse => Check::ok(
                "port",
                format!("{address} is in use, presumably by the peer of this home"),
            ),
            Err(e) => Check::finding(
                "port",
                Failure::new(Exit::Error, format!("cannot listen on {address}: {e}"), fix),
            ),
        }
    };
    listen(&[], config, scope).into_iter().map(one).collect()
}

fn processor() -> Check {
    let mut runner = Runner::Cpu(CpuRunner::new());
    let name = runner.describe().name.clone();
    let start = Instant::now();
    match canary(&mut runner) {
        Ok(()) => Check::ok(
            "cpu",
            format!("{name}, canary in {}", text::duration(start.elapsed())),
        ),
        Err(error) => Check::finding(
            "cpu",
            Failure::of(error).or_fix("the processor or its memory is faulty: test the memory"),
        ),
    }
}

/// Whether shaders that others bring can be kept from doing harm.
fn confined() -> Check {
    let enters = device_process()
        .map_err(|e| e.to_string())
        .and_then(|command| confinement(&command).map_err(|e| e.to_string()));
    match enters {
        Ok(()) if sandbox::KNOWN => Check::ok(
            "sandbox",
            "shaders that others bring run confined (Landlock, seccomp)",
        ),
        Ok(()) => Check::note(
            "sandbox",
            "shaders that others bring run in processes of their own, but this system has no sandbox for them",
            "lend on Linux to have them confined, or trust the swarm",
        ),
        Err(why) => Check::note(
            "sandbox",
            format!("shaders that others bring are not run here: {why}"),
            "a kernel with Landlock (5.13 and newer, switched on) and seccomp confines them",
        ),
    }
}

fn adapters() -> Vec<Check> {
    let broken = |what: String| {
        let fix = "install the graphics driver again; until then choose --device cpu";
        vec![Check::finding("gpu", Failure::new(Exit::Error, what, fix))]
    };
    let command = match device_process() {
        Ok(command) => command,
        Err(e) => return broken(format!("cannot tell where this program lies: {e}")),
    };
    match command.adapters(DEVICE_WAIT) {
        Err(error) => broken(format!("the list of adapters: {error}")),
        Ok(found) if found.is_empty() => {
            let fix = "nothing to do without a GPU; with one, install its Vulkan driver (Debian: mesa-vulkan-drivers, or the vendor's)";
            vec![Check::note(
                "gpu",
                "no adapter found: the CPU computes",
                fix,
            )]
        }
        Ok(found) => found.iter().map(|info| adapter(&command, info)).collect(),
    }
}

fn adapter(command: &RunnerCommand, info: &DeviceInfo) -> Check {
    let name = format!("{} ({}, {:?})", info.name, info.backend, info.kind);
    let start = Instant::now();
    let opened = GpuProcess::spawn(command.clone(), AdapterChoice::Nth(info.index), DEVICE_WAIT);
    let passed = opened
        .map_err(Failure::of)
        .and_then(|gpu| canary(&mut Runner::Gpu(Box::new(gpu))).map_err(Failure::of));
    match passed {
        Ok(()) => Check::ok(
            "gpu",
            format!("{name}, canary in {}", text::duration(start.elapsed())),
        ),
        Err(mut failure) => {
            failure.what = format!("{name}: {}", failure.what);
            Check::finding(
                "gpu",
                failure.or_fix("update the graphics driver; until then choose --device cpu"),
            )
        }
    }
}
