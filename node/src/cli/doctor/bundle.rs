//! `starling doctor --bundle`: what somebody else needs in order to help, in one file that its owner looks at and sends.
//!
//! Nothing is sent from here. Invariant: no key, token, address or content of a job gets in; a file in which a secret
//! of this home is found after all is not written.

use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use starling_kernels::runner::DeviceInfo;

use super::redact::{Redactor, scope};
use super::{DEVICE_WAIT, examine};
use crate::api::client::Client;
use crate::api::owner::Logs;
use crate::cli::Context;
use crate::cli::checks::Checks;
use crate::cli::console::Console;
use crate::cli::exit::{Exit, Failure, Outcome};
use crate::cli::place::Place;
use crate::cli::version;
use crate::compute::device_process;
use crate::driver::unix_s;
use crate::home::config::{KEYS, Kind, Value as Setting};
use crate::home::disk::{self, DiskError};
use crate::net::{Multiaddr, NetStatus};
use crate::reason::Reason;

/// Lines of the log that are taken along.
const LINES: usize = 500;
/// For a running peer to answer.
const ANSWER: Duration = Duration::from_secs(10);
/// The folder within the file.
const FOLDER: &str = "starling-doctor";

/// A file of the bundle.
struct Part {
    name: &'static str,
    about: &'static str,
    bytes: Vec<u8>,
}

/// Writes the bundle into a new file.
pub fn write(context: &Context, place: &Place, file: &Path) -> Outcome {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    if !name.ends_with(".tar.gz") && !name.ends_with(".tgz") {
        let what = format!("{name:?} is no name of a bundle");
        let fix = "let it end in .tar.gz";
        return Err(Failure::new(Exit::Usage, what, fix));
    }
    // Told before the work, and seen to again when it is written.
    if file.symlink_metadata().is_ok() {
        return Err(taken(file));
    }
    context.console.note("looking at this machine");
    let redactor = Redactor::of(place);
    let parts = parts(context, place, &redactor);
    if let Some(part) = parts.iter().find(|part| redactor.leaks(&part.bytes)) {
        let what = format!(
            "a secret of this home got into {}: nothing was written",
            part.name
        );
        return Err(Failure::of(what).or_fix("report this, without the bundle"));
    }
    let packed = pack(&parts).map_err(|e| DiskError::new("pack", file, e))?;
    save(file, &packed)?;
    tell(context.console, file, &parts, packed.len());
    Ok(Exit::Ok)
}

fn taken(file: &Path) -> Failure {
    let what = format!("{} exists, and is not overwritten", file.display());
    Failure::of(what).or_fix("choose another name, or remove it")
}

fn save(file: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let mut new = match disk::private_new().open(file) {
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => return Err(taken(file)),
        new => new.map_err(DiskError::on("create", file))?,
    };
    new.write_all(bytes).map_err(|e| {
        let _ = std::fs::remove_file(file);
        DiskError::new("write", file, e).into()
    })
}

fn pack(parts: &[Part]) -> std::io::Result<Vec<u8>> {
    let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::default()));
    for part in parts {
        let mut header = tar::Header::new_gnu();
        header.set_size(part.bytes.len() as u64);
        header.set_mode(0o600);
        header.set_mtime(unix_s());
        archive.append_data(
            &mut header,
            format!("{FOLDER}/{}", part.name),
            &part.bytes[..],
        )?;
    }
    archive.into_inner()?.finish()
}

fn tell(out: Console, file: &Path, parts: &[Part], packed: usize) {
    if out.json {
        let inside = |part: &Part| json!({ "name": part.name, "about": part.about, "bytes": part.bytes.len() });
        let inside: Vec<_> = parts.iter().map(inside).collect();
        let file = file.display().to_string();
        return out.json(&json!({ "bundle": file, "bytes": packed, "files": inside }));
    }
    out.data(format!(
        "written {}, {packed} bytes; inside:",
        file.display()
    ));
    for part in parts {
        out.data(format!(
            "{:<14} {:>7} bytes  {}",
            part.name,
            part.bytes.len(),
            part.about
        ));
    }
    out.note(format!(
        "look before you send it: tar -xOzf {} | less",
        file.display()
    ));
}

fn parts(context: &Context, place: &Place, redactor: &Redactor) -> Vec<Part> {
    let running = answer(asked(place));
    let (net, logs) = match running {
        Ok((net, logs)) => (network(&net, redactor), lines(&logs, redactor)),
        Err(reason) => {
            let why = json!({ "code": reason.code, "why": redactor.text(&reason.what) });
            (why, Vec::new())
        }
    };
    let mut checks = Checks::new(Console {
        json: true,
        ..context.console
    });
    examine(place, |check| checks.tell(check));
    let of = |name, about, value: &Value| Part {
        name,
        about,
        bytes: serde_json::to_vec_pretty(value).unwrap_or_default(),
    };
    vec![
        of(
            "version.json",
            "this program, its rules and kernels",
            &version::about(),
        ),
        of(
            "machine.json",
            "system, kernel, processor, graphics adapters",
            &machine(redactor),
        ),
        of(
            "doctor.json",
            "what `starling doctor` finds",
            &redactor.json(checks.list()),
        ),
        of(
            "settings.json",
            "settings; of addresses only how far they reach",
            &settings(place, redactor),
        ),
        of(
            "net.json",
            "how the running peer is connected, without addresses",
            &net,
        ),
        Part {
            name: "log.jsonl",
            about: "the running peer's last messages",
            bytes: logs,
        },
    ]
}

