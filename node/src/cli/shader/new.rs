//! `shader new`: a folder with a shader and a job that run, to be changed into what one wants.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;
use starling_kernels::shader::gallery::{self, Example};

use crate::cli::Context;
use crate::cli::exit::{Exit, Failure, Outcome};
use crate::home::DiskError;

/// Start a shader's job in a new folder, from an example that runs.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  starling shader new squares                       the smallest that is useful
  starling shader new soften --template blur        a filter of pictures
  starling shader new --list                        what there is

Then, in the folder:
  starling run wgsl job.toml --local                compute it here, with its timing
  starling run wgsl job.toml                        compute it with the swarm")]
pub struct New {
    /// The folder to make.
    #[arg(value_name = "NAME", required_unless_present = "list")]
    name: Option<PathBuf>,
    /// The example to begin with.
    #[arg(long, default_value = "hello", value_name = "EXAMPLE")]
    template: String,
    /// Name the examples, and make nothing.
    #[arg(long)]
    list: bool,
}

impl New {
    pub(super) fn run(self, context: &Context) -> Outcome {
        let out = context.console;
        let Some(folder) = self.name.filter(|_| !self.list) else {
            if out.json {
                let all: Vec<_> = gallery::ALL
                    .iter()
                    .map(|e| json!({ "name": e.name, "about": e.about() }))
                    .collect();
                out.json(&json!({ "examples": all }));
            } else {
                for example in gallery::ALL {
                    out.data(format!("{:<11} {}", example.name, example.about()));
                }
            }
            return Ok(Exit::Ok);
        };
        let example = gallery::named(&self.template).ok_or_else(|| {
            let names: Vec<_> = gallery::ALL.iter().map(|e| e.name).collect();
            Failure::new(
                Exit::Usage,
                format!("there is no example {:?}", self.template),
                format!("choose one of {}", names.join(", ")),
            )
        })?;
        write(&folder, example)?;
        if out.json {
            out.json(&json!({ "folder": folder, "example": example.name }));
        } else {
            out.data(folder.display().to_string());
            out.note(format!(
                "try it: cd {} && starling run wgsl job.toml --local",
                folder.display()
            ));
        }
        Ok(Exit::Ok)
    }
}

fn write(folder: &std::path::Path, example: &Example) -> Result<(), Failure> {
    std::fs::create_dir(folder).map_err(|e| match e.kind() {
        std::io::ErrorKind::AlreadyExists => Failure::new(
            Exit::Usage,
            format!("{} is there already", folder.display()),
            "choose another name",
        ),
        _ => DiskError::new("create", folder, e).into(),
    })?;
    for (name, bytes) in example.files {
        let path = folder.join(name);
        std::fs::write(&path, bytes)
            .map_err(|e| Failure::from(DiskError::new("write", &path, e)))?;
    }
    Ok(())
}
