//! The path tracer gives the same bytes on a device and on the CPU, on scenes never seen before.

#[path = "support/random.rs"]
mod random;
mod render_scenes;
mod support;

use std::time::Instant;

use random::Random;
use starling_kernels::render::{Render, RenderParams, Scene, scene};
use starling_kernels::runner::{CpuRunner, Runner};
use starling_kernels::{JobSpec, Kernel};
use support::{DEADLINE, device};

fn job(params: &RenderParams, scene: &Scene) -> JobSpec {
    JobSpec {
        kernel: Render.id(),
        params: params.to_bytes(),
        inputs: vec![scene.to_bytes().into()],
    }
}

fn compare(gpu: &mut Runner, job: &JobSpec, pick: impl Fn(u32) -> Vec<u32>) -> blake3::Hash {
    let mut cpu = Runner::Cpu(CpuRunner::new());
    let shape = cpu.load(job, DEADLINE).expect("a valid job");
    assert_eq!(gpu.load(job, DEADLINE), Ok(shape));
    let tiles = pick(shape.tiles);
    let expected = cpu.run(&tiles, DEADLINE).expect("the CPU computes");
    let started = Instant::now();
    let got = gpu.run(&tiles, DEADLINE).expect("the device computes");
    eprintln!("{} tiles in {:?}", tiles.len(), started.elapsed());
    let words = |b: &[u8]| {
        b.chunks_exact(4)
            .map(|w| f32::from_le_bytes([w[0], w[1], w[2], w[3]]))
            .collect::<Vec<_>>()
    };
    let (e, g) = (words(&expected), words(&got));
    let differing = e
        .iter()
        .zip(&g)
        .filter(|(a, b)| a.to_bits() != b.to_bits())
        .count();
    assert!(
        differing == 0 && e.len() == g.len(),
        "{differing} of {} values differ",
        e.len()
    );
    assert!(
        e.iter().all(|v| v.is_finite() && *v >= 0.0),
        "radiance is finite and not negative"
    );
    blake3::hash(&got)
}

#[test]
fn random_scenes() {
    let Some(gpu) = device() else { return };
    let mut gpu = Runner::Gpu(Box::new(gpu));
    let mut random = Random::fresh();
    let mut hashes = Vec::new();
    for _ in 0..24 {
        let scene = render_scenes::scene(&mut random);
        let params = render_scenes::params(&mut random);
        eprintln!("{} triangles, {params:?}", scene.triangles.len());
        hashes.push(compare(&mut gpu, &job(&params, &scene), |n| {
            (0..n).collect()
        }));
    }
    hashes.sort_by_key(|h| *h.as_bytes());
    hashes.dedup();
    assert!(hashes.len() > 12, "the pictures are not all alike");
}

#[test]
fn bundled_scene() {
    let Some(gpu) = device() else { return };
    let mut gpu = Runner::Gpu(Box::new(gpu));
    let mut random = Random::fresh();
    let params = RenderParams {
        seed: random.u64(),
        ..RenderParams::bundled()
    };
    let tiles: Vec<u32> = (0..96).map(|_| random.u32()).collect();
    compare(&mut gpu, &job(&params, &scene::bundled()), |n| {
        tiles.iter().map(|t| t % n).collect()
    });
}
