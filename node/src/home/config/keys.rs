//! The one table of settings: name, meaning, range, and where it stands in a [`Config`].
//!
//! File, variables, flags, `config show` and the reference are all made from it, so a setting that is missing here
//! does not exist. Invariant: a value that [`Kind::check`] accepts can be put.

use std::fmt;

use serde::Serialize;

use super::{AddressCheck, Config, Device, LogLevel, Switch};

/// Most addresses in one list.
const MAX_ADDRESSES: usize = 64;

/// A value of any setting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Value {
    /// A word or a name.
    Text(String),
    /// A count; the key says of what.
    Number(u64),
    /// Several texts.
    List(Vec<String>),
}

impl fmt::Display for Value {
    /// As it stands in the file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "{text:?}"),
            Self::Number(number) => write!(f, "{number}"),
            Self::List(items) => write!(f, "{items:?}"),
        }
    }
}

/// What values a setting takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Multiaddresses, at most 64.
    Addresses,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// A text of so many bytes.
    Text {
        /// At least.
        least: usize,
        /// At most.
        most: usize,
    },
    /// A whole number in this range.
    Number {
        /// The least.
        low: u64,
        /// The most.
        high: u64,
    },
}

/// What is wrong with a value, and with which item of a list.
#[derive(Debug)]
pub struct Misfit {
    /// The item, in a list.
    pub item: Option<usize>,
    /// What is wrong and what to write instead.
    pub problem: String,
}

impl Kind {
    /// What may be written, for people.
    pub fn hint(&self) -> String {
        match self {
            Self::Addresses => {
                "write a list of multiaddresses, for instance [\"/ip4/0.0.0.0/tcp/4001\"]".into()
            }
            Self::OneOf(words) => format!("write one of: {}", words.join(", ")),
            Self::Text { least: 0, most } => format!("write a text of at most {most} bytes"),
            Self::Text { least, most } => format!("write a text of {least} to {most} bytes"),
            Self::Number { low, high } => format!("write a number from {low} to {high}"),
        }
    }

    /// Whether `value` is within the range.
    pub fn check(&self, value: &Value, address: AddressCheck<'_>) -> Result<(), Misfit> {
        let fits = match (self, value) {
            (Self::Addresses, Value::List(items)) => return check_addresses(items, address),
            (Self::OneOf(words), Value::Text(text)) => words.contains(&text.as_str()),
            (Self::Text { least, most }, Value::Text(text)) => {
                let text = text.trim();
                (*least..=*most).contains(&text.len()) && !text.contains(char::is_control)
            }
            (Self::Number { low, high }, Value::Number(number)) => (*low..=*high).contains(number),
            _ => false,
        };
        fits.then_some(()).ok_or_else(|| Misfit {
            item: None,
            problem: self.hint(),
        })
    }

    /// A value from a variable or an argument; lists are separated by commas.
    pub fn read(&self, text: &str) -> Result<Value, String> {
        Ok(match self {
            Self::Addresses => {
                let items = text.split(',').map(str::trim).filter(|i| !i.is_empty());
                Value::List(items.map(str::to_owned).collect())
            }
            Self::OneOf(_) | Self::Text { .. } => Value::Text(text.trim().to_owned()),
            Self::Number { .. } => Value::Number(text.trim().parse().map_err(|_| self.hint())?),
        })
    }
}

fn check_addresses(items: &[String], address: AddressCheck<'_>) -> Result<(), Misfit> {
    if items.len() > MAX_ADDRESSES {
        return Err(Misfit {
            item: None,
            problem: format!("more than {MAX_ADDRESSES} addresses; list fewer"),
        });
    }
    let bad = items
        .iter()
        .enumerate()
        .find_map(|(n, text)| address(text).err().map(|why| (n, text, why)));
    bad.map_or(Ok(()), |(n, text, why)| {
        Err(Misfit {
            item: Some(n),
            problem: format!("{text:?} is no address: {why}"),
        })
    })
}

/// One setting.
pub struct Key {
    /// Section and name, as in the file.
    pub name: &'static str,
    /// What it is, in a line.
    pub about: &'static str,
    /// What it takes.
    pub kind: Kind,
    get: fn(&Config) -> Value,
    put: fn(&mut Config, &Value),
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl Key {
    /// The setting of that name.
    pub fn find(name: &str) -> Option<&'static Self> {
        KEYS.iter().find(|key| key.name == name)
    }

    /// The name that is most like `name`, if one is.
    pub fn like(name: &str) -> Option<&'static str> {
        let scored = KEYS
            .iter()
            .map(|key| (strsim::normalized_damerau_levenshtein(key.name, name), key));
        let best = scored.max_by(|a, b| a.0.total_cmp(&b.0));
        best.filter(|(score, _)| *score > 0.6)
            .map(|(_, key)| key.name)
    }

    /// The variable that stands above the file.
    pub fn variable(&self) -> String {
        format!("STARLING_{}", self.name.to_uppercase().replace('.', "_"))
    }

    /// Its value in `config`.
    pub fn get(&self, config: &Config) -> Value {
        (self.get)(config)
    }

    /// Puts a value that was checked.
    pub(super) fn put(&self, config: &mut Config, value: &Value) {
        (self.put)(config, value);
    }
}

fn text(value: &Value) -> &str {
    match value {
        Value::Text(text) => text.trim(),
        Value::Number(_) | Value::List(_) => "",
    }
}

