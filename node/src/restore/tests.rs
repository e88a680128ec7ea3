//! What a peer that starts again does with the inputs of others' jobs.

use starling_protocol::crypto::{Ed25519Signer, Signer as _};
use starling_protocol::manifest::{
    Appointment, BlobRef, ContextRule, Intensity, JobRecord, Manifest, Roster, Tier,
};
use starling_protocol::signed::Signed;
use starling_protocol::{Hash, KernelId, Reason};

use super::*;

fn blob(n: u8) -> BlobId {
    BlobId(Hash([n; 32]))
}

/// A job of somebody else's with these inputs.
fn appointed(swarm: &SwarmId, inputs: &[u8]) -> (JobId, Record) {
    let signer = Ed25519Signer::from_seed(&[1; 32]);
    let roster = Roster::new(Vec::new());
    let input = |n: &u8| BlobRef {
        id: blob(*n),
        len: 1,
    };
    let manifest = Manifest {
        version: 1,
        requester: signer.key(),
        kernel: KernelId::default(),
        class: "noop".into(),
        params: Vec::new(),
        inputs: inputs.iter().map(input).collect(),
        tier: Tier::Exact,
        context: ContextRule::None,
        tiles: 1,
        tile_bytes: 4,
        units_per_tile: 1,
        slice_tiles: 1,
        bid: 0,
        floor: Intensity::newcomer(1),
        roster: roster.digest(),
        deadline_s: 1,
        recipient: None,
        salt: Hash::default(),
    };
    let appointment = Appointment {
        job: JobId::default(),
        stewards: Vec::new(),
        until_s: 1,
        number: 0,
    };
    let record = JobRecord {
        manifest: Signed::new(manifest, swarm, &signer),
        appointment: Signed::new(appointment, swarm, &signer),
        roster,
    };
    let job = record.id(swarm);
    let record = Box::new(record);
    (job, Record::Appointed { record })
}

#[test]
fn inputs_of_stewarded_jobs_are_told_unless_they_are_something_else_or_gone() {
    let swarm = SwarmId::default();
    let mut restored = Restored::new(swarm, 0);
    let (over, record) = appointed(&swarm, &[1, 2, 3]);
    restored.take(record);
    let reason = Reason::JobDone;
    restored.take(Record::Ended { job: over, reason });
    let (_, record) = appointed(&swarm, &[4]);
    restored.take(record);
    let own = || Some(BTreeSet::from([blob(2)]));
    let inputs = restored.inputs(|b| *b != blob(3), own);
    assert_eq!(inputs, [blob(1), blob(4)], "2 is an own output, 3 is gone");
}
