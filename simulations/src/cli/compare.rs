//! `compare`: two results folders, metric by metric.

use super::{End, print};
use starling_sim::results::{Folder, compare};
use std::path::PathBuf;

/// Compare two results folders: which metrics differ, by how much, and whether that is better
#[derive(clap::Args)]
pub struct Args {
    /// The folder to compare with
    a: PathBuf,
    /// The folder that is compared
    b: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args) -> super::Result {
    let compared = compare(&Folder::open(&args.a)?, &Folder::open(&args.b)?)?;
    if args.json {
        print(&serde_json::to_string_pretty(&compared)?)?;
    } else {
        print(&compared.text())?;
    }
    Ok(End::Good)
}
