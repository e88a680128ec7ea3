//! Where a setting comes from: the default, below the file, below a variable, below a flag.
//!
//! Reads all layers and remembers for each key which one won. Invariant: a value from any layer was checked against
//! the table, and whatever a layer says that the table does not know is an error.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::Serialize;
use toml_edit::{Document, Item, Table};

use super::keys::{Key, Value};
use super::{AddressCheck, Config, ConfigError, DEFAULT_FILE, KEYS, MAX_FILE};
use crate::home::disk::{self, DiskError};

/// Who said it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "from", rename_all = "snake_case")]
pub enum Origin {
    /// Nobody: the program's own value.
    Default,
    /// The settings file.
    File {
        /// Which.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// A variable of the environment.
    Variable {
        /// Its name.
        name: String,
    },
    /// The command line.
    Flag,
}

impl Origin {
    /// One word for programs.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::File { .. } => "file",
            Self::Variable { .. } => "variable",
            Self::Flag => "flag",
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Variable { name } => write!(f, "${name}"),
            Self::Flag => f.write_str("--set"),
        }
    }
}

/// What stands above the file.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// Names and values of the environment.
    pub variables: BTreeMap<String, String>,
    /// Keys and values of the command line, in order: the last one of a key counts.
    pub flags: Vec<(String, String)>,
}

impl Overrides {
    /// The variables of this process that name a setting.
    pub fn of_process(flags: Vec<(String, String)>) -> Self {
        let set = |key: &Key| {
            let name = key.variable();
            std::env::var(&name).ok().map(|value| (name, value))
        };
        Self {
            variables: KEYS.iter().filter_map(set).collect(),
            flags,
        }
    }
}

/// Settings, and who said what.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// What counts.
    pub config: Config,
    origins: BTreeMap<&'static str, Origin>,
}

impl Settings {
    /// Reads `path`, or writes the default file there on the first run.
    ///
    /// # Errors
    /// [`ConfigError`], with place and fix.
    pub fn load_or_create(
        path: &Path,
        overrides: &Overrides,
        address: AddressCheck<'_>,
    ) -> Result<Self, ConfigError> {
        if !path.exists() {
            disk::create_whole(path, DEFAULT_FILE.as_bytes())?;
        }
        Self::load(path, overrides, address)
    }

