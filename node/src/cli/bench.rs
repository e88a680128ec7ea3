//! `starling bench`: figures of this machine and this build, with a rival of the same run where there is one.
//!
//! Everything stays on this machine: swarms are started here, on loopback, and end with the command.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::json;
use starling_protocol::Bundle;
use starling_protocol::config::BUNDLE_MAX;

use super::Context;
use super::exit::{Exit, Failure, Outcome};
use super::interrupt::Interrupt;
use super::text;
use crate::bench::dht::{self, DhtReport};
use crate::bench::kernels::{self, KernelReport};
use crate::bench::local::LocalSwarm;
use crate::bench::proof::{self, ProofReport};
use crate::bench::swarm::{self, SwarmReport};
use crate::compute::device_process;
use crate::home::DiskError;
use crate::reason::Reason;

/// Measure this machine, a swarm on it, or receipts.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  starling bench kernels --json
  starling bench swarm --peers 10 --peers 50
  starling bench dht --peers 128
  starling bench proof receipts.popw

Close other programs before: figures of a busy machine say little.")]
pub struct Bench {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand, Debug)]
enum What {
    Kernels(Kernels),
    Swarm(Swarm),
    Dht(Dht),
    Proof(Proof),
}

/// Measure every kernel on every device.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  starling bench kernels
  starling bench kernels --seconds 5 --json")]
struct Kernels {
    /// Seconds for each kernel on each device.
    #[arg(long, default_value_t = 1.0, value_name = "SECONDS", value_parser = super::node_options::seconds)]
    seconds: f64,
}

/// Measure a swarm of peers in this process: latency, overhead, DHT, memory. It takes some minutes.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  starling bench swarm --peers 10
  starling bench swarm --peers 10 --peers 50 --peers 100 --json")]
struct Swarm {
    /// Lending peers; again for more swarms, one after the other.
    #[arg(long, value_name = "N", default_value = "10", value_parser = clap::value_parser!(u32).range(1..=256))]
    peers: Vec<u32>,
}

/// Measure Kademlia alone: how long a record takes to be stored and to be found.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  starling bench dht
  starling bench dht --peers 128 --json")]
struct Dht {
    /// Network layers in this process.
    #[arg(long, value_name = "N", default_value_t = 128, value_parser = clap::value_parser!(u32).range(2..=512))]
    peers: u32,
}

/// Measure the verification of receipts on one core.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  starling bench proof                      of a job that a small swarm does for it
  starling bench proof receipts.popw --json")]
struct Proof {
    /// A bundle; without one, a small swarm on this machine makes some.
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// Seconds to measure.
    #[arg(long, default_value_t = 2.0, value_name = "SECONDS", value_parser = super::node_options::seconds)]
    seconds: f64,
}

impl Bench {
    pub(super) async fn run(self, context: &Context, interrupt: Interrupt) -> Outcome {
        let console = context.console;
        let say = move |what: &str| console.note(what);
        let measuring = async {
            match self.what {
                What::Kernels(args) => measure_kernels(context, args.seconds, say).await,
                What::Swarm(args) => measure_swarms(context, &args.peers, &say).await,
                What::Dht(args) => measure_dht(context, args.peers, &say).await,
                What::Proof(args) => measure_proof(context, args, &say).await,
            }
        };
        tokio::select! {
            measured = measuring => measured.map(|()| Exit::Ok),
            _ = interrupt.signalled() => Ok(Exit::Interrupted),
        }
    }
}

async fn measure_kernels(
    context: &Context,
    seconds: f64,
    say: impl Fn(&str) + Send + 'static,
) -> Result<(), Failure> {
    let command = device_process()
        .map_err(|e| Failure::of(format!("cannot tell where this program lies: {e}")))?;
    let measured = tokio::task::spawn_blocking(move || kernels::measure(&command, seconds, &say));
    let report = measured
        .await
        .map_err(|e| Failure::of(format!("measuring failed: {e}")))?
        .map_err(Reason::from)?;
    let out = context.console;
    if out.json {
        out.json(&json!(report));
    } else {
        kernel_lines(&report).iter().for_each(|line| out.data(line));
    }
    Ok(())
}

fn kernel_lines(report: &KernelReport) -> Vec<String> {
    let mut lines: Vec<String> = report
        .kernels
        .iter()
        .map(|k| {
            format!(
                "{:<8} {:>9} {:<12}  {} tiles/s  {} ({})",
                k.kernel,
                text::si(k.in_own_unit),
                k.unit,
                text::si(k.tiles_per_s),
                k.device,
                k.backend
            )
        })
        .collect();
    let m = &report.matmul;
    lines.push(format!(
        "matmul {}: {:.1} GOP/s of i8, faer {:.1} GFLOP/s of f32, ratio {:.2} (median {:.2}), {} each",
        m.edge,
        m.gop_per_s,
        m.faer_f32_gflop_per_s,
        m.ratio,
        m.ratio_median,
        text::count(m.threads, "thread"),
    ));
    lines.extend(report.canonical.iter().map(|c| {
        format!(
            "{}: canonical floats take {:.2} times as long as native ones",
            c.kernel, c.time_over_native
        )
    }));
    lines.extend(report.shaders.iter().map(|s| {
        format!(
            "{} on {}: {:.1} ms guarded, {:.1} ms bare: {:.2} times; a process in {:.0} ms",
            s.shader, s.device, s.guarded_ms, s.bare_ms, s.ratio, s.start_ms
        )
    }));
    lines.extend(report.failed.iter().map(|f| format!("failed: {f}")));
    lines
}

