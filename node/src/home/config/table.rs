//! The one table of settings.
//!
//! File, variables, flags, `config show` and the reference are all made from it, so a setting that is missing here
//! does not exist.

use starling_protocol::lending::Hours;

use super::keys::{Key, Kind, Value};
use super::{Device, LogLevel, Switch};

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

const RULE: Kind = Kind::OneOf(&["lend", "pause"]);

/// How fast the line is, Mbit/s.
const LINE: Kind = Kind::Number {
    low: 0,
    high: 100_000,
};

/// "pause" if a rule is there.
fn rule(is: bool) -> Value {
    Value::Text(if is { "pause" } else { "lend" }.into())
}

/// A number, of which 0 is none.
fn some(value: &Value) -> Option<u64> {
    Some(number(value)).filter(|n| *n > 0)
}

/// A share in percent, of which 100 is none.
fn below_all(value: &Value) -> Option<u8> {
    Some(number(value) as u8).filter(|share| *share < 100)
}

/// Every setting, in the order of the file.
pub static KEYS: [Key; 26] = [
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
        name: "lend.idle_s",
        about: "lend only after so many seconds without keyboard and mouse; 0 lends at once",
        kind: Kind::Number {
            low: 0,
            high: 86_400,
        },
        get: |c| Value::Number(c.lend.rules.idle_s.unwrap_or(0).into()),
        put: |c, v| c.lend.rules.idle_s = some(v).map(|s| s as u32),
    },
    Key {
        name: "lend.full_screen",
        about: "whether to pause while an application fills the screen",
        kind: RULE,
        get: |c| rule(c.lend.rules.full_screen),
        put: |c, v| c.lend.rules.full_screen = text(v) == "pause",
    },
    Key {
        name: "lend.apps",
        about: "pause while one of these programs runs",
        kind: Kind::Names,
        get: |c| Value::List(c.lend.rules.apps.clone()),
        put: |c, v| c.lend.rules.apps = list(v),
    },
    Key {
        name: "lend.foreign_gpu_pct",
        about: "pause while other programs use more of the GPU than this, percent; 100 never does",
        kind: Kind::Number { low: 0, high: 100 },
        get: |c| Value::Number(c.lend.rules.foreign_gpu_pct.unwrap_or(100).into()),
        put: |c, v| c.lend.rules.foreign_gpu_pct = below_all(v),
    },
    Key {
        name: "lend.battery",
        about: "whether to pause on battery",
        kind: RULE,
        get: |c| rule(c.lend.rules.battery),
        put: |c, v| c.lend.rules.battery = text(v) == "pause",
    },
    Key {
        name: "lend.hours",
        about: "lend only then, local time; an empty list lends always",
        kind: Kind::Hours,
        get: |c| Value::List(c.lend.rules.hours.iter().map(Hours::to_string).collect()),
        put: |c, v| {
            let read = list(v).into_iter().filter_map(|span| span.parse().ok());
            c.lend.rules.hours = read.collect();
        },
    },
    Key {
        name: "lend.temperature_c",
        about: "pause while the device is hotter, degrees Celsius, until it is 5 less; 0 never does",
        kind: Kind::Number { low: 0, high: 120 },
        get: |c| Value::Number(c.lend.rules.temperature_c.unwrap_or(0) as u64),
        put: |c, v| c.lend.rules.temperature_c = some(v).map(|t| t as i16),
    },
    Key {
        name: "lend.memory_pct",
        about: "pause while more of the machine's memory is taken, percent; 100 never does",
        kind: Kind::Number { low: 1, high: 100 },
        get: |c| Value::Number(c.lend.rules.memory_pct.unwrap_or(100).into()),
        put: |c, v| c.lend.rules.memory_pct = below_all(v),
    },
    Key {
        name: "lend.duty_pct",
        about: "how much of its time the device computes for others, percent",
        kind: Kind::Number { low: 1, high: 100 },
        get: |c| Value::Number(c.lend.rules.shares.duty().into()),
        put: |c, v| c.lend.rules.shares.duty_pct = below_all(v),
    },
    Key {
        name: "lend.upload_mbit_s",
        about: "for others, send inputs and outputs at most so fast, Mbit/s; 0 as fast as the line goes",
        kind: LINE,
        get: |c| Value::Number(c.lend.rules.shares.upload_mbit_s.unwrap_or(0).into()),
        put: |c, v| c.lend.rules.shares.upload_mbit_s = some(v).map(|n| n as u32),
    },
    Key {
        name: "lend.download_mbit_s",
        about: "for others, fetch inputs and outputs at most so fast, Mbit/s; 0 as fast as the line goes",
        kind: LINE,
        get: |c| Value::Number(c.lend.rules.shares.download_mbit_s.unwrap_or(0).into()),
        put: |c, v| c.lend.rules.shares.download_mbit_s = some(v).map(|n| n as u32),
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
