//! `forge`: what receipts of a requester with a stuffed roster are worth, and what forging one takes.

use super::{End, print};
use starling_protocol::manifest::Intensity;
use starling_sim::forge::{self, Attempt, Forger, Strengths, Wanted};

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
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u32).range(17..=1024))]
    roster: u32,
    /// Job ids, and roots, after which a forger gives up
    #[arg(long, default_value_t = 100_000)]
    tries: u64,
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
            let mut attempts = Vec::new();
            for forger in &forgers {
                attempts.push(forger.forge(wanted, args.tries)?);
            }
            let each = attempts.iter().zip(&forgers);
            let forged = each.filter_map(|(a, f)| a.verified.as_ref().map(|v| (v, &f.honest)));
            strengths(&format!("forged, {name}"), share, &Strengths::of(forged))?;
            let expected = forgers.first().map_or((0.0, 0.0), |f| f.expected(wanted));
            costs.push(cost(name, share, &attempts, expected));
        }
    }
    print(
        "\n| forged | f | of | job ids for one | expected | roots for one | expected | flagged |",
    )?;
    print("|---|--:|--:|--:|--:|--:|--:|--:|")?;
    for line in costs {
        print(&line)?;
    }
    Ok(End::Good)
}

/// A line of what forging took: all tries, also those of who gave up, for each success.
fn cost(name: &str, share: f64, attempts: &[Attempt], (ids, roots): (f64, f64)) -> String {
    let of = attempts.len();
    let forged: Vec<_> = attempts
        .iter()
        .filter_map(|a| a.verified.as_ref())
        .collect();
    let for_one = |tried: u64, successes: usize| match successes {
        0 => format!("none in {tried}"),
        n => format!("{:.0}", tried as f64 / n as f64),
    };
    let chance = |tries: f64| match tries.is_finite() {
        true => format!("{tries:.0}"),
        false => "never".into(),
    };
    let flagged = forged.iter().filter(|v| v.flags.names().next().is_some());
    format!(
        "| {name} | {share} | {} of {of} | {} | {} | {} | {} | {} |",
        forged.len(),
        for_one(
            attempts.iter().map(|a| a.ids).sum(),
            attempts.iter().filter(|a| a.roots > 0).count()
        ),
        chance(ids),
        for_one(attempts.iter().map(|a| a.roots).sum(), forged.len()),
        chance(roots),
        flagged.count()
    )
}

fn wishes() -> [(&'static str, Wanted); 3] {
    let of = |intensity, weak| Wanted { intensity, weak };
    // Of any roster that is forged in.
    let newcomer = Intensity::newcomer(16);
    [
        ("k = 16, weak", of(newcomer, true)),
        ("k = 16", of(newcomer, false)),
        ("k = 8", of(Intensity::least(16), false)),
    ]
}

fn strengths(name: &str, share: f64, s: &Strengths) -> std::io::Result<()> {
    print(&format!(
        "| {name} | {share} | {} | {:.1} | {:.1} | {:.1} | {:.1} | {} |",
        s.receipts, s.committee, s.all, s.half, s.none, s.least
    ))
}
