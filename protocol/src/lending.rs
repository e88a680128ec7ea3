//! Whether a device is lent now: its owner's switch and rules, judged by what sensors say.
//!
//! The shell reads sensors and clocks, and performs what is decided here. What speaks against lending has an order: the
//! owner's word first, then who is at the machine, then the machine. What comes and goes by the second, such as a window
//! that fills the screen, speaks against it for [`CALM_S`] longer, and heat until it is [`COOLER_C`] less, so that slices
//! are not taken and handed back all the time.
//! Invariant: a rule whose sensor is missing speaks against nothing, and is said to be unknown.

mod hours;
#[cfg(test)]
mod tests;

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use serde::{Deserialize, Serialize};

pub use hours::{Hours, HoursError, WEEK};

/// Seconds that something has to be over before it is over.
pub const CALM_S: u64 = 30;
/// By so much a device that was too hot has to cool down.
pub const COOLER_C: i16 = 5;

/// What its owner says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "switch", rename_all = "snake_case")]
pub enum Switch {
    /// The rules decide.
    #[default]
    On,
    /// Never.
    Off,
    /// Not for a while.
    Paused {
        /// Unix seconds; none: until its owner says otherwise.
        until_s: Option<u64>,
    },
}

/// On what conditions a device is lent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// Only after so many seconds without keyboard and mouse.
    pub idle_s: Option<u32>,
    /// Not while an application fills the screen.
    pub full_screen: bool,
    /// Not while one of these runs.
    pub apps: Vec<String>,
    /// Not while others use more of the GPU than this, percent.
    pub foreign_gpu_pct: Option<u8>,
    /// Not on battery.
    pub battery: bool,
    /// Only then; always, if there are none.
    pub hours: Vec<Hours>,
    /// Not above so many degrees Celsius.
    pub temperature_c: Option<i16>,
    /// Not while more of the machine's memory is taken than this, percent.
    pub memory_pct: Option<u8>,
    /// How much of the machine it takes.
    pub shares: Shares,
}

/// How much of a machine lending takes; all that there is, where nothing is said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shares {
    /// Of the device's time, percent.
    pub duty_pct: Option<u8>,
    /// Of its line, for blobs that it sends, Mbit/s.
    pub upload_mbit_s: Option<u32>,
    /// The same for blobs that it fetches.
    pub download_mbit_s: Option<u32>,
}

impl Shares {
    /// How much of its time the device computes for others, percent.
    #[must_use]
    pub fn duty(&self) -> u8 {
        self.duty_pct.unwrap_or(100)
    }
}

/// What sensors say; nothing where there is none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Readings {
    /// Seconds since the last touch of keyboard or mouse.
    pub idle_s: Option<u32>,
    /// Whether an application fills the screen.
    pub full_screen: Option<bool>,
    /// Those of the rules' applications that run.
    pub apps: Option<Vec<String>>,
    /// How much of the GPU other processes use, percent.
    pub foreign_gpu_pct: Option<u8>,
    /// Whether the machine runs on battery.
    pub on_battery: Option<bool>,
    /// The device's temperature, degrees Celsius.
    pub temperature_c: Option<i16>,
    /// How much of the machine's memory is taken, percent.
    #[serde(default)]
    pub memory_pct: Option<u8>,
    /// Minute of the local week; Monday begins with 0.
    #[serde(default)]
    pub minute: u16,
}

/// One of [`Rules`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "named as the fields are")]
pub enum Rule {
    Idle,
    FullScreen,
    Apps,
    ForeignGpu,
    Battery,
    Hours,
    Temperature,
    Memory,
    Duty,
    Upload,
    Download,
}

/// What a rule does at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// It is not set.
    Off,
    /// Nothing tells what it goes by.
    Unknown,
    /// It has nothing against lending.
    Allows,
    /// It has.
    Forbids,
    /// It lets it lend, but not all of the machine.
    Limits,
}

/// What speaks against lending.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Objection {
    /// The owner switched it off.
    Off,
    /// The owner paused it.
    Paused {
        /// Unix seconds, if it ends by itself.
        until_s: Option<u64>,
    },
    /// Somebody was at the machine so many seconds ago.
    InUse {
        /// Seconds since.
        idle_s: u32,
        /// Seconds that the rule wants.
        least_s: u32,
    },
    /// An application fills the screen.
    FullScreen,
    /// One of the listed applications runs.
    App(String),
    /// Others use the GPU.
    GpuInUse {
        /// Percent.
        pct: u8,
        /// Percent that the rule leaves them.
        most_pct: u8,
    },
    /// The machine runs on battery.
    OnBattery,
    /// It is not the time.
    OutOfHours {
        /// Minutes until it is.
        opens_in_min: u16,
    },
    /// The device is too hot.
    TooHot {
        /// Degrees Celsius.
        temperature_c: i16,
        /// Degrees that the rule allows.
        most_c: i16,
    },
    /// The machine's memory is short.
    MemoryShort {
        /// Percent that is taken.
        pct: u8,
        /// Percent that the rule allows.
        most_pct: u8,
    },
}

