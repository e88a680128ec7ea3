//! `starling config`: the settings, where each comes from, and a safe way to change one.

use clap::{Args, Subcommand};
use serde_json::json;

use super::Context;
use super::exit::{Exit, Failure, Outcome};
use super::place::{Place, address, write_atomically};
use crate::home::DiskError;
use crate::home::config::{KEYS, Key, Kind, Value, edit};

/// Show and change the settings.
///
/// A flag stands above a variable, a variable above the file, and the file above the default. Every setting has a
/// variable: STARLING_LIMITS_THREADS is limits.threads. `--set limits.threads=2` is the flag, on any command.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  starling config show --origin
  starling config get limits.threads
  starling config set limits.threads 2
  starling config set network.bootstrap /ip4/192.0.2.7/tcp/4001,/ip4/192.0.2.8/tcp/4001
  starling config unset limits.threads")]
pub struct Config {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Print one setting.
    Get {
        /// Its name, as `config show` prints it.
        #[arg(value_name = "KEY", value_parser = key)]
        key: &'static Key,
    },
    /// Write one setting into the file; comments stay.
    Set {
        /// Its name, as `config show` prints it.
        #[arg(value_name = "KEY", value_parser = key)]
        key: &'static Key,
        /// Its value; lists are separated by commas.
        #[arg(allow_hyphen_values = true)]
        value: String,
    },
    /// Take one setting out of the file, so that its default counts.
    Unset {
        /// Its name, as `config show` prints it.
        #[arg(value_name = "KEY", value_parser = key)]
        key: &'static Key,
    },
    /// Print all settings.
    Show {
        /// Say where each value comes from.
        #[arg(long)]
        origin: bool,
    },
}

/// Parses `KEY=VALUE`; the settings judge both.
pub fn assignment(text: &str) -> Result<(String, String), String> {
    let (key, value) = text
        .split_once('=')
        .ok_or("write it as KEY=VALUE, for instance limits.threads=2")?;
    Ok((key.trim().to_owned(), value.to_owned()))
}

fn key(name: &str) -> Result<&'static Key, String> {
    Key::find(name).ok_or_else(|| match Key::like(name) {
        Some(like) => format!("there is no such setting; did you mean `{like}`?"),
        None => "there is no such setting; `starling config show` lists them all".into(),
    })
}

impl Config {
    pub(super) fn run(self, context: &Context) -> Outcome {
        let place = context.place()?;
        match self.command {
            Command::Get { key } => get(context, &place, key)?,
            Command::Set { key, value } => set(context, &place, key, Some(&value))?,
            Command::Unset { key } => set(context, &place, key, None)?,
            Command::Show { origin } => show(context, &place, origin)?,
        }
        Ok(Exit::Ok)
    }
}

fn get(context: &Context, place: &Place, key: &Key) -> Result<(), Failure> {
    let settings = place.settings()?;
    let value = key.get(&settings.config);
    if context.console.json {
        let origin = settings.origin(key);
        let all = json!({ "key": key.name, "value": value, "origin": origin });
        context.console.json(&all);
        return Ok(());
    }
    // Bare, for scripts: a list has a line for each item.
    match value {
        Value::Text(text) => context.console.data(text),
        Value::Number(number) => context.console.data(number.to_string()),
        Value::List(items) => items.iter().for_each(|item| context.console.data(item)),
    }
    Ok(())
}

fn set(
    context: &Context,
    place: &Place,
    key: &'static Key,
    text: Option<&str>,
) -> Result<(), Failure> {
    let value = text.map(|text| value_of(key, text)).transpose()?;
    change(context, place, key, value)?;
    if context.console.json {
        get(context, place, key)?;
    }
    Ok(())
}

/// Sets a setting to a value of its kind, and says what that does.
pub fn put(context: &Context, place: &Place, name: &str, value: &Value) -> Result<(), Failure> {
    let key = Key::find(name).ok_or_else(|| Failure::of(format!("there is no setting {name}")))?;
    let checked = key.kind.check(value, &address);
    checked.map_err(|misfit| unfit(key, value, misfit.problem))?;
    change(context, place, key, Some(value.clone()))
}

fn change(
    context: &Context,
    place: &Place,
    key: &'static Key,
    value: Option<Value>,
) -> Result<(), Failure> {
    // A file with a mistake is told before it is touched.
    place.config()?;
    write(place, key.name, value.as_ref())?;
    let settings = place.settings()?;
    let counts = key.get(&settings.config);
    if value.is_some_and(|value| value != counts) {
        let origin = settings.origin(key);
        context.console.note(format!(
            "written, but {origin} stands above the file: {counts}"
        ));
    }
    if place.running().is_some() && !key.is_live() {
        context
            .console
            .note("`starling up` runs in this home: it takes the settings at its next start");
    }
    Ok(())
}

fn value_of(key: &Key, text: &str) -> Result<Value, Failure> {
    let checked = key.kind.read(text).and_then(|value| {
        let checked = key.kind.check(&value, &address);
        checked.map(|()| value).map_err(|misfit| misfit.problem)
    });
    checked.map_err(|problem| unfit(key, format_args!("{text:?}"), problem))
}

fn unfit(key: &Key, value: impl std::fmt::Display, problem: String) -> Failure {
    let what = format!("{} cannot be {value}", key.name);
    Failure::new(Exit::Usage, what, problem)
}

/// Writes a setting of this home, or takes it out.
pub fn write(place: &Place, name: &str, value: Option<&Value>) -> Result<(), Failure> {
    let path = place.config_file();
    let text = std::fs::read_to_string(&path)
        .map_err(|e| Failure::from(DiskError::new("read", &path, e)))?;
    let new = Key::find(name).and_then(|key| edit::set(&text, key, value));
    let new = new.ok_or_else(|| {
        Failure::new(
            Exit::Error,
            format!("{} has no place for {name}", path.display()),
            "correct its sections, or delete the file",
        )
    })?;
    write_atomically(&path, new.as_bytes())
}

fn show(context: &Context, place: &Place, with_origin: bool) -> Result<(), Failure> {
    let settings = place.settings()?;
    if context.console.json {
        let all: Vec<_> = KEYS
            .iter()
            .map(|key| {
                json!({
                    "key": key.name, "value": key.get(&settings.config), "about": key.about,
                    "default": key.get(&crate::home::Config::default()), "range": key.kind.hint(),
                    "variable": key.variable(), "origin": settings.origin(key),
                })
            })
            .collect();
        let file = place.config_file();
        context
            .console
            .json(&json!({ "file": file, "settings": all }));
        return Ok(());
    }
    for key in &KEYS {
        let value = key.get(&settings.config);
        let line = format!("{} = {value}", key.name);
        context.console.data(if with_origin {
            format!("{line:<50} # {}", settings.origin(key))
        } else {
            line
        });
        if context.verbose > 0 {
            let range = match key.kind {
                Kind::Addresses => String::new(),
                _ => format!("; {}", key.kind.hint()),
            };
            context.console.data(format!("    {}{range}", key.about));
        }
    }
    Ok(())
}
