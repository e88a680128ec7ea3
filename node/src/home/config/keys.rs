//! What a setting is: name, meaning, what it takes, and where it stands in a [`Config`]. The table of them is `table`.
//!
//! Invariant: a value that [`Kind::check`] accepts can be put.

use std::fmt;

use serde::{Deserialize, Serialize};
use starling_protocol::lending::Hours;

use super::{AddressCheck, Config, KEYS};

/// Most items of one list.
const MAX_ITEMS: usize = 64;
/// Longest name of a program, in bytes.
const MAX_NAME: usize = 64;

/// A value of any setting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
    /// Names of programs, at most 64.
    Names,
    /// Hours of the week, at most 64 spans.
    Hours,
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
            Self::Names => {
                "write a list of programs' names, for instance [\"blender\", \"game.exe\"]".into()
            }
            Self::Hours => {
                "write a list of spans, for instance [\"mon-fri 22:00-08:00\", \"sat,sun\"]".into()
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
            (Self::Addresses, Value::List(items)) => return check_items(items, "address", address),
            (Self::Names, Value::List(items)) => return check_items(items, "name", &name),
            (Self::Hours, Value::List(items)) => {
                return check_items(items, "span of hours", &hours);
            }
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
            // Days are listed with commas too.
            Self::Hours => {
                let items = text.split(';').map(str::trim).filter(|i| !i.is_empty());
                Value::List(items.map(str::to_owned).collect())
            }
            Self::Addresses | Self::Names => {
                let items = text.split(',').map(str::trim).filter(|i| !i.is_empty());
                Value::List(items.map(str::to_owned).collect())
            }
            Self::OneOf(_) | Self::Text { .. } => Value::Text(text.trim().to_owned()),
            Self::Number { .. } => Value::Number(text.trim().parse().map_err(|_| self.hint())?),
        })
    }
}

fn name(text: &str) -> Result<(), String> {
    let fits = (1..=MAX_NAME).contains(&text.trim().len()) && !text.contains(char::is_control);
    fits.then_some(())
        .ok_or_else(|| format!("it has 1 to {MAX_NAME} bytes"))
}

fn hours(text: &str) -> Result<(), String> {
    text.parse::<Hours>().map(drop).map_err(|e| e.to_string())
}

fn check_items(
    items: &[String],
    what: &str,
    check: &dyn Fn(&str) -> Result<(), String>,
) -> Result<(), Misfit> {
    if items.len() > MAX_ITEMS {
        return Err(Misfit {
            item: None,
            problem: format!("more than {MAX_ITEMS} items; list fewer"),
        });
    }
    let bad = items
        .iter()
        .enumerate()
        .find_map(|(n, text)| check(text).err().map(|why| (n, text, why)));
    bad.map_or(Ok(()), |(n, text, why)| {
        Err(Misfit {
            item: Some(n),
            problem: format!("{text:?} is no {what}: {why}"),
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
    pub(super) get: fn(&Config) -> Value,
    pub(super) put: fn(&mut Config, &Value),
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

    /// Whether a running peer takes it when the file has changed; others count at its next start.
    pub fn is_live(&self) -> bool {
        self.name.starts_with("lend.") && !["lend.price", "lend.region"].contains(&self.name)
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