/// Waits for an answer, in a command that else waits for nothing.
fn answer<T>(asked: impl Future<Output = Result<T, Reason>>) -> Result<T, Reason> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|e| Reason::of("error", e))?;
    runtime.block_on(asked)
}

/// The running peer's own story.
async fn asked(place: &Place) -> Result<(NetStatus, Logs), Reason> {
    let answers = async {
        let client = Client::connect(&place.root).await?;
        Ok((client.net().await?.net, client.logs().await?))
    };
    let late = || {
        Reason::new(
            "timeout",
            "the peer of this home does not answer",
            "restart it",
        )
    };
    let answers = tokio::time::timeout(ANSWER, answers).await;
    answers.map_err(|_| late())?
}

fn machine(redactor: &Redactor) -> Value {
    let mut system = sysinfo::System::new();
    system.refresh_memory();
    let adapter = |info: &DeviceInfo| {
        json!({
            "name": info.name, "vendor": info.vendor, "backend": info.backend, "kind": info.kind,
            "driver": info.driver,
        })
    };
    let found = device_process().map_err(|e| e.to_string());
    let found = found.and_then(|command| command.adapters(DEVICE_WAIT).map_err(|e| e.to_string()));
    let adapters: Value = match found {
        Ok(found) => found.iter().map(adapter).collect(),
        Err(why) => json!({ "error": redactor.text(&why) }),
    };
    json!({
        "system": sysinfo::System::long_os_version(),
        "kernel": sysinfo::System::kernel_version(),
        "arch": std::env::consts::ARCH,
        "threads": std::thread::available_parallelism().map_or(0, usize::from),
        "memory_bytes": system.total_memory(),
        "adapters": adapters,
    })
}

fn settings(place: &Place, redactor: &Redactor) -> Value {
    let settings = match place.settings() {
        Ok(settings) => settings,
        Err(failure) => {
            return json!({ "code": failure.code, "why": redactor.text(&failure.what) });
        }
    };
    let shown = |kind: Kind, value: Setting| -> Value {
        match (kind, value) {
            (Kind::Addresses, Setting::List(all)) => {
                let scope = |text: &String| text.parse().map_or("some", |a: Multiaddr| scope(&a));
                all.iter().map(scope).collect()
            }
            // What an owner runs, and where he lives, is nobody's business.
            (Kind::Names, Setting::List(all)) => json!({ "names": all.len() }),
            (Kind::Text { .. }, Setting::Text(text)) => redactor.text(&text).into(),
            (_, value) => json!(value),
        }
    };
    let view = |key: &crate::home::config::Key| {
        let value = match key.name {
            "lend.region" => {
                json!({ "set": key.get(&settings.config) != Setting::Text(String::new()) })
            }
            _ => shown(key.kind, key.get(&settings.config)),
        };
        json!({ "key": key.name, "value": value, "from": settings.origin(key).word() })
    };
    KEYS.iter().map(view).collect()
}

fn network(net: &NetStatus, redactor: &Redactor) -> Value {
    let problem = |problem: &Option<String>| problem.as_ref().map(|p| redactor.text(p));
    let listening: Vec<_> = net.listening.iter().map(scope).collect();
    let reachable = net.reachable.iter();
    let reachable: Vec<_> = reachable
        .map(|one| json!({ "address": scope(&one.address), "how": one.how }))
        .collect();
    let asked = net.asked.iter();
    let asked: Vec<_> = asked
        .map(|one| json!({ "address": scope(&one.address), "problem": problem(&one.problem) }))
        .collect();
    let bootstrap = net.bootstrap.iter();
    let bootstrap: Vec<_> = bootstrap
        .map(|one| {
            json!({
                "address": scope(&one.address), "problem": problem(&one.problem), "answered": one.answered,
            })
        })
        .collect();
    let connections = net.connections.iter();
    let connections: Vec<_> = connections
        .map(|one| {
            json!({
                "peer": redactor.text(&one.peer), "relayed": one.relay.is_some(), "rtt_ms": one.rtt_ms,
            })
        })
        .collect();
    json!({
        "scope": net.scope, "services": net.services, "listening": listening, "reachable": reachable,
        "asked": asked, "relays": net.relays.len(), "relaying": net.relaying, "gateway": net.gateway,
        "peers": net.peers, "relayed_peers": net.relayed_peers, "connections": connections,
        "punched": net.punched, "serves_kademlia": net.serves_kademlia, "bootstrap": bootstrap,
    })
}

/// One object a line, the oldest first.
fn lines(logs: &Logs, redactor: &Redactor) -> Vec<u8> {
    let first = logs.lines.len().saturating_sub(LINES);
    let mut all = Vec::new();
    for line in &logs.lines[first..] {
        let line = json!({
            "unix_ms": line.unix_ms, "level": line.level, "target": line.target,
            "message": redactor.text(&line.message),
        });
        all.extend_from_slice(line.to_string().as_bytes());
        all.push(b'\n');
    }
    all
}