impl Rule {
    /// All, in the order of what they object to.
    pub const ALL: [Self; 11] = [
        Self::Hours,
        Self::Idle,
        Self::FullScreen,
        Self::Apps,
        Self::ForeignGpu,
        Self::Battery,
        Self::Temperature,
        Self::Memory,
        Self::Duty,
        Self::Upload,
        Self::Download,
    ];
}

impl Rules {
    /// Whether a rule is there.
    #[must_use]
    pub fn has(&self, rule: Rule) -> bool {
        match rule {
            Rule::Idle => self.idle_s.is_some(),
            Rule::FullScreen => self.full_screen,
            Rule::Apps => !self.apps.is_empty(),
            Rule::ForeignGpu => self.foreign_gpu_pct.is_some(),
            Rule::Battery => self.battery,
            Rule::Hours => !self.hours.is_empty(),
            Rule::Temperature => self.temperature_c.is_some(),
            Rule::Memory => self.memory_pct.is_some(),
            Rule::Duty => self.shares.duty_pct.is_some(),
            Rule::Upload => self.shares.upload_mbit_s.is_some(),
            Rule::Download => self.shares.download_mbit_s.is_some(),
        }
    }

    /// What one rule has against lending now.
    fn objects(&self, rule: Rule, now: &Readings) -> Option<Objection> {
        match rule {
            Rule::Idle => {
                let (least_s, idle_s) = (self.idle_s?, now.idle_s?);
                (idle_s < least_s).then_some(Objection::InUse { idle_s, least_s })
            }
            Rule::FullScreen => {
                (self.full_screen && now.full_screen?).then_some(Objection::FullScreen)
            }
            Rule::Apps => {
                let runs = now.apps.as_ref()?;
                let listed = self.apps.iter().find(|app| runs.contains(app));
                listed.cloned().map(Objection::App)
            }
            Rule::ForeignGpu => {
                let (most_pct, pct) = (self.foreign_gpu_pct?, now.foreign_gpu_pct?);
                (pct > most_pct).then_some(Objection::GpuInUse { pct, most_pct })
            }
            Rule::Battery => (self.battery && now.on_battery?).then_some(Objection::OnBattery),
            Rule::Hours => {
                let opens_in_min = hours::opens_in(&self.hours, now.minute)?;
                (opens_in_min > 0).then_some(Objection::OutOfHours { opens_in_min })
            }
            Rule::Temperature => {
                let (most_c, temperature_c) = (self.temperature_c?, now.temperature_c?);
                (temperature_c > most_c).then_some(Objection::TooHot {
                    temperature_c,
                    most_c,
                })
            }
            Rule::Memory => {
                let (most_pct, pct) = (self.memory_pct?, now.memory_pct?);
                (pct > most_pct).then_some(Objection::MemoryShort { pct, most_pct })
            }
            Rule::Duty | Rule::Upload | Rule::Download => None,
        }
    }
}

impl Readings {
    /// Whether there is something to judge a rule by.
    #[must_use]
    pub fn has(&self, rule: Rule) -> bool {
        match rule {
            Rule::Idle => self.idle_s.is_some(),
            Rule::FullScreen => self.full_screen.is_some(),
            Rule::Apps => self.apps.is_some(),
            Rule::ForeignGpu => self.foreign_gpu_pct.is_some(),
            Rule::Battery => self.on_battery.is_some(),
            Rule::Temperature => self.temperature_c.is_some(),
            Rule::Memory => self.memory_pct.is_some(),
            Rule::Hours | Rule::Duty | Rule::Upload | Rule::Download => true,
        }
    }
}

/// A device, as its owner lends it.
#[derive(Clone, Debug, Default)]
pub struct Lending {
    /// What its owner says.
    pub switch: Switch,
    /// On what conditions.
    pub rules: Rules,
    /// When a rule has last objected, and how.
    last: Vec<(Rule, u64, Objection)>,
}

impl Lending {
    /// As its owner has it; nothing has objected yet.
    #[must_use]
    pub fn new(switch: Switch, rules: Rules) -> Self {
        Self {
            switch,
            rules,
            last: Vec::new(),
        }
    }

    /// What speaks against lending now, the weightiest first. A pause that is over ends here.
    pub fn judge(&mut self, unix_s: u64, now: &Readings) -> Vec<Objection> {
        let mut against = Vec::new();
        match self.switch {
            Switch::On => {}
            Switch::Off => against.push(Objection::Off),
            Switch::Paused {
                until_s: Some(until_s),
            } if until_s <= unix_s => self.switch = Switch::On,
            Switch::Paused { until_s } => against.push(Objection::Paused { until_s }),
        }
        for rule in Rule::ALL {
            against.extend(self.judge_by(rule, unix_s, now));
        }
        against
    }

