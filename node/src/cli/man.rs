//! `starling man`: manual pages, made from the command line itself.

use std::path::PathBuf;

use clap::{Args, CommandFactory};
use serde_json::json;

use super::Context;
use super::exit::{Exit, Failure, Outcome};
use super::place::write_atomically;
use crate::home::DiskError;

/// Print the manual page, or write the pages of all commands into a folder.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  starling man | man -l -
  starling man ~/.local/share/man/man1")]
pub struct Man {
    /// Folder for starling.1, starling-run.1 and all the others.
    #[arg(value_name = "DIR")]
    folder: Option<PathBuf>,
}

impl Man {
    pub(super) fn run(self, context: &Context) -> Outcome {
        let mut command = super::Cli::command();
        command.build();
        let Some(folder) = self.folder else {
            super::console::write_out(&page(command)?);
            return Ok(Exit::Ok);
        };
        std::fs::create_dir_all(&folder)
            .map_err(|e| Failure::from(DiskError::new("create", &folder, e)))?;
        let (mut left, mut pages) = (vec![command], Vec::new());
        while let Some(command) = left.pop() {
            let hidden = |c: &&clap::Command| !c.is_hide_set() && c.get_name() != "help";
            left.extend(command.get_subcommands().filter(hidden).cloned());
            // `build` has given subcommands names like starling-run-render.
            let name = command.get_display_name().unwrap_or(command.get_name());
            let file = folder.join(format!("{name}.1"));
            write_atomically(&file, &page(command)?)?;
            pages.push(file);
        }
        tell(context, &pages);
        Ok(Exit::Ok)
    }
}

/// Says which pages were written.
pub fn tell(context: &Context, pages: &[PathBuf]) {
    let out = context.console;
    if out.json {
        out.json(&json!({ "pages": pages }));
    } else {
        let lines = pages.iter().map(|page| page.display().to_string());
        lines.for_each(|line| out.data(line));
    }
}

fn page(command: clap::Command) -> Result<Vec<u8>, Failure> {
    let mut page = Vec::new();
    clap_mangen::Man::new(command)
        .render(&mut page)
        .map_err(|e| Failure::of(format!("cannot write the manual page: {e}")))?;
    Ok(page)
}
