//! A light swarm by hand: `cargo run --release -p starling-sim --example light -- 100000 800 300 > report.json`.
//!
//! Peers, shards and virtual seconds; a fourth argument is the median session, s. The report goes to stdout, the wall
//! clock to stderr. Adverts come every 60 s, and peers start within the first of those.

use starling_sim::churn::{Churn, Weibull};
use starling_sim::{Experiment, light};
use std::time::Instant;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let numbers: Result<Vec<f64>, _> = std::env::args().skip(1).map(|a| a.parse()).collect();
    let numbers = numbers?;
    let number = |at: usize, default| numbers.get(at).copied().unwrap_or(default);
    let mut experiment: Experiment = toml::from_str(&format!(
        "run.horizon_s = {:?}\nswarm = {{ advert_s = 60.0, shards = {} }}\n\
         population = {{ peers = {}, light = true, start_s = 60.0 }}",
        number(2, 300.0),
        number(1, 80.0),
        number(0, 10_000.0)
    ))?;
    if let Some(median) = numbers.get(3) {
        experiment.churn = Churn::Weibull(Weibull {
            session_median_s: *median,
            absence_median_s: *median,
            ..Weibull::default()
        });
    }
    experiment.check()?;
    let began = Instant::now();
    let report = light::run(&experiment, 1)?;
    let wall_s = began.elapsed().as_secs_f64();
    println!("{}", serde_json::to_string_pretty(&report)?);
    eprintln!(
        "{wall_s:.1} s: {:.2} virtual s a second, {:.0} adverts a second, {:.0} deliveries a second",
        report.virtual_s / wall_s,
        report.adverts.published as f64 / wall_s,
        report.adverts.delivered as f64 / wall_s
    );
    Ok(())
}
