//! `bench`: how fast the simulator is, and how much a peer takes.

use super::{End, print};
use serde::Serialize;
use serde::de::DeserializeOwned;
use starling_sim::bench;
use std::fmt::Display;

/// Measure the kernel, and swarms of several sizes
#[derive(clap::Args)]
pub struct Args {
    /// Sizes of swarms of unmodified peers
    #[arg(long, value_delimiter = ',', default_values_t = [1_000, 10_000, 100_000])]
    peers: Vec<u32>,
    /// Sizes of swarms of light peers
    #[arg(long, value_delimiter = ',', default_values_t = [100_000, 1_000_000])]
    light: Vec<u32>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Measure one swarm in this process: memory counts from its start
    #[arg(long, hide = true, exclusive = true)]
    one: Option<u32>,
    /// The same of light peers
    #[arg(long, hide = true, exclusive = true)]
    one_light: Option<u32>,
}

pub fn run(args: &Args) -> super::Result {
    if let Some(peers) = args.one {
        print(&serde_json::to_string(&bench::swarm(peers)?)?)?;
        return Ok(End::Good);
    }
    if let Some(peers) = args.one_light {
        print(&serde_json::to_string(&bench::light_swarm(peers)?)?)?;
        return Ok(End::Good);
    }
    let (kernel, models) = (bench::kernel(), bench::models());
    if !args.json {
        print(&format!("{kernel}\n{models}"))?;
    }
    let swarms: Vec<bench::Swarm> = all("--one", &args.peers, args.json)?;
    let light: Vec<bench::LightSwarm> = all("--one-light", &args.light, args.json)?;
    if args.json {
        let all = serde_json::json!({
            "kernel": kernel,
            "models": models,
            "swarms": swarms,
            "workload": bench::WORKLOAD,
            "light": light,
            "light_workload": bench::LIGHT_WORKLOAD,
        });
        print(&serde_json::to_string_pretty(&all)?)?;
    }
    Ok(End::Good)
}

/// Measures every size in a process of its own, and shows each as soon as it is there.
fn all<T: Serialize + DeserializeOwned + Display>(
    what: &str,
    sizes: &[u32],
    quiet: bool,
) -> Result<Vec<T>, Box<dyn std::error::Error>> {
    let mut measured = Vec::new();
    for peers in sizes {
        let one: T = bench::in_child(what, *peers)?;
        if !quiet {
            print(&one.to_string())?;
        }
        measured.push(one);
    }
    Ok(measured)
}
