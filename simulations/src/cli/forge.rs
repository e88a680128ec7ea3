//! `forge`: what receipts of a requester with a stuffed roster are worth, and what forging one takes.

use super::{End, print};
use starling_protocol::PeerKey;
use starling_protocol::manifest::Intensity;
use starling_sim::forge::{self, Forged, Forger, Strengths, Wanted};
use std::collections::BTreeSet;

/// Measure the strength of receipts from stuffed rosters, and the cost of forging one
#[derive(clap::Args)]
pub struct Args {
    /// Forgeries for each line
    #[arg(long, default_value_t = 20)]
    seeds: u32,
    /// Jobs of honest work for each share
    #[arg(long, default_value_t = 10)]
    jobs: u32,
    /// Peers in the forger's roster
    #[arg(long, default_value_t = 1024, value_parser = clap::value_parser!(u32).range(16..=1024))]
    roster: u32,
}

const SHARES: [f64; 3] = [0.1, 0.2, 0.33];

pub fn run(args: &Args) -> super::Result {
    print("| receipts | f | n | committee | knows all | half | none | least, knows all |")?;
    print("|---|--:|--:|--:|--:|--:|--:|--:|")?;
    for share in SHARES {
        strengths("of work", share, &forge::honest(share, args.jobs)?)?;
    }
    let mut costs = Vec::new();
    for share in SHARES {
        let forger = |seed| Forger::new(args.roster, share, u64::from(seed));
        let forgers: Vec<_> = (1..=args.seeds).map(forger).collect();
        for (name, wanted) in wishes() {
            let mut forged = Vec::new();
            for forger in &forgers {
                forged.extend(forger.forge(wanted)?.map(|f| (f, &forger.honest)));
            }
            let each = forged.iter().map(|(f, honest)| (&f.verified, *honest));
            strengths(&format!("forged, {name}"), share, &Strengths::of(each))?;
            costs.push(cost(name, share, &forgers, &forged));
        }
    }
    print(
        "\n| forged | f | of | keys tried for one | job ids | roots | expected of each | flagged |",
    )?;
    print("|---|--:|--:|--:|--:|--:|--:|--:|")?;
    for line in costs {
        print(&line)?;
    }
    Ok(End::Good)
}

/// A line of what forging took.
fn cost(
    name: &str,
    share: f64,
    forgers: &[Forger],
    forged: &[(Forged, &BTreeSet<PeerKey>)],
) -> String {
    let mean = |of: fn(&Forged) -> u64| {
        forged.iter().map(|(f, _)| of(f)).sum::<u64>() as f64 / forged.len().max(1) as f64
    };
    let keys = forgers.iter().map(|f| f.keys).sum::<f64>() / forgers.len().max(1) as f64;
    let expected = forgers.first().map_or(0, |f| 1_u64 << f.bits);
    let flagged = |f: &&(Forged, _)| f.0.verified.flags.names().next().is_some();
    format!(
        "| {name} | {share} | {} of {} | {keys:.0} | {:.0} | {:.0} | {expected} | {} |",
        forged.len(),
        forgers.len(),
        mean(|f| f.ids),
        mean(|f| f.roots),
        forged.iter().filter(flagged).count()
    )
}

fn wishes() -> [(&'static str, Wanted); 4] {
    let of = |intensity, weak| Wanted { intensity, weak };
    // Of any roster that is forged in.
    let newcomer = Intensity::newcomer(16);
    let least = Intensity {
        k: 1,
        s: 1,
        p_full: 0,
    };
    [
        ("k = 16, weak", of(newcomer, true)),
        ("k = 16", of(newcomer, false)),
        ("k = 8", of(Intensity::least(16), false)),
        ("k = 1", of(least, false)),
    ]
}

fn strengths(name: &str, share: f64, s: &Strengths) -> std::io::Result<()> {
    print(&format!(
        "| {name} | {share} | {} | {:.1} | {:.1} | {:.1} | {:.1} | {} |",
        s.receipts, s.committee, s.all, s.half, s.none, s.least
    ))
}
