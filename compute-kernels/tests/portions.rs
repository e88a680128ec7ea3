//! A runner that is asked for as much as fits in a moment: what it gives, and how soon it can be told to end.

mod support;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use starling_kernels::fractal::{Fractal, MAX_ITERATIONS, Params};
use starling_kernels::runner::{CpuRunner, Patience, RunnerError};
use starling_kernels::{JobSpec, Kernel};
use support::{DEADLINE, device};

/// Tiles at the top are outside the set and cost nothing; some of those in the middle cost as much as there can be.
fn uneven(edge: u32, max_iterations: u32) -> JobSpec {
    JobSpec {
        kernel: Fractal.id(),
        params: Params::mandelbrot(edge, edge, max_iterations).encode(),
        inputs: Vec::new(),
    }
}

#[test]
fn a_cpu_gives_the_tiles_that_fit_and_they_are_those_of_one_run() {
    let job = uneven(256, 20_000);
    let mut cpu = CpuRunner::new();
    let shape = cpu.load(&job).expect("a valid job");
    // In no order, so that a prefix is one of what was asked for.
    let tiles: Vec<u32> = (0..shape.tiles).map(|i| i * 37 % shape.tiles).collect();
    let (mut all, mut parts) = (Vec::new(), 0);
    while all.len() < tiles.len() * shape.tile_bytes as usize {
        let left = &tiles[all.len() / shape.tile_bytes as usize..];
        let some = cpu
            .run_for(left, Duration::from_millis(2), DEADLINE)
            .expect("it computes");
        assert!(!some.is_empty(), "one tile at least");
        all.extend(some);
        parts += 1;
    }
    assert!(parts > 1, "it came at once");
    assert_eq!(Ok(&all), cpu.run(&tiles, DEADLINE).as_ref());
    assert!(all == job.prepare().expect("a valid job").run(&tiles));
    assert_eq!(cpu.run_for(&[], DEADLINE, DEADLINE), Ok(Vec::new()));
}

#[test]
fn a_cpu_ends_when_it_is_told_to() {
    let job = uneven(1024, MAX_ITERATIONS);
    let mut cpu = CpuRunner::new();
    let shape = cpu.load(&job).expect("a valid job");
    let tiles: Vec<u32> = (0..shape.tiles).collect();
    let stop = AtomicBool::new(false);
    let whole = std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(30));
            stop.store(true, Ordering::Relaxed);
        });
        cpu.run(&tiles, Patience::unless(&stop, DEADLINE))
    });
    assert_eq!(whole, Err(RunnerError::Aborted));
    let some = cpu.run_for(&tiles, DEADLINE, Patience::unless(&stop, DEADLINE));
    assert!(some.expect("it computes").len() < tiles.len() * shape.tile_bytes as usize);
}

#[test]
fn a_device_process_that_nobody_waits_for_is_ended_and_the_next_call_works() {
    let Some(mut gpu) = device() else { return };
    // The fastest GPU tried would take seconds for all of it.
    let job = uneven(16_384, MAX_ITERATIONS);
    let shape = gpu.load(&job, DEADLINE).expect("a valid job");
    let tiles: Vec<u32> = (0..shape.tiles).step_by(5).collect();
    let stop = AtomicBool::new(false);
    let start = Instant::now();
    let result = std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(50));
            stop.store(true, Ordering::Relaxed);
        });
        gpu.run_for(&tiles, DEADLINE, Patience::unless(&stop, DEADLINE))
    });
    assert_eq!(result, Err(RunnerError::Aborted));
    assert!(start.elapsed() < DEADLINE / 2);
    assert_eq!(gpu.pid(), None);
    let again = gpu.run(&tiles[..1], Patience::unless(&stop, DEADLINE));
    assert_eq!(
        again,
        Err(RunnerError::Aborted),
        "nobody waits for this one either"
    );
    assert_eq!(gpu.pid(), None, "no process is started for it");
    let expected = job.prepare().expect("a valid job").run(&tiles[..1]);
    assert_eq!(gpu.run(&tiles[..1], DEADLINE), Ok(expected));
}
