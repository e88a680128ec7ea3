//! `bench`: how fast the simulator is, and how much a peer takes.

use super::{End, print};
use starling_sim::bench;

/// Measure the kernel, and swarms of several sizes
#[derive(clap::Args)]
pub struct Args {
    /// Sizes of swarms of unmodified peers
    #[arg(long, value_delimiter = ',', default_values_t = [1_000, 10_000, 100_000])]
    peers: Vec<u32>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Measure one swarm in this process: memory counts from its start
    #[arg(long, hide = true)]
    one: Option<u32>,
}

pub fn run(args: &Args) -> super::Result {
    if let Some(peers) = args.one {
        print(&serde_json::to_string(&bench::swarm(peers)?)?)?;
        return Ok(End::Good);
    }
    let kernel = bench::kernel();
    if !args.json {
        print(&kernel.to_string())?;
    }
    let mut swarms = Vec::new();
    for peers in &args.peers {
        let swarm = bench::in_child(*peers)?;
        if !args.json {
            print(&swarm.to_string())?;
        }
        swarms.push(swarm);
    }
    if args.json {
        let all =
            serde_json::json!({ "kernel": kernel, "swarms": swarms, "workload": bench::WORKLOAD });
        print(&serde_json::to_string_pretty(&all)?)?;
    }
    Ok(End::Good)
}