fn number(value: &Value) -> u64 {
    match value {
        Value::Number(number) => *number,
        Value::Text(_) | Value::List(_) => 0,
    }
}

fn list(value: &Value) -> Vec<String> {
    match value {
        Value::List(items) => items.clone(),
        Value::Text(_) | Value::Number(_) => Vec::new(),
    }
}

fn switch(value: &Value) -> Switch {
    match text(value) {
        "off" => Switch::Off,
        _ => Switch::Auto,
    }
}

fn word(switch: Switch) -> Value {
    let word = match switch {
        Switch::Auto => "auto",
        Switch::Off => "off",
    };
    Value::Text(word.into())
}

const SWITCH: Kind = Kind::OneOf(&["auto", "off"]);

/// Every setting, in the order of the file.
pub static KEYS: [Key; 15] = [
    Key {
        name: "network.listen",
        about: "where to listen, as multiaddresses; port 0 lets the system choose",
        kind: Kind::Addresses,
        get: |c| Value::List(c.network.listen.clone()),
        put: |c, v| c.network.listen = list(v),
    },
    Key {
        name: "network.bootstrap",
        about: "peers to dial at start",
        kind: Kind::Addresses,
        get: |c| Value::List(c.network.bootstrap.clone()),
        put: |c, v| c.network.bootstrap = list(v),
    },
    Key {
        name: "network.announce",
        about: "addresses under which others reach this peer, such as a port that the router forwards",
        kind: Kind::Addresses,
        get: |c| Value::List(c.network.announce.clone()),
        put: |c, v| c.network.announce = list(v),
    },
    Key {
        name: "network.mdns",
        about: "find peers of the local network by mDNS (swarms of scope lan)",
        kind: SWITCH,
        get: |c| word(c.network.mdns),
        put: |c, v| c.network.mdns = switch(v),
    },
    Key {
        name: "network.upnp",
        about: "ask the router to open a port (swarms of scope public)",
        kind: SWITCH,
        get: |c| word(c.network.upnp),
        put: |c, v| c.network.upnp = switch(v),
    },
    Key {
        name: "network.autonat",
        about: "ask others whether they can dial this peer, and tell them the same (scope public)",
        kind: SWITCH,
        get: |c| word(c.network.autonat),
        put: |c, v| c.network.autonat = switch(v),
    },
    Key {
        name: "network.relay",
        about: "use relays where no direct connection is possible, and be one where it is (scope public)",
        kind: SWITCH,
        get: |c| word(c.network.relay),
        put: |c, v| c.network.relay = switch(v),
    },
    Key {
        name: "device.choose",
        about: "what computes: auto, cpu, or part of an adapter's name",
        kind: Kind::Text {
            least: 1,
            most: 128,
        },
        get: |c| {
            Value::Text(match &c.device {
                Device::Auto => "auto".into(),
                Device::Cpu => "cpu".into(),
                Device::Adapter(name) => name.clone(),
            })
        },
        put: |c, v| {
            c.device = match text(v) {
                "auto" => Device::Auto,
                "cpu" => Device::Cpu,
                name => Device::Adapter(name.to_owned()),
            }
        },
    },
    Key {
        name: "log.level",
        about: "how much is logged to stderr",
        kind: Kind::OneOf(&["error", "warn", "info", "debug", "trace"]),
        get: |c| Value::Text(c.log.as_str().into()),
        put: |c, v| {
            let named = LogLevel::ALL.into_iter().find(|l| l.as_str() == text(v));
            c.log = named.unwrap_or_default();
        },
    },
    Key {
        name: "limits.connections",
        about: "open connections at most",
        kind: Kind::Number { low: 4, high: 4096 },
        get: |c| Value::Number(c.limits.connections.into()),
        put: |c, v| c.limits.connections = number(v) as u32,
    },
    Key {
        name: "limits.blobs_gib",
        about: "disk space for inputs and outputs, in GiB",
        kind: Kind::Number {
            low: 1,
            high: 65_536,
        },
        get: |c| Value::Number(c.limits.blobs_gib.into()),
        put: |c, v| c.limits.blobs_gib = number(v) as u32,
    },
    Key {
        name: "limits.threads",
        about: "CPU threads for computing; 0 means all of them",
        kind: Kind::Number { low: 0, high: 1024 },
        get: |c| Value::Number(c.limits.threads.into()),
        put: |c, v| c.limits.threads = number(v) as u32,
    },
    Key {
        name: "lend.price",
        about: "asked price per 10^9 work units",
        kind: Kind::Number {
            low: 0,
            high: i64::MAX as u64,
        },
        get: |c| Value::Number(c.lend.price),
        put: |c, v| c.lend.price = number(v),
    },
    Key {
        name: "lend.region",
        about: "coarse region to tell others, as you like to name it; empty tells none",
        kind: Kind::Text { least: 0, most: 16 },
        get: |c| Value::Text(c.lend.region.clone()),
        put: |c, v| c.lend.region = text(v).to_owned(),
    },
    Key {
        name: "api.port",
        about: "loopback port of the local API; 0 lets the system choose",
        kind: Kind::Number {
            low: 0,
            high: 65_535,
        },
        get: |c| Value::Number(c.api.port.into()),
        put: |c, v| c.api.port = number(v) as u16,
    },
];