    /// Reads `path`; a file that is missing says nothing.
    ///
    /// # Errors
    /// [`ConfigError`], with place and fix.
    pub fn load(
        path: &Path,
        overrides: &Overrides,
        address: AddressCheck<'_>,
    ) -> Result<Self, ConfigError> {
        let bytes = match std::fs::metadata(path) {
            Ok(about) => about.len(),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                return Self::parse("", path, overrides, address);
            }
            Err(e) => return Err(DiskError::new("read", path, e).into()),
        };
        if bytes > MAX_FILE {
            return Err(ConfigError::TooLong {
                path: path.to_owned(),
                bytes,
            });
        }
        let text = std::fs::read_to_string(path).map_err(DiskError::on("read", path))?;
        Self::parse(&text, path, overrides, address)
    }

    /// Parses the text of a settings file; `path` is for messages only.
    ///
    /// # Errors
    /// [`ConfigError`], with place and fix.
    pub fn parse(
        text: &str,
        path: &Path,
        overrides: &Overrides,
        address: AddressCheck<'_>,
    ) -> Result<Self, ConfigError> {
        let mut settings = Self::default();
        settings.take_file(&File { text, path }, address)?;
        for key in &KEYS {
            let name = key.variable();
            if let Some(value) = overrides.variables.get(&name) {
                settings.take_text(key, value, Origin::Variable { name }, address)?;
            }
        }
        for (name, value) in &overrides.flags {
            let key = Key::find(name).ok_or_else(|| ConfigError::Override {
                origin: Origin::Flag.to_string(),
                problem: unknown(name),
            })?;
            settings.take_text(key, value, Origin::Flag, address)?;
        }
        Ok(settings)
    }

    /// Who said what `key` is.
    pub fn origin(&self, key: &Key) -> &Origin {
        self.origins.get(key.name).unwrap_or(&Origin::Default)
    }

    fn take_text(
        &mut self,
        key: &'static Key,
        text: &str,
        origin: Origin,
        address: AddressCheck<'_>,
    ) -> Result<(), ConfigError> {
        let read = key.kind.read(text).and_then(|value| {
            let checked = key.kind.check(&value, address);
            checked.map(|()| value).map_err(|misfit| misfit.problem)
        });
        let value = read.map_err(|problem| ConfigError::Override {
            origin: origin.to_string(),
            problem: format!("{} = {text:?}: {problem}", key.name),
        })?;
        key.put(&mut self.config, &value);
        self.origins.insert(key.name, origin);
        Ok(())
    }

    fn take_file(&mut self, file: &File<'_>, address: AddressCheck<'_>) -> Result<(), ConfigError> {
        let document = Document::parse(file.text).map_err(|e| {
            let problem = format!("{}; correct or delete that line", e.message());
            file.invalid(e.span(), problem)
        })?;
        for (section, item) in document.iter() {
            let known = KEYS
                .iter()
                .any(|key| key.name.split('.').next() == Some(section));
            let Some(table) = item.as_table_like().filter(|_| known) else {
                let span = name_span(document.as_table(), section).or(item.span());
                return Err(file.invalid(span, unknown(section)));
            };
            for (short, item) in table.iter() {
                let name = format!("{section}.{short}");
                let span = table.key(short).and_then(toml_edit::Key::span);
                let Some(key) = Key::find(&name) else {
                    return Err(file.invalid(span, unknown(&name)));
                };
                self.take_item(file, key, item, address)?;
            }
        }
        Ok(())
    }

    fn take_item(
        &mut self,
        file: &File<'_>,
        key: &'static Key,
        item: &Item,
        address: AddressCheck<'_>,
    ) -> Result<(), ConfigError> {
        let shown = || format!("{} = {}", key.name, item.to_string().trim());
        let value = value_of(item).ok_or_else(|| {
            file.invalid(item.span(), format!("{}: {}", shown(), key.kind.hint()))
        })?;
        key.kind.check(&value, address).map_err(|misfit| {
            let at = misfit.item.and_then(|n| item.as_array()?.get(n)?.span());
            let problem = match at {
                Some(_) => misfit.problem,
                None if item.is_array() => format!("{}: {}", key.name, misfit.problem),
                None => format!("{}: {}", shown(), misfit.problem),
            };
            file.invalid(at.or(item.span()), problem)
        })?;
        key.put(&mut self.config, &value);
        let origin = Origin::File {
            path: file.path.to_owned(),
            line: file.line(item.span()),
        };
        self.origins.insert(key.name, origin);
        Ok(())
    }
}

fn name_span(table: &Table, name: &str) -> Option<Range<usize>> {
    table.key(name).and_then(toml_edit::Key::span)
}

fn value_of(item: &Item) -> Option<Value> {
    if let Some(text) = item.as_str() {
        return Some(Value::Text(text.to_owned()));
    }
    if let Some(number) = item.as_integer() {
        return u64::try_from(number).ok().map(Value::Number);
    }
    let items = item
        .as_array()?
        .iter()
        .map(|i| i.as_str().map(str::to_owned));
    items.collect::<Option<_>>().map(Value::List)
}

/// What to say about a name that is no setting.
pub(super) fn unknown(name: &str) -> String {
    match Key::like(name) {
        Some(like) => format!("there is no setting `{name}`; did you mean `{like}`?"),
        None => format!("there is no setting `{name}`; `starling config show` lists them all"),
    }
}

/// A settings file, for messages.
struct File<'a> {
    text: &'a str,
    path: &'a Path,
}

impl File<'_> {
    fn line(&self, span: Option<Range<usize>>) -> usize {
        let before = span.map_or(0, |span| span.start);
        1 + self
            .text
            .bytes()
            .take(before)
            .filter(|b| *b == b'\n')
            .count()
    }

    fn invalid(&self, span: Option<Range<usize>>, problem: String) -> ConfigError {
        ConfigError::Invalid {
            path: self.path.to_owned(),
            line: self.line(span),
            problem,
        }
    }
}
