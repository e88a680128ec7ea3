//! What accounts make of events.

use serde_json::json;
use starling_protocol::{Event, PeerKey, Reason as Refusal};

use super::super::open::job_of;
use super::{JobFile, SliceState};

fn account() -> JobFile {
    let slice = json!({ "state": "done", "worker": null, "tiles": 64, "auditors": [], "receipt": null,
        "flags": [], "reopened": 0, "blob": "ef".repeat(32) });
    let file = json!({
        "job": "ab".repeat(32), "kernel": "fractal", "requester": "cd".repeat(32), "state": "running", "why": null,
        "output": null, "started_s": 0, "wall_s": 1.0, "first_slice_ms": null, "tiles": 128,
        "slices": [slice, slice], "cheats": [], "false_accusations": 0,
        "work": { "params": "", "tile_bytes": 1, "units_per_tile": 1, "slice_tiles": 64, "inputs": [] },
    });
    serde_json::from_value(file).expect("an account")
}

#[test]
fn a_lie_that_was_proven_elsewhere_is_in_the_account_once() {
    let mut file = account();
    let (job, worker) = (file.job, PeerKey::from([1; 32]));
    let accuser = PeerKey::from([2; 32]);
    let proven = |slice| Event::FraudProven {
        job,
        slice,
        worker,
        accuser,
    };
    assert_eq!(job_of(&proven(0)), Some(job));
    for slice in [0, 1, 0] {
        file.note(&proven(slice), 0);
    }
    let cheats: Vec<_> = file
        .cheats
        .iter()
        .map(|c| (c.worker, c.slice, c.by))
        .collect();
    assert_eq!(
        cheats,
        [(worker, 0, Some(accuser)), (worker, 1, Some(accuser))]
    );
    let reopened = Event::SliceReopened {
        job,
        slice: 1,
        worker,
        reason: Refusal::Refuted,
    };
    file.note(&reopened, 0);
    assert_eq!(
        (file.slices[1].state, file.slices[1].blob),
        (SliceState::Open, None)
    );
}
