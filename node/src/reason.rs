//! Why not: the one value in which CLI and API say that something did not happen, and what to do about it.
//!
//! The protocol's refusals ([`starling_protocol::Reason`]) and every error of this crate become a [`Reason`] here and
//! nowhere else. A code never changes its meaning; the sentence may. Invariant: every code is in [`CODES`] or one of
//! the protocol's.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use starling_kernels::KernelError;
use starling_kernels::runner::RunnerError;
use starling_protocol::lending::Objection;
use utoipa::ToSchema;

use crate::blobs::BlobError;
use crate::compute::DeviceError;
use crate::genesis::GenesisFileError;
use crate::home::HomeError;
use crate::home::config::ConfigError;
use crate::home::disk::DiskError;
use crate::key::KeyError;
use crate::log::LogError;
use crate::net::NetError;
use crate::node::NodeError;
use crate::store::StoreError;

/// Every code of this crate, with what it means. The protocol has more.
pub const CODES: [(&str, &str); 76] = [
    ("address_unusable", "the peer cannot listen on an address"),
    ("ambiguous_job", "several jobs' ids begin like that"),
    (
        "app_runs",
        "a program runs beside which its owner does not lend",
    ),
    ("bad_genesis", "the swarm's file cannot be used"),
    ("bad_input", "an input is not what the kernel takes"),
    (
        "bad_invitation",
        "the code is no invitation, or not a whole one",
    ),
    ("bad_params", "the parameters are not what the kernel takes"),
    ("bad_request", "the request makes no sense"),
    ("bad_settings", "the settings cannot be used"),
    (
        "body_too_large",
        "the request has more bytes than are taken",
    ),
    ("body_too_slow", "the request's bytes come too slowly"),
    (
        "canary_failed",
        "the device computes other bytes than the reference",
    ),
    (
        "certificate_expired",
        "a certificate of a closed swarm has expired",
    ),
    ("certificate_foreign", "a certificate is of another swarm"),
    (
        "certificate_not_yours",
        "a certificate belongs to another peer",
    ),
    (
        "certificate_revoked",
        "a certificate of a closed swarm was taken back",
    ),
    (
        "clocks_differ",
        "most peers that were met have another time than this machine",
    ),
    (
        "code_spent",
        "the code for a session was used, or is too old",
    ),
    ("device_failed", "the device or its driver failed"),
    ("disk_failed", "a file could not be read or written"),
    ("error", "something else went wrong; the sentence says what"),
    ("findings", "the doctor has found something"),
    ("full_screen", "an application fills the screen"),
    ("gpu_in_use", "other programs use the GPU"),
    (
        "home_exposed",
        "others on this machine can touch the key or the folder",
    ),
    ("home_in_use", "another process holds the folder"),
    ("home_unusable", "the folder cannot be used"),
    ("host_not_allowed", "the request was made for another host"),
    ("identity_damaged", "the key file is no key"),
    ("interrupted", "the peer was stopped while the job ran"),
    ("invitation_expired", "the invitation has expired"),
    (
        "invitation_unknown",
        "the issuer does not know the invitation, or has taken it back",
    ),
    (
        "invitation_used_up",
        "as many have joined by the invitation as it was for",
    ),
    ("job_failed", "the job ended early"),
    ("job_running", "the job has not ended yet"),
    ("lending_off", "its owner has switched lending off"),
    ("lending_paused", "its owner has paused lending"),
    ("log_damaged", "the log of signed facts cannot be used"),
    ("machine_in_use", "somebody is at the machine"),
    ("memory_short", "the machine's memory is short"),
    (
        "network_failed",
        "the network could not be started or has stopped",
    ),
    ("no_adapter", "no GPU was found"),
    (
        "no_certificate",
        "the swarm is closed, and no certificate was shown",
    ),
    ("no_daemon", "no peer of this home runs"),
    ("no_peer", "no peer of the swarm is connected"),
    (
        "no_service_manager",
        "nothing here starts services for this user",
    ),
    ("no_such_adapter", "no adapter has that name"),
    ("not_allowed", "the method is not for this resource"),
    ("not_found", "there is no such resource"),
    (
        "not_held",
        "no steward holds the job: it would stop with the command that submitted it",
    ),
    (
        "not_issuer",
        "this home does not hold the swarm's admission key",
    ),
    (
        "not_writable",
        "this user may not write to the file or folder",
    ),
    ("on_battery", "the machine runs on battery"),
    (
        "origin_not_allowed",
        "the request comes from a web page of another origin",
    ),
    ("other_swarm", "the home's log belongs to another swarm"),
    ("out_of_hours", "its owner lends at other hours"),
    (
        "output_collected",
        "the job's outputs were collected and removed",
    ),
    ("scope_too_small", "the token is not good for this"),
    ("service_changed", "the service was changed by hand"),
    (
        "service_failed",
        "the system's service manager did not do it",
    ),
    ("session_over", "the browser's session has ended"),
    (
        "shader_fault",
        "the shader does what has no result: a race, or a barrier that not all reach",
    ),
    ("shader_refused", "no peer would run the shader"),
    ("slice_not_done", "the slice is not done"),
    (
        "store_version",
        "another version of this program wrote the home's log",
    ),
    ("swarm_full", "the swarm has as many members as it can"),
    (
        "swarm_open",
        "the swarm is open: it has no members and no invitations",
    ),
    ("timeout", "it took longer than allowed"),
    (
        "token_in_url",
        "the token was in the address, where it gets into logs",
    ),
    ("token_missing", "the request has no token"),
    ("token_wrong", "the token is not this peer's"),
    ("too_hot", "the device is hotter than its owner allows"),
    ("too_many", "more at once than is allowed"),
    ("unknown_kernel", "this build has no such kernel"),
    (
        "unreachable",
        "others cannot dial this peer, or it cannot dial them",
    ),
    ("usage", "the command line makes no sense"),
];

