//! The owner's settings: `config.toml`, written with comments on the first run.
//!
//! Read once at start. Unknown keys and values out of range are errors that name the file, the line and
//! the fix, because a misspelt limit that is silently ignored lends out more than its owner meant to.
//! Invariant: the default file parses to [`Config::default`].

use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::Spanned;

use super::disk::{self, DiskError};

/// What a first run writes.
const DEFAULT_FILE: &str = include_str!("default_config.toml");
/// Longest file that is read, in bytes.
const MAX_FILE: u64 = 64 * 1024;
/// Most addresses in one list.
const MAX_ADDRESSES: usize = 64;

/// Why there are no settings.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file says something that cannot be used.
    #[error("{}:{line}: {problem}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong and what to write instead.
        problem: String,
    },
    /// The file is too long to be settings.
    #[error("{} has {bytes} bytes, settings have at most {MAX_FILE}; move it away and a default one is written", path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
        /// Its length.
        bytes: u64,
    },
    /// The file could not be read or written.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

/// All settings.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Config {
    /// Addresses and peers.
    pub network: Network,
    /// What computes.
    pub device: Device,
    /// How much is logged.
    pub log: LogLevel,
    /// What the owner lends at most.
    pub limits: Limits,
}

/// Addresses, as multiaddresses in text form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    /// Where to listen.
    pub listen: Vec<String>,
    /// Whom to dial at start.
    pub bootstrap: Vec<String>,
}

impl Default for Network {
    fn default() -> Self {
        let listen = ["/ip4/0.0.0.0/udp/0/quic-v1", "/ip4/0.0.0.0/tcp/0"];
        Self {
            listen: listen.map(str::to_owned).to_vec(),
            bootstrap: Vec::new(),
        }
    }
}

/// What computes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Device {
    /// The best GPU that passes the canary, else the CPU.
    #[default]
    Auto,
    /// The CPU only.
    Cpu,
    /// The adapter whose name contains this text.
    Adapter(String),
}

/// How much is logged to stderr.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names say it, and they are tracing's")]
pub enum LogLevel {
    Error,
    #[default]
    Warn,
    Info,
    Debug,
    Trace,
}

impl LogLevel {
    /// The name that tracing's filters use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

/// What the owner lends at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Established connections, 4 to 4096.
    pub connections: u32,
    /// Disk for inputs and outputs, in GiB, 1 to 65536.
    pub blobs_gib: u32,
    /// CPU threads for computing, up to 1024; 0 means all.
    pub threads: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 128,
            blobs_gib: 10,
            threads: 0,
        }
    }
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct FileForm {
    network: NetworkForm,
    device: DeviceForm,
    log: LogForm,
    limits: LimitsForm,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct NetworkForm {
    listen: Option<Spanned<Vec<Spanned<String>>>>,
    bootstrap: Option<Spanned<Vec<Spanned<String>>>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct DeviceForm {
    choose: Option<Spanned<String>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct LogForm {
    level: LogLevel,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct LimitsForm {
    connections: Option<Spanned<i64>>,
    blobs_gib: Option<Spanned<i64>>,
    threads: Option<Spanned<i64>>,
}

/// Says what is wrong with an address, or nothing.
pub type AddressCheck<'a> = &'a dyn Fn(&str) -> Result<(), String>;

impl Config {
    /// Reads `path`, or writes the default file there on the first run. `address` judges each listed
    /// address (the transport knows the grammar, this file does not).
    pub fn load_or_create(path: &Path, address: AddressCheck<'_>) -> Result<Self, ConfigError> {
        if disk::create_whole(path, DEFAULT_FILE.as_bytes())? {
            return Ok(Self::default());
        }
        let bytes = std::fs::metadata(path)
            .map_err(DiskError::on("read", path))?
            .len();
        if bytes > MAX_FILE {
            return Err(ConfigError::TooLong {
                path: path.to_owned(),
                bytes,
            });
        }
        let text = std::fs::read_to_string(path).map_err(DiskError::on("read", path))?;
        Self::parse(&text, path, address)
    }

    /// Parses the text of a settings file; `path` is for messages only.
    pub fn parse(text: &str, path: &Path, address: AddressCheck<'_>) -> Result<Self, ConfigError> {
        let invalid = |span: Range<usize>, problem: String| ConfigError::Invalid {
            path: path.to_owned(),
            line: 1 + text
                .bytes()
                .take(span.start)
                .filter(|b| *b == b'\n')
                .count(),
            problem,
        };
        let form: FileForm = toml::from_str(text).map_err(|e| {
            invalid(
                e.span().unwrap_or(0..0),
                format!("{}; correct or delete that line", e.message()),
            )
        })?;

        let addresses = |list: Option<Spanned<Vec<Spanned<String>>>>, default: Vec<String>| {
            let Some(list) = list else { return Ok(default) };
            if list.get_ref().len() > MAX_ADDRESSES {
                return Err(invalid(
                    list.span(),
                    format!("more than {MAX_ADDRESSES} addresses; list fewer"),
                ));
            }
            let checked = list
                .into_inner()
                .into_iter()
                .map(|item| match address(item.get_ref()) {
                    Ok(()) => Ok(item.into_inner()),
                    Err(why) => Err(invalid(
                        item.span(),
                        format!("{:?} is no address: {why}", item.get_ref()),
                    )),
                });
            checked.collect::<Result<Vec<_>, _>>()
        };
        let number = |value: Option<Spanned<i64>>, name: &str, range: Range<u32>, default: u32| {
            match value {
                None => Ok(default),
                Some(value) => u32::try_from(*value.get_ref())
                    .ok()
                    .filter(|n| range.contains(n))
                    .ok_or_else(|| {
                        let (low, high) = (range.start, range.end - 1);
                        invalid(
                            value.span(),
                            format!(
                                "{name} = {}: write a number from {low} to {high}",
                                value.get_ref()
                            ),
                        )
                    }),
            }
        };

        let default = Self::default();
        let limits = form.limits;
        Ok(Self {
            network: Network {
                listen: addresses(form.network.listen, default.network.listen)?,
                bootstrap: addresses(form.network.bootstrap, default.network.bootstrap)?,
            },
            device: match form.device.choose {
                None => Device::Auto,
                Some(name) => match name.get_ref().trim() {
                    "auto" => Device::Auto,
                    "cpu" => Device::Cpu,
                    "" => {
                        let fix =
                            r#"choose is empty: write "auto", "cpu" or part of an adapter's name"#;
                        return Err(invalid(name.span(), fix.to_owned()));
                    }
                    adapter => Device::Adapter(adapter.to_owned()),
                },
            },
            log: form.log.level,
            limits: Limits {
                connections: number(
                    limits.connections,
                    "connections",
                    4..4097,
                    default.limits.connections,
                )?,
                blobs_gib: number(
                    limits.blobs_gib,
                    "blobs_gib",
                    1..65537,
                    default.limits.blobs_gib,
                )?,
                threads: number(limits.threads, "threads", 0..1025, default.limits.threads)?,
            },
        })
    }
}
