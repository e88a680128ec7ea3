//! The commands, one file each, and what they share.

pub mod bench;
pub mod compare;
pub mod forge;
pub mod replay;
pub mod report;
pub mod run;
pub mod sweep;
pub mod validate;

use starling_sim::Report;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// How a command ended without an error.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// All is well.
    Good,
    /// Something that was looked for was found: a violation, a miss.
    Bad,
    /// Somebody pressed Ctrl-C.
    Interrupted,
}

impl End {
    pub fn good_if(good: bool) -> Self {
        if good { Self::Good } else { Self::Bad }
    }
}

impl From<End> for ExitCode {
    fn from(end: End) -> Self {
        match end {
            End::Good => Self::SUCCESS,
            End::Bad => Self::FAILURE,
            End::Interrupted => Self::from(130),
        }
    }
}

/// Whatever a command could not do.
pub type Result = core::result::Result<End, Box<dyn std::error::Error>>;

/// Prints data. Whoever reads may stop reading: that is an error to return, not a panic.
pub fn print(text: &str) -> io::Result<()> {
    writeln!(io::stdout(), "{}", text.trim_end())
}

/// Set by the first Ctrl-C; the second one ends the program at once.
pub fn interruptible() -> core::result::Result<Arc<AtomicBool>, ctrlc::Error> {
    let stop = Arc::new(AtomicBool::new(false));
    let asked = stop.clone();
    ctrlc::set_handler(move || {
        if asked.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
        eprintln!("stopping; press Ctrl-C again to stop at once");
    })?;
    Ok(stop)
}

/// One run for people.
pub fn describe(r: &Report, wall_s: f64) -> String {
    let list = |of: &BTreeMap<&'static str, u32>| {
        let all: Vec<_> = of
            .iter()
            .map(|(reason, n)| format!("{n} {reason}"))
            .collect();
        if all.is_empty() {
            "none".into()
        } else {
            all.join(", ")
        }
    };
    let figure =
        |value: Option<f64>, unit: &str| value.map_or("-".into(), |v| format!("{v:.2} {unit}"));
    let (messages, kib) = (r.messages_per_slice, r.bytes_per_slice / 1024.0);
    let weak = r.flags;
    let lines = [
        format!(
            "jobs          {} of {} done, {} of {} slices, in {} (median)",
            r.jobs_done,
            r.jobs,
            r.slices_done,
            r.slices,
            figure(r.job_s.p50, "s")
        ),
        format!("failed        {}", list(&r.jobs_failed)),
        format!(
            "first work    after {} (median), {} (95 %)",
            figure(r.placement_ms.p50, "ms"),
            figure(r.placement_ms.p95, "ms")
        ),
        format!(
            "receipts      {} verified, {} reached their workers",
            r.receipts, r.earned
        ),
        format!(
            "weaknesses    {} weak, {} missing a nonce, {} self-checked, {} not stored",
            weak.weak, weak.missing_nonce, weak.self_checked, weak.not_stored
        ),
        format!(
            "adversaries   {} of {} caught, {} false accusations",
            r.adversaries_caught, r.adversaries, r.false_accusations
        ),
        format!("re-leases     {}", list(&r.re_leases)),
        format!("audit share   {:.1} % of the tiles", r.audit_share * 100.0),
        format!(
            "messages      {messages:.0} and {kib:.0} KiB per slice, {} lost",
            r.messages_lost
        ),
        format!(
            "traffic       {:.0} bytes/s sent by a peer, gossip included",
            r.traffic_bytes_per_s
        ),
        format!(
            "events        {} in {wall_s:.2} s: {:.1} virtual s, {:.1} x real time",
            r.events,
            r.virtual_s,
            r.virtual_s / wall_s
        ),
        format!("trace hash    {}", r.trace_hash),
    ];
    lines.join("\n")
}