async fn measure_swarms(
    context: &Context,
    sizes: &[u32],
    say: &(dyn Fn(&str) + Sync),
) -> Result<(), Failure> {
    let out = context.console;
    let mut reports = Vec::new();
    for &peers in sizes {
        let report = swarm::measure(peers as usize, say).await?;
        if !out.json {
            swarm_lines(&report).iter().for_each(|line| out.data(line));
        }
        reports.push(report);
    }
    if out.json {
        out.json(&json!({ "swarms": reports }));
    }
    Ok(())
}

fn swarm_lines(report: &SwarmReport) -> Vec<String> {
    let mut lines = vec![format!(
        "{} and a requester in this process",
        text::count(report.peers, "peer")
    )];
    if let Some(ms) = report.submit_to_first_slice_ms {
        lines.push(format!(
            "  first slice      {:.0} ms after submission (p95 {:.0})",
            ms.p50, ms.p95
        ));
    }
    lines.push(format!(
        "  everybody knows  {:.1} s after the first start",
        report.advert_convergence_s
    ));
    if let Some(s) = report.departed_forgotten_s {
        lines.push(format!(
            "  a crash          is noticed by all after {s:.1} s"
        ));
    }
    lines.push(format!(
        "  10,000 no-ops    {:.2} s in {}",
        report.job_10000_noop_tiles_s,
        text::count(report.job_10000_noop_slices, "slice")
    ));
    lines.push(format!(
        "  one-tile slices  {:.0} a second, each with its receipt",
        report.single_tile_slices_per_s
    ));
    let over = &report.overhead;
    lines.push(format!(
        "  wall / local     {:.2} without the audits' computing, {:.2} with it; {:.1} s alone",
        over.wall_over_local, over.wall_over_local_raw, over.local_s
    ));
    if let Some(ratio) = over.cpu_over_local {
        lines.push(format!(
            "  CPU / local      {ratio:.3} with audits, signatures and network"
        ));
    }
    let audits = over.audit_share;
    lines.push(format!(
        "  audits           {:.1} % of the work's device time, {:.1} % of its tiles ({:.1} % by the rule)",
        100.0 * audits.measured,
        100.0 * audits.measured_tiles,
        100.0 * audits.predicted
    ));
    lines.extend(report.dht.as_ref().and_then(dht_line));
    lines.push(format!(
        "  a large blob     {:.0} MB/s, {:.2} of bare TCP",
        report.blob.blob_mb_per_s, report.blob.ratio
    ));
    if let Some(mb) = report.rss_mb_per_peer {
        lines.push(format!("  memory           {mb:.1} MB of an idle daemon"));
    }
    if let Some(mb) = report.process_rss_mb_over_peers {
        lines.push(format!("  in one process   {mb:.1} MB a peer"));
    }
    lines
}

fn dht_line(report: &DhtReport) -> Option<String> {
    let (put, get) = (report.put_ms?, report.get_ms?);
    Some(format!(
        "  DHT              put {:.1} ms (p95 {:.1}), get {:.1} ms (p95 {:.1})",
        put.p50, put.p95, get.p50, get.p95
    ))
}

async fn measure_dht(
    context: &Context,
    peers: u32,
    say: &(dyn Fn(&str) + Sync),
) -> Result<(), Failure> {
    let report = dht::measure(peers as usize, say).await?;
    let out = context.console;
    if out.json {
        out.json(&json!(report));
    } else {
        let networks = text::count(report.peers, "network layer");
        out.data(format!("{networks} in this process"));
        dht_line(&report).iter().for_each(|line| out.data(line));
    }
    Ok(())
}

async fn measure_proof(
    context: &Context,
    args: Proof,
    say: &(dyn Fn(&str) + Sync),
) -> Result<(), Failure> {
    let bundle = match &args.file {
        Some(path) => {
            let on = |e| Failure::from(DiskError::new("read", path, e));
            let len = std::fs::metadata(path).map_err(on)?.len();
            if len > BUNDLE_MAX as u64 + 8 {
                return Err(Failure::of(format!(
                    "{} is too long to be a bundle",
                    path.display()
                )));
            }
            let bytes = std::fs::read(path).map_err(on)?;
            Bundle::from_bytes(&bytes).map_err(Failure::of)?
        }
        None => {
            let swarm = LocalSwarm::start(4, 1000, say).await?;
            let (file, _) = swarm.run(1024, Some(64)).await?;
            let bytes = swarm.desk.bundle(&file.job.to_string(), 0)?;
            swarm.end().await;
            Bundle::from_bytes(&bytes).map_err(Failure::of)?
        }
    };
    let seconds = args.seconds;
    let measured = tokio::task::spawn_blocking(move || proof::measure(&bundle, seconds));
    let report: ProofReport = measured
        .await
        .map_err(|e| Failure::of(format!("measuring failed: {e}")))??;
    let out = context.console;
    if out.json {
        out.json(&json!(report));
    } else {
        out.data(format!(
            "{} receipts/s on one core, {:.0} bytes each ({:.1} auditors, {:.1} witnesses)",
            text::si(report.receipts_per_s),
            report.bytes_each,
            report.auditors,
            report.witnesses
        ));
    }
    Ok(())
}