    fn judge_by(&mut self, rule: Rule, unix_s: u64, now: &Readings) -> Option<Objection> {
        let place = self.last.iter().position(|(of, ..)| *of == rule);
        let before = place.map(|place| self.last.swap_remove(place));
        let objection = self.rules.objects(rule, now);
        let (since, objection) = match (objection, before) {
            (Some(objection), _) => (unix_s, objection),
            (None, Some((_, since, was))) if self.lasts(rule, since, unix_s, now) => (since, was),
            (None, _) => return None,
        };
        self.last.push((rule, since, objection.clone()));
        Some(objection)
    }

    /// Whether what a rule objected to is not quite over.
    fn lasts(&self, rule: Rule, since: u64, unix_s: u64, now: &Readings) -> bool {
        let calm = unix_s.saturating_sub(since) >= CALM_S;
        match rule {
            Rule::FullScreen | Rule::Apps | Rule::ForeignGpu | Rule::Memory => {
                self.rules.has(rule) && !calm
            }
            Rule::Temperature => {
                let most = self.rules.temperature_c.map(|most| most - COOLER_C);
                most.zip(now.temperature_c)
                    .is_some_and(|(most, is)| is > most)
            }
            Rule::Idle | Rule::Battery | Rule::Hours => false,
            Rule::Duty | Rule::Upload | Rule::Download => false,
        }
    }

    /// What a rule does at the moment, by what [`Lending::judge`] has found last.
    #[must_use]
    pub fn standing(&self, rule: Rule, now: &Readings) -> Standing {
        let limits = matches!(rule, Rule::Duty | Rule::Upload | Rule::Download);
        if !self.rules.has(rule) {
            Standing::Off
        } else if limits {
            Standing::Limits
        } else if self.last.iter().any(|(of, ..)| *of == rule) {
            Standing::Forbids
        } else if now.has(rule) {
            Standing::Allows
        } else {
            Standing::Unknown
        }
    }
}

impl Objection {
    /// Stable snake-case code for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Off => "lending_off",
            Self::Paused { .. } => "lending_paused",
            Self::InUse { .. } => "machine_in_use",
            Self::FullScreen => "full_screen",
            Self::App(_) => "app_runs",
            Self::GpuInUse { .. } => "gpu_in_use",
            Self::OnBattery => "on_battery",
            Self::OutOfHours { .. } => "out_of_hours",
            Self::TooHot { .. } => "too_hot",
            Self::MemoryShort { .. } => "memory_short",
        }
    }

    /// What a person can do about it.
    #[must_use]
    pub fn fix(&self) -> &'static str {
        match self {
            Self::Off | Self::Paused { .. } => "lend again with `starling lend on`",
            Self::InUse { .. } => {
                "nothing to do: it lends when nobody is there; `lend.idle_s` says how long"
            }
            Self::FullScreen => "nothing to do, or set `lend.full_screen` to \"lend\"",
            Self::App(_) => "end the application, or take it off `lend.apps`",
            Self::GpuInUse { .. } => "nothing to do, or raise `lend.foreign_gpu_pct`",
            Self::OnBattery => "plug it in, or set `lend.battery` to \"lend\"",
            Self::OutOfHours { .. } => "nothing to do, or change `lend.hours`",
            Self::TooHot { .. } => {
                "nothing to do: it lends when it is cooler; see `lend.temperature_c`"
            }
            Self::MemoryShort { .. } => "close what needs much memory, or raise `lend.memory_pct`",
        }
    }
}

impl fmt::Display for Objection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("lending is switched off"),
            Self::Paused { until_s: None } => f.write_str("lending is paused"),
            Self::Paused { until_s: Some(_) } => f.write_str("lending is paused for a while"),
            Self::InUse { idle_s, least_s } => write!(
                f,
                "somebody was at the machine {idle_s} s ago, and it lends after {least_s} s"
            ),
            Self::FullScreen => f.write_str("an application fills the screen"),
            Self::App(name) => write!(f, "{name} runs"),
            Self::GpuInUse { pct, most_pct } => write!(
                f,
                "other programs use {pct} % of the GPU, and it lends up to {most_pct} %"
            ),
            Self::OnBattery => f.write_str("the machine runs on battery"),
            Self::OutOfHours { opens_in_min } => write!(
                f,
                "it lends at other hours, next in {} h {} min",
                opens_in_min / 60,
                opens_in_min % 60
            ),
            Self::TooHot {
                temperature_c,
                most_c,
            } => write!(
                f,
                "the device has {temperature_c} \u{b0}C, and it lends up to {most_c} \u{b0}C"
            ),
            Self::MemoryShort { pct, most_pct } => write!(
                f,
                "{pct} % of the machine's memory is taken, and it lends up to {most_pct} %"
            ),
        }
    }
}
