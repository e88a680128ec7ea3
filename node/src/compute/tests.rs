//! What the device threads do with what they are asked.

use starling_kernels::{Kernel as _, noop};
use starling_protocol::Hash;
use starling_protocol::config::PROBE_TILES;

use super::*;

#[test]
fn probes_are_computed_at_once_and_are_no_audits() {
    let (compute, mut finished) = Compute::start(Backend::cpu(), Duty::default());
    let kernel = noop::Noop.id().0.into();
    let probe = |seed, units| Probe {
        kernel,
        seed: Hash([seed; 32]),
        units,
    };
    let all: Vec<u32> = (0..PROBE_TILES).collect();
    compute.probe(TaskId(1), probe(1, 1 << 20), all.clone(), Purpose::Audit);
    compute.probe(TaskId(2), probe(2, 1 << 20), vec![0, 1], Purpose::Judge);
    let unknown = Probe {
        kernel: Default::default(),
        ..probe(3, 1)
    };
    compute.probe(TaskId(3), unknown, all, Purpose::Audit);
    let mut next = || finished.blocking_recv().expect("the thread runs");
    for (task, tiles) in [(1, PROBE_TILES as usize), (2, 2)] {
        let one = next();
        let bytes = one.result.expect("computed");
        assert_eq!(
            (one.task, bytes.len()),
            (TaskId(task), tiles * one.tile_bytes)
        );
        assert!(one.units > 0 && one.units <= 1 << 20, "{}", one.units);
    }
    assert!(next().result.is_err(), "of a kernel that is not here");
    assert!(lock(&compute.jobs).is_empty(), "nothing stays loaded");
    let usage = compute.usage();
    assert_eq!((usage.audit_us, usage.audit_tiles), (0, 0));
    assert_eq!(usage.probe_tiles, u64::from(PROBE_TILES) + 2);
}