/// Why something did not happen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Reason {
    /// Stable, snake case, for programs.
    #[schema(value_type = String)]
    pub code: Cow<'static, str>,
    /// What happened, for people.
    pub what: String,
    /// The particulars, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(value_type = Object)]
    pub params: BTreeMap<String, Value>,
    /// What a person can do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
}

impl Reason {
    /// A reason with a known fix.
    pub fn new(code: &'static str, what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            code: code.into(),
            what: what.into(),
            params: BTreeMap::new(),
            fix: Some(fix.into()),
        }
    }

    /// From an error whose text is "what; fix", or only "what".
    pub fn of(code: &'static str, error: impl fmt::Display) -> Self {
        let text = error.to_string();
        let (what, fix) = match text.split_once("; ") {
            Some((what, fix)) => (what.to_owned(), Some(fix.to_owned())),
            None => (text, None),
        };
        Self {
            code: code.into(),
            what,
            params: BTreeMap::new(),
            fix,
        }
    }

    /// Why nobody may seem to be there.
    pub(crate) fn clocks_differ(peers: usize, of: usize, ahead_s: i64) -> Self {
        let (by_s, way) = (
            ahead_s.unsigned_abs(),
            if ahead_s > 0 { "ahead of" } else { "behind" },
        );
        let (hours, minutes) = (by_s / 3_600, by_s / 60 % 60);
        let what = format!(
            "the clocks of {peers} of {of} peers that were met are {hours} h {minutes} min {way} this machine's, \
             so neither takes the other's adverts"
        );
        let fix = "set the clock that is wrong, here for instance with: timedatectl set-ntp true";
        Self::new("clocks_differ", what, fix)
            .with("peers", peers)
            .with("of", of)
            .with("ahead_s", ahead_s)
    }

    /// The same with one more particular.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.params.insert(name.to_owned(), value.into());
        self
    }

    /// The same with a fix, unless it has one.
    #[must_use]
    pub fn or_fix(mut self, fix: &str) -> Self {
        self.fix.get_or_insert_with(|| fix.to_owned());
        self
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for Reason {}

impl From<starling_protocol::Reason> for Reason {
    fn from(reason: starling_protocol::Reason) -> Self {
        Self::new(reason.code(), reason.to_string(), reason.fix())
    }
}

impl From<&Objection> for Reason {
    fn from(objection: &Objection) -> Self {
        let reason = Self::new(objection.code(), objection.to_string(), objection.fix());
        match objection {
            Objection::Paused { until_s } => match until_s {
                Some(until_s) => reason.with("until_s", *until_s),
                None => reason,
            },
            Objection::InUse { idle_s, least_s } => {
                reason.with("idle_s", *idle_s).with("least_s", *least_s)
            }
            Objection::App(app) => reason.with("app", app.as_str()),
            Objection::GpuInUse { pct, most_pct } | Objection::MemoryShort { pct, most_pct } => {
                reason.with("pct", *pct).with("most_pct", *most_pct)
            }
            Objection::OutOfHours { opens_in_min } => reason.with("opens_in_min", *opens_in_min),
            Objection::TooHot {
                temperature_c,
                most_c,
            } => reason
                .with("temperature_c", *temperature_c)
                .with("most_c", *most_c),
            Objection::Off | Objection::FullScreen | Objection::OnBattery => reason,
        }
    }
}

impl From<KernelError> for Reason {
    fn from(error: KernelError) -> Self {
        match &error {
            KernelError::UnknownKernel(id) => Self::of("unknown_kernel", &error)
                .with("kernel", id.to_string())
                .or_fix("use the same version on both sides; `starling version` lists the kernels"),
            KernelError::Input { index, .. } => Self::of("bad_input", &error)
                .with("index", *index)
                .or_fix("give the inputs that the kernel's documentation names"),
            KernelError::Guest => Self::of("unknown_kernel", &error)
                .or_fix("run `starling doctor`: it says why this machine has none"),
            KernelError::Fault { tile, .. } => Self::of("shader_fault", &error)
                .with("tile", *tile)
                .or_fix("change the shader: `starling run wgsl --local` shows whether it helped"),
            KernelError::Params(_) | KernelError::NoSuchTile { .. } => {
                Self::of("bad_params", &error).or_fix("change the arguments that the text names")
            }
        }
    }
}

impl From<DiskError> for Reason {
    fn from(error: DiskError) -> Self {
        Self::from(&error)
    }
}

impl From<&DiskError> for Reason {
    fn from(error: &DiskError) -> Self {
        let (code, path) = match error {
            DiskError::Full { path, .. } => ("storage_full", path),
            DiskError::Denied { path, .. } => ("not_writable", path),
            DiskError::Io { path, .. } => ("disk_failed", path),
        };
        Self::of(code, error)
            .with("path", path.display().to_string())
            .or_fix("check that the folder exists and has space")
    }
}

impl From<BlobError> for Reason {
    fn from(error: BlobError) -> Self {
        match &error {
            BlobError::Full { wanted, used, max } => {
                let reason = Self::from(starling_protocol::Reason::StorageFull);
                let all = [
                    ("wanted_bytes", wanted),
                    ("used_bytes", used),
                    ("max_bytes", max),
                ];
                all.into_iter()
                    .fold(reason, |r, (name, n)| r.with(name, *n))
            }
            BlobError::TooLarge { len, max } => {
                Self::new("body_too_large", error.to_string(), "split the work")
                    .with("bytes", *len)
                    .with("most", *max)
            }
            BlobError::Corrupt(_) | BlobError::Changed(_) | BlobError::Io { .. } => {
                Self::of("disk_failed", error).or_fix("check the disk, and that it has space")
            }
        }
    }
}

impl From<RunnerError> for Reason {
    fn from(error: RunnerError) -> Self {
        match error {
            RunnerError::Job(error) => error.into(),
            error => Self::of("device_failed", &error)
                .or_fix("run `starling doctor`, or choose --device cpu"),
        }
    }
}

impl From<DeviceError> for Reason {
    fn from(error: DeviceError) -> Self {
        let fix = "run `starling doctor`, or choose --device cpu";
        match &error {
            DeviceError::NoSuchAdapter { wanted, .. } => {
                Self::of("no_such_adapter", &error).with("wanted", wanted.as_str())
            }
            DeviceError::Canary(_) => Self::of("canary_failed", &error).or_fix(fix),
            DeviceError::Runner(RunnerError::NoAdapter { wanted, .. }) => {
                Self::of("no_adapter", &error)
                    .with("wanted", wanted.as_str())
                    .or_fix(fix)
            }
            DeviceError::Runner(_) | DeviceError::Benchmark(_) => {
                Self::of("device_failed", &error).or_fix(fix)
            }
        }
    }
}

impl From<NodeError> for Reason {
    fn from(error: NodeError) -> Self {
        let doctor = "run `starling doctor`";
        match error {
            NodeError::Device(error) => error.into(),
            NodeError::Blobs(error) => error.into(),
            NodeError::Disk(error) => error.into(),
            NodeError::Home(error) => error.into(),
            NodeError::Key(error) => Self::from(error).or_fix(doctor),
            NodeError::Log(error) => Self::from(error).or_fix(doctor),
            NodeError::Net(error) => error.into(),
            NodeError::NotAMember(reason) => reason,
            NodeError::Store(error) => Self::from(error).or_fix(doctor),
            NodeError::Exe(_) | NodeError::Interrupted => Self::of("error", error).or_fix(doctor),
        }
    }
}

impl From<HomeError> for Reason {
    fn from(error: HomeError) -> Self {
        match error {
            HomeError::Disk(error) => error.into(),
            HomeError::Exposed { .. } => Self::of("home_exposed", error),
            HomeError::InUse { .. } => Self::of("home_in_use", error),
            HomeError::Nowhere | HomeError::NotAFolder { .. } => Self::of("home_unusable", error),
        }
    }
}

impl From<KeyError> for Reason {
    fn from(error: KeyError) -> Self {
        match error {
            KeyError::Disk(error) => error.into(),
            KeyError::Exposed { .. } => Self::of("home_exposed", error),
            error => Self::of("identity_damaged", error),
        }
    }
}

impl From<LogError> for Reason {
    fn from(error: LogError) -> Self {
        match error {
            LogError::Disk(error) => error.into(),
            LogError::Version {
                found, supported, ..
            } => Self::of("store_version", error)
                .with("found", found)
                .with("supported", supported),
            LogError::OtherSwarm { .. } => Self::of("other_swarm", error),
            LogError::Stopped(inner) => match inner.as_ref() {
                LogError::Disk(error) => error.into(),
                _ => Self::of("log_damaged", inner),
            },
            LogError::RecordSize(_) | LogError::Closed | LogError::Randomness(_) => {
                Self::of("log_damaged", error)
            }
        }
    }
}

impl From<StoreError> for Reason {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Disk(error) => error.into(),
            StoreError::Log(error) => error.into(),
            StoreError::InUse { .. } => Self::of("home_in_use", error),
            StoreError::Damaged { .. } => Self::of("log_damaged", error),
        }
    }
}

