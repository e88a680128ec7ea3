//! `validate`: the models against what theory says of them.

use super::{End, print};
use starling_sim::validate;

/// Check the models against theory: Kademlia's hops, the spread of gossip, the detection of cheats
#[derive(clap::Args)]
pub struct Args {
    /// Determines all randomness
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args) -> super::Result {
    let checks = validate::all(args.seed)?;
    let misses = checks.iter().filter(|c| !c.ok()).count();
    if args.json {
        print(&serde_json::to_string_pretty(&checks)?)?;
    } else {
        for check in &checks {
            let verdict = if check.ok() { "ok  " } else { "MISS" };
            print(&format!("{verdict} {check}"))?;
        }
        print(&format!("{misses} of {} checks missed", checks.len()))?;
    }
    Ok(End::good_if(misses == 0))
}
