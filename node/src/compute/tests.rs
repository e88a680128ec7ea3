//! What the device threads do with what they are asked.

use starling_kernels::{Kernel as _, fractal, noop};
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

/// A quick picture's first tiles, then the dear ones: what a portion's pace foretells badly.
fn uneven(edge: u32, iterations: u32) -> Arc<JobSpec> {
    Arc::new(JobSpec {
        kernel: fractal::Fractal.id(),
        params: fractal::Params::mandelbrot(edge, edge, iterations).encode(),
        inputs: Vec::new(),
    })
}

#[test]
fn a_slice_is_the_same_however_it_is_cut_and_audits_go_between() {
    let (compute, mut finished) = Compute::start(Backend::cpu(), Duty::default());
    let (slice, audited) = (JobId(Hash([1; 32])), JobId(Hash([2; 32])));
    let spec = uneven(512, 20_000);
    compute.prepare(slice, spec.clone());
    compute.prepare(audited, uneven(64, 10));
    let all: Vec<u32> = (0..spec.shape().expect("valid").tiles).collect();
    compute.compute(TaskId(1), slice, all.clone(), Purpose::Work);
    while compute.usage().work_tiles == 0 {
        std::thread::yield_now();
    }
    compute.compute(TaskId(2), audited, vec![0, 1], Purpose::Audit);
    let first = finished.blocking_recv().expect("the thread runs");
    assert_eq!(first.task, TaskId(2), "an audit waits for a portion only");
    let slice = finished.blocking_recv().expect("the thread runs");
    assert_eq!(slice.task, TaskId(1));
    let bytes = slice.result.expect("computed");
    assert!(bytes == spec.prepare().expect("valid").run(&all));
    assert_eq!(compute.usage().work_tiles, all.len() as u64);
}

#[test]
fn a_task_that_is_aborted_ends_before_its_portion_does() {
    let (compute, mut finished) = Compute::start(Backend::cpu(), Duty::default());
    let job = JobId(Hash([1; 32]));
    // Minutes of work.
    let spec = uneven(4096, fractal::MAX_ITERATIONS);
    compute.prepare(job, spec.clone());
    let tiles = spec.shape().expect("valid").tiles;
    compute.compute(TaskId(1), job, (0..tiles).collect(), Purpose::Work);
    while compute.usage().work_tiles == 0 {
        std::thread::yield_now();
    }
    compute.abort(TaskId(1));
    compute.compute(TaskId(2), job, vec![0], Purpose::Work);
    let next = finished.blocking_recv().expect("the thread runs");
    assert_eq!(next.task, TaskId(2), "nobody hears of the first");
    assert!(next.result.is_ok());
    let usage = compute.usage();
    assert!(usage.work_tiles < u64::from(tiles) / 2, "{usage:?}");
    assert_eq!(usage.lost, 0);
}

/// Answers for every third tile.
struct Third;

impl Teller for Third {
    fn tell(&self, _: &JobId, tile: u32, _: Purpose, bytes: &mut [u8]) -> bool {
        if tile.is_multiple_of(3) {
            bytes.fill(7);
        }
        tile.is_multiple_of(3)
    }
}

#[test]
fn what_is_told_stands_between_what_is_computed() {
    let backend = Backend::cpu().told_by(Some(Arc::new(Third)));
    let (compute, mut finished) = Compute::start(backend, Duty::default());
    let job = JobId(Hash([1; 32]));
    let spec = uneven(256, 20_000);
    compute.prepare(job, spec.clone());
    let tiles: Vec<u32> = (0..spec.shape().expect("valid").tiles).collect();
    compute.compute(TaskId(1), job, tiles.clone(), Purpose::Work);
    let end = finished.blocking_recv().expect("the thread runs");
    let (bytes, truth) = (
        end.result.expect("computed"),
        spec.prepare().expect("valid").run(&tiles),
    );
    for (tile, (got, true_one)) in bytes
        .chunks_exact(end.tile_bytes)
        .zip(truth.chunks_exact(end.tile_bytes))
        .enumerate()
    {
        let told = tile.is_multiple_of(3) && got.iter().all(|byte| *byte == 7);
        assert!(told || got == true_one, "tile {tile}");
    }
    assert_eq!(bytes.len(), truth.len());
}
