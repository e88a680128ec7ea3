//! What a job will take, asked before it is submitted, and shown: [`Estimate`] says how it is found.

use std::time::{Duration, Instant};

use starling_kernels::JobSpec;
use starling_protocol::Advert;

use super::How;
use crate::api::client::Client;
use crate::cli::console::Console;
use crate::cli::exit::Failure;
use crate::cli::text;
use crate::product::Work;
use crate::product::estimate::{Estimate, probe};

/// Probes and asks who is there.
pub(super) async fn of(client: &Client, how: &How, work: &Work) -> Result<Estimate, Failure> {
    let (spec, shape) = (work.spec.clone(), work.product.shape);
    let probed = tokio::task::spawn_blocking(move || probe(&spec, shape));
    let waited = peers(client, how, &work.spec);
    let (probed, peers) = tokio::join!(probed, waited);
    let probed = probed
        .map_err(|e| Failure::of(format!("the probe failed: {e}")))?
        .map_err(super::refused)?;
    Ok(Estimate::new(&probed, work.spec.kernel, shape, &peers?))
}

/// Those who would be asked, once they were waited for as a submission would.
async fn peers(client: &Client, how: &How, spec: &JobSpec) -> Result<Vec<Advert>, Failure> {
    let kernel = spec.kernel.to_string();
    let until = Instant::now() + Duration::from_secs_f64(how.wait);
    loop {
        let all = client.eligible(&kernel, how.max_price).await?.peers;
        if all.len() >= how.peers.unwrap_or(1) as usize || Instant::now() >= until {
            return Ok(all.into_iter().map(|p| p.advert).collect());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// For people, in one line.
pub(super) fn line(estimate: &Estimate) -> String {
    let span = |[low, high]: [f64; 2]| {
        let show = |s: f64| text::duration(Duration::from_secs_f64(s.clamp(0.0, 1e9)));
        format!("{} to {}", show(low), show(high))
    };
    match (estimate.seconds, estimate.price) {
        (Some(seconds), Some([low, high])) => format!(
            "estimate: {} with {}, price {low} to {high}",
            span(seconds),
            text::count(estimate.peers, "peer"),
        ),
        _ => format!(
            "estimate: nobody offers it at the moment; {} here alone",
            span(estimate.local_seconds)
        ),
    }
}

pub(super) fn show(estimate: &Estimate, console: &Console) {
    if console.json {
        return console.json(&serde_json::json!({ "estimate": estimate }));
    }
    console.data(line(estimate));
    console.note(format!(
        "{}, {} operations; {} computed here",
        text::count(estimate.tiles as usize, "tile"),
        text::si(estimate.units as f64),
        text::count(estimate.probed, "probe tile"),
    ));
}
