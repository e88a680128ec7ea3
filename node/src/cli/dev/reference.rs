//! `starling dev reference`: commands, settings, reasons and the local API as pages, made from what the program goes by.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use clap::{Args, CommandFactory};
use serde_json::Value;

use super::super::Context;
use super::super::exit::{Exit, Failure, Outcome};
use super::super::man;
use super::super::place::write_atomically;
use crate::api;
use crate::home::config::KEYS;
use crate::home::{Config, DiskError};
use crate::reason::CODES;

/// Width of the commands' help, in characters.
const WIDTH: usize = 100;

/// Write the reference into a folder, as Markdown: commands, settings, reasons, and the local API.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  starling dev reference docs/reference")]
pub(super) struct Reference {
    /// Folder for commands.md, settings.md, reasons.md and api.md.
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

impl Reference {
    pub(super) fn run(self, context: &Context) -> Outcome {
        std::fs::create_dir_all(&self.folder)
            .map_err(|e| Failure::from(DiskError::new("create", &self.folder, e)))?;
        let pages = [
            ("commands.md", commands()),
            ("settings.md", settings()),
            ("reasons.md", reasons()),
            ("api.md", api()),
        ];
        let mut written = Vec::new();
        for (name, text) in pages {
            let file = self.folder.join(name);
            write_atomically(&file, text.as_bytes())?;
            written.push(file);
        }
        man::tell(context, &written);
        Ok(Exit::Ok)
    }
}

/// Says whose work a page is.
const MADE: &str =
    "<!-- Written by `starling dev reference`; change the program, not this page. -->\n\n";

fn commands() -> String {
    let mut text = format!(
        "# Commands\n\n{MADE}stdout is data, stderr is progress; `--json` gives one JSON object.\n"
    );
    let mut program = super::super::Cli::command().term_width(WIDTH);
    program.build();
    // Depth first, in the order of the help.
    let mut left = vec![program];
    while let Some(mut command) = left.pop() {
        let shown = |c: &&clap::Command| !c.is_hide_set() && c.get_name() != "help";
        let mut under: Vec<_> = command.get_subcommands().filter(shown).cloned().collect();
        under.reverse();
        let name = command.get_bin_name().unwrap_or(command.get_name());
        let title = name.to_owned();
        let help = command.render_long_help().to_string();
        // Options that every command has are said once.
        let help = match &*title {
            "starling" => help,
            _ => without_globals(&help),
        };
        let _ = write!(text, "\n## {title}\n\n```text\n{}\n```\n", tidy(&help));
        left.extend(under);
    }
    text
}

/// A help text without the options that the program itself explains.
fn without_globals(help: &str) -> String {
    let globals = [
        "--home",
        "--swarm",
        "--json",
        "--set",
        "--verbose",
        "--quiet",
        "--color",
        "--help",
        "--version",
    ];
    let mut kept: Vec<&str> = Vec::new();
    let mut skipping = false;
    for line in help.lines() {
        let option = line.trim_start();
        if option.starts_with('-') {
            let long = option
                .split(&[' ', ','])
                .find(|word| word.starts_with("--"));
            skipping = long.is_some_and(|long| globals.contains(&long.trim_end_matches("...")));
        } else if !line.starts_with(' ') {
            skipping = false;
        }
        if !skipping {
            kept.push(line);
        }
    }
    kept.join("\n")
}

/// Without blanks at the ends of lines, and no two empty lines.
fn tidy(text: &str) -> String {
    let mut lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    lines.dedup_by(|a, b| a.is_empty() && b.is_empty());
    lines.join("\n").trim().to_owned()
}

fn settings() -> String {
    let mut text = format!(
        "# Settings\n\n{MADE}In `HOME/config.toml`, as variables, or for one command as `--set KEY=VALUE`: the later counts more. `starling config show --origin` says who said \
         what.\n\n| setting | default | variable | what | counts |\n|---|---|---|---|---|\n"
    );
    let default = Config::default();
    for key in &KEYS {
        let counts = if key.is_live() {
            "at once"
        } else {
            "at the next start"
        };
        let _ = writeln!(
            text,
            "| `{}` | `{}` | `{}` | {}; {} | {counts} |",
            key.name,
            key.get(&default),
            key.variable(),
            cell(key.about),
            cell(&key.kind.hint()),
        );
    }
    text
}

fn reasons() -> String {
    let mut text = format!(
        "# Reasons\n\n{MADE}Why not: each has a stable code, and comes with a sentence, the particulars and a fix, in commands (`--json`), the local API and the pages.\n\n\
         | code | what |\n|---|---|\n"
    );
    let mut all: BTreeMap<&str, String> = BTreeMap::new();
    all.extend(CODES.map(|(code, what)| (code, what.to_owned())));
    for reason in starling_protocol::Reason::ALL {
        let what = format!("{reason}; {}", reason.fix());
        all.insert(reason.code(), what);
    }
    for (code, what) in all {
        let _ = writeln!(text, "| `{code}` | {} |", cell(&what));
    }
    text
}

fn api() -> String {
    let document = serde_json::to_value(api::document()).unwrap_or_default();
    let mut text = format!(
        "# The local API\n\n{MADE}{}\n\n| request | what | answers |\n|---|---|---|\n",
        document["info"]["description"].as_str().unwrap_or_default()
    );
    for (path, methods) in document["paths"].as_object().into_iter().flatten() {
        for (method, operation) in methods.as_object().into_iter().flatten() {
            let answers = operation["responses"].as_object().into_iter().flatten();
            let answers = answers.map(|(status, answer)| format!("{status}{}", schema_of(answer)));
            let _ = writeln!(
                text,
                "| `{} {path}` | {} | {} |",
                method.to_uppercase(),
                cell(operation["summary"].as_str().unwrap_or_default()),
                answers.collect::<Vec<_>>().join(", "),
            );
        }
    }
    for (name, schema) in document["components"]["schemas"]
        .as_object()
        .into_iter()
        .flatten()
    {
        let about = schema["description"].as_str().unwrap_or_default();
        let _ = write!(text, "\n## {name}\n\n{}\n", about.trim());
        let fields = schema["properties"].as_object();
        if fields.is_some_and(|fields| !fields.is_empty()) {
            text.push_str("\n| field | type | what |\n|---|---|---|\n");
        }
        for (field, of) in fields.into_iter().flatten() {
            let about = of["description"].as_str().unwrap_or_default();
            let _ = writeln!(text, "| `{field}` | {} | {} |", type_of(of), cell(about));
        }
    }
    text
}

/// What an answer holds, if it says so.
fn schema_of(answer: &Value) -> String {
    let kinds = answer["content"].as_object();
    let reference = kinds.into_iter().flatten().find_map(|(_, kind)| {
        let schema = kind["schema"]["$ref"].as_str()?;
        schema.rsplit('/').next()
    });
    reference.map_or(String::new(), |name| format!(" {name}"))
}

fn type_of(schema: &Value) -> String {
    if let Some(name) = schema["$ref"].as_str() {
        return name.rsplit('/').next().unwrap_or_default().to_owned();
    }
    let one = |kind: &str| match kind {
        "array" => format!("list of {}", type_of(&schema["items"])),
        other => other.to_owned(),
    };
    match &schema["type"] {
        Value::String(kind) => one(kind),
        Value::Array(kinds) => {
            let kinds = kinds.iter().filter_map(Value::as_str).map(one);
            kinds.collect::<Vec<_>>().join(" or ")
        }
        _ => {
            let any = schema["oneOf"].as_array().into_iter().flatten();
            let any: Vec<_> = any.map(type_of).collect();
            if any.is_empty() {
                "any".into()
            } else {
                any.join(" or ")
            }
        }
    }
}

/// A text in a table.
fn cell(text: &str) -> String {
    text.split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .replace('|', "\\|")
}
