//! `starling shader`: looks at compute shaders before anybody else does, and starts new ones.

mod check;
mod new;

use std::path::Path;

use clap::{Args, Subcommand};
use serde_json::json;
use starling_kernels::shader::Refusal;

pub(super) use check::assignment;

use super::Context;
use super::exit::{Exit, Failure, Outcome};

/// Look at a compute shader, or start a new one.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  starling shader new squares                       a shader and its job, to begin with
  starling shader check squares/job.toml            what it is, and what it costs")]
pub struct Shader {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand, Debug)]
enum What {
    Check(check::Check),
    New(new::New),
}

impl Shader {
    pub(super) fn run(self, context: &Context) -> Outcome {
        match self.what {
            What::Check(check) => check.run(context),
            What::New(new) => new.run(context),
        }
    }
}

/// Every reason not to run a shader, each with its line.
pub(super) fn refused(file: &Path, text: &str, all: &[Refusal]) -> Failure {
    // With several, each fix stands beside its line.
    let beside = all.len() > 1;
    let what: Vec<String> = all.iter().map(|r| shown(file, text, r, beside)).collect();
    let fixes: Vec<&str> = all.iter().map(|r| r.fix.as_str()).collect();
    let mut failure = Failure::new(
        Exit::Usage,
        what.join("\n"),
        if let [only] = fixes[..] { only } else { "" },
    );
    failure.code = "shader_refused".into();
    let params = [("file", json!(file)), ("refusals", json!(all))];
    failure
        .params
        .extend(params.map(|(k, v)| (k.to_owned(), v)));
    failure.fix = failure.fix.filter(|fix| !fix.is_empty());
    failure
}

/// A reason, and the line that it is about; the fix `beside` it.
fn shown(file: &Path, text: &str, refusal: &Refusal, beside: bool) -> String {
    let Refusal {
        line,
        column,
        reason,
        fix,
        ..
    } = refusal;
    let fix = if fix.is_empty() || !beside {
        String::new()
    } else {
        format!(" ({fix})")
    };
    let number = (*line as usize).checked_sub(1);
    let Some(code) = number.and_then(|n| text.lines().nth(n)) else {
        return format!("{}: {reason}{fix}", file.display());
    };
    // Tabs keep the mark below its place.
    let before = code.chars().take((*column as usize).saturating_sub(1));
    let space: String = before.map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
    let margin = " ".repeat(line.to_string().len());
    format!(
        "{}:{line}:{column}: {reason}{fix}\n {line} | {code}\n {margin} | {space}^",
        file.display()
    )
}
