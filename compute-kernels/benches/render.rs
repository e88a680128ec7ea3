//! The bundled scene on all cores: canonical against native floats, same tracer, same tiles.
//! `cargo bench -p starling-kernels --bench render`; the ratio is the median of alternating runs.

use std::time::Instant;

use rayon::prelude::*;
use starling_kernels::Prepared as _;
use starling_kernels::canon::{Canon, Real};
use starling_kernels::render::{PathTracer, RenderParams, TILE_BYTES, scene};

fn seconds<R: Real>(tracer: &PathTracer, tiles: u32) -> f64 {
    let started = Instant::now();
    (0..tiles).into_par_iter().for_each(|tile| {
        let mut out = [0; TILE_BYTES as usize];
        tracer.trace_tile::<R>(tile, &mut out);
        std::hint::black_box(out);
    });
    started.elapsed().as_secs_f64()
}

fn main() {
    let scene = scene::bundled();
    let params = RenderParams {
        passes: 1,
        ..RenderParams::bundled()
    };
    let started = Instant::now();
    let tracer = PathTracer::new(&params, &scene).expect("the bundled job");
    let build = started.elapsed();
    let tiles = tracer.shape().tiles;
    let mut runs: Vec<(f64, f64)> = (0..7)
        .map(|_| {
            (
                seconds::<Canon>(&tracer, tiles),
                seconds::<f32>(&tracer, tiles),
            )
        })
        .collect();
    runs.sort_by(|a, b| (a.0 / a.1).total_cmp(&(b.0 / b.1)));
    let samples = f64::from(params.width * params.height * params.spp()) / 1e6;
    let best = |pick: fn(&(f64, f64)) -> f64| runs.iter().map(pick).fold(f64::INFINITY, f64::min);
    println!(
        "{} triangles, prepared in {build:.1?}, {} threads",
        scene.triangles.len(),
        rayon::current_num_threads()
    );
    println!(
        "canonical {:.2} Msamples/s, native {:.2} Msamples/s",
        samples / best(|r| r.0),
        samples / best(|r| r.1)
    );
    let (canonical, native) = runs[runs.len() / 2];
    println!("canonical / native time: {:.3}", canonical / native);
}
