//! `report`: tables, plots and page of a results folder, made anew.

use super::{End, print};
use starling_sim::results::{Folder, export};
use std::path::PathBuf;

/// Make tables, plots and report.html of a results folder anew
#[derive(clap::Args)]
pub struct Args {
    /// The results folder
    folder: PathBuf,
}

pub fn run(args: &Args) -> super::Result {
    let exported = export(&Folder::open(&args.folder)?)?;
    print(&format!(
        "{} runs of {} cells",
        exported.runs, exported.cells
    ))?;
    for file in &exported.files {
        print(&file.display().to_string())?;
    }
    Ok(End::Good)
}
