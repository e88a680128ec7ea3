//! Every reason that there is: found, weighed, with code, particulars and fix.

use serde_json::json;
use starling_protocol::Reason as Refusal;

use super::*;

/// An account with a slice in each of these states.
fn account(state: JobState, slices: &[SliceState]) -> JobFile {
    let slice = |state: &SliceState| {
        json!({ "state": state, "worker": null, "tiles": 64, "auditors": [], "receipt": null,
            "flags": [], "reopened": 0 })
    };
    let slices: Vec<_> = slices.iter().map(slice).collect();
    let file = json!({
        "job": "ab".repeat(32), "kernel": "fractal", "requester": "cd".repeat(32), "state": state, "why": null,
        "output": null, "started_s": 0, "wall_s": 1.0, "first_slice_ms": null, "tiles": 64 * slices.len(),
        "slices": slices, "cheats": [], "false_accusations": 0,
        "work": { "params": "", "tile_bytes": 1, "units_per_tile": 1, "slice_tiles": 64, "inputs": [] },
    });
    serde_json::from_value(file).expect("an account")
}

fn codes(reasons: &[Reason]) -> Vec<&str> {
    reasons.iter().map(|r| r.code.as_ref()).collect()
}

#[test]
fn each_reason_for_a_slice_that_was_opened_again_is_told_with_its_count_and_fix() {
    for (times, refusal) in (1..).zip(Refusal::ALL) {
        let mut file = account(JobState::Running, &[SliceState::Leased]);
        file.reopened.insert(refusal.code().to_owned(), times);
        let reasons = why(&file, 3);
        let told = reasons.last().expect("a reason");
        assert_eq!(told.code, refusal.code());
        assert_eq!(told.params["times"], times);
        assert_eq!(told.what, refusal.to_string());
        assert_eq!(told.fix.as_deref(), Some(refusal.fix()), "{refusal:?}");
    }
}

#[test]
fn each_reason_for_an_early_end_comes_first() {
    for refusal in Refusal::ALL {
        let mut file = account(JobState::Running, &[SliceState::Open]);
        file.reopened.insert("lease_expired".into(), 2);
        file.end(refusal);
        let reasons = why(&file, 0);
        if refusal == Refusal::JobDone {
            assert!(reasons.is_empty(), "nothing is wrong: {reasons:?}");
        } else {
            assert_eq!(codes(&reasons)[..2], [refusal.code(), "lease_expired"]);
        }
    }
}

#[test]
fn a_running_job_says_what_its_slices_wait_for() {
    use SliceState::{Auditing, Committed, Done, Leased, Open};
    let file = account(
        JobState::Running,
        &[Open, Open, Leased, Committed, Auditing, Done],
    );
    let reasons = why(&file, 0);
    assert_eq!(codes(&reasons)[0], "no_eligible_peer");
    assert_eq!(reasons[0].params["open_slices"], 2);
    let waits: Vec<_> = reasons[1..].iter().map(|r| r.what.as_str()).collect();
    assert_eq!(
        waits,
        [
            "2 slices: each waits for a worker",
            "1 slice is being computed",
            "1 slice waits for auditors to be drawn",
            "1 slice is being recomputed in samples",
        ]
    );
    let reasons = why(&file, 4);
    assert_eq!(codes(&reasons)[0], "job_running", "somebody could compute");
    assert_eq!(reasons[0].params["eligible_peers"], 4);
}
