//! Why a job is not done: what its account and the peers of the moment say, as reasons.

use starling_protocol::Reason as Refusal;

use super::{JobFile, JobState, SliceState};
use crate::reason::Reason;

/// All reasons, the weightiest first; none when the job is done.
pub(super) fn why(file: &JobFile, eligible: usize) -> Vec<Reason> {
    let mut all: Vec<Reason> = file.why.iter().cloned().collect();
    if file.state == JobState::Running {
        let slices = |state: SliceState| file.slices.iter().filter(|s| s.state == state).count();
        let open = slices(SliceState::Open);
        if open > 0 && eligible == 0 {
            let reason: Reason = Refusal::NoEligiblePeer.into();
            all.push(reason.with("open_slices", open));
        }
        let waits = [
            (SliceState::Open, "waits for a worker"),
            (SliceState::Leased, "is being computed"),
            (SliceState::Committed, "waits for auditors to be drawn"),
            (SliceState::Auditing, "is being recomputed in samples"),
        ];
        for (state, does) in waits {
            let n = slices(state);
            if n > 0 {
                let what = match n {
                    1 => format!("1 slice {does}"),
                    n => format!("{n} slices: each {does}"),
                };
                let reason = Reason::new("job_running", what, "nothing to do: it takes its time");
                all.push(reason.with("slices", n).with("eligible_peers", eligible));
            }
        }
    }
    let codes = Refusal::ALL.iter().map(|r| (r.code(), *r));
    for (code, refusal) in codes {
        if let Some(times) = file.reopened.get(code) {
            let reason: Reason = refusal.into();
            all.push(reason.with("times", *times));
        }
    }
    if file.state == JobState::Done {
        all.clear();
    }
    all
}

#[cfg(test)]
mod tests;