impl From<NetError> for Reason {
    fn from(error: NetError) -> Self {
        let code = match &error {
            NetError::Listen { .. } | NetError::OutOfScope(_) => "address_unusable",
            NetError::Unreachable { .. } => "unreachable",
            _ => "network_failed",
        };
        Self::of(code, error)
            .or_fix("choose another address with --listen, or stop the program that uses the port")
    }
}

impl From<GenesisFileError> for Reason {
    fn from(error: GenesisFileError) -> Self {
        match error {
            GenesisFileError::Disk(error) => error.into(),
            error => Self::of("bad_genesis", error),
        }
    }
}

impl From<ConfigError> for Reason {
    fn from(error: ConfigError) -> Self {
        match error {
            ConfigError::Disk(error) => error.into(),
            error => Self::of("bad_settings", error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_there_once_in_order() {
        assert!(CODES.is_sorted_by(|a, b| a.0 < b.0));
        for (code, meaning) in CODES {
            assert!(
                code.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'),
                "{code}"
            );
            assert!(!meaning.is_empty());
        }
    }

    #[test]
    fn every_code_that_is_used_is_known() {
        let source = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut folders = vec![source];
        let mut used = 0;
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).expect("a folder") {
                let path = entry.expect("an entry").path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let text = std::fs::read_to_string(&path).expect("a source file");
                for call in ["Reason::new(", "Reason::of(", "Self::of("] {
                    for (at, _) in text.match_indices(call) {
                        let argument = text[at + call.len()..].trim_start();
                        let Some(code) = argument.strip_prefix('"') else {
                            continue;
                        };
                        let code = code.split('"').next().unwrap_or_default();
                        // This very list of calls has quotes behind its brackets too.
                        if code.contains(' ') {
                            continue;
                        }
                        let own = CODES.iter().any(|(known, _)| *known == code);
                        let protocol = starling_protocol::Reason::ALL;
                        let own = own || protocol.iter().any(|r| r.code() == code);
                        assert!(own, "{}: {code:?} is in no list", path.display());
                        used += 1;
                    }
                }
            }
        }
        assert!(used > 50, "{used} codes found: the search is wrong");
    }

    #[test]
    fn a_reason_survives_json() {
        let reason = Reason::new("too_many", "too many", "fewer").with("most", 3);
        let text = serde_json::to_string(&reason).expect("plain data");
        assert_eq!(
            serde_json::from_str::<Reason>(&text).expect("the same"),
            reason
        );
        assert!(text.contains(r#""params":{"most":3}"#), "{text}");
    }
}
