//! `--detach`: when a job can be left to its stewards, or has ended before.

use super::requester::ended;
use crate::api::types::JobView;
use crate::cli::exit::{Exit, Failure, Outcome};
use crate::jobs::JobState;
use crate::reason::Reason;

/// How the handing over ends; none while it goes on. The submitting peer outlives the command if it is `lasting`;
/// stewards are waited for no longer if that is `enough`.
pub(super) fn outcome(job: &JobView, lasting: bool, enough: bool) -> Option<Outcome> {
    let (held, of) = (job.file.held_by.len(), job.file.stewards);
    match job.file.state {
        JobState::Running if held < of && !enough => None,
        JobState::Running if held == 0 && !lasting => Some(Err(not_held(of))),
        JobState::Running | JobState::Done => Some(Ok(Exit::Ok)),
        JobState::Failed | JobState::Cancelled | JobState::Interrupted => Some(Err(ended(job))),
    }
}

/// What is to be known of a job that is left.
pub(super) fn line(job: &JobView) -> String {
    let (held, of) = (job.file.held_by.len(), job.file.stewards);
    match held {
        _ if job.file.state == JobState::Done => "it is done already".into(),
        0 => "it goes on while the peer of this home runs".into(),
        _ => format!(
            "{held} of {of} stewards hold it: it goes on, and is kept, without this machine"
        ),
    }
}

fn not_held(of: usize) -> Failure {
    let what = match of {
        0 => "the swarm is too small for stewards: the job would stop with this command".to_owned(),
        of => format!(
            "none of {of} stewards has the job's inputs yet: it would stop with this command"
        ),
    };
    let fix = "keep a peer of this home running (`starling up`), or run it without --detach";
    Failure::from(Reason::new("not_held", what, fix))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(state: &str, stewards: usize, held: usize, why: Option<&'static str>) -> JobView {
        let zero = "0".repeat(64);
        let why = why.map(|code| Reason::new(code, "", ""));
        let file = serde_json::json!({
            "job": zero, "kernel": "noop", "requester": zero, "state": state, "why": why,
            "output": null, "started_s": 0, "wall_s": 0.0, "first_slice_ms": null, "tiles": 1,
            "work": { "params": "", "tile_bytes": 4, "units_per_tile": 1, "slice_tiles": 1, "inputs": [] },
            "slices": [], "cheats": [], "false_accusations": 0,
            "stewards": stewards, "held_by": vec![zero.clone(); held],
        });
        JobView::of(serde_json::from_value(file).expect("an account"), 0)
    }

    #[test]
    fn a_job_is_left_when_others_hold_it_and_its_failure_is_told() {
        let exit = |job: &JobView, lasting, enough| {
            outcome(job, lasting, enough).map(|o| o.unwrap_or_else(|failure| failure.exit))
        };
        let running = |held| job("running", 3, held, None);
        assert_eq!(exit(&running(2), false, false), None);
        assert_eq!(exit(&running(3), false, false), Some(Exit::Ok));
        assert_eq!(exit(&running(1), false, true), Some(Exit::Ok));
        assert_ne!(exit(&running(0), false, true), Some(Exit::Ok));
        assert_eq!(exit(&running(0), true, true), Some(Exit::Ok));
        assert_eq!(exit(&job("done", 3, 0, None), false, false), Some(Exit::Ok));
        let failed = |why| exit(&job("failed", 3, 3, Some(why)), true, false);
        assert_eq!(failed("device_failed"), Some(Exit::JobFailed));
        assert_eq!(failed("deadline_passed"), Some(Exit::Timeout));
        let cancelled = job("cancelled", 3, 0, Some("cancelled"));
        assert_eq!(exit(&cancelled, true, false), Some(Exit::Interrupted));
    }
}
