//! The jobs of capacity proofs: made of a kernel, a seed and a number of work units, the same on every peer.
//!
//! They are of the kind that [`super::benchmark`] measures claims by. Invariant: whoever changes what is made here raises
//! `starling_protocol::config::PROBE_VERSION`; else peers of two builds would call each other liars.

use std::sync::Arc;

use starling_kernels::render::{RenderParams, scene};
use starling_kernels::shader::ours;
use starling_kernels::{JobSpec, Kernel, fractal, kernels, matmul, noop};
use starling_protocol::config::PROBE_TILES;
use starling_protocol::{Hash, KernelId};

/// What such a job is made of.
#[derive(Clone, Copy, Debug)]
pub struct Probe {
    /// Its kernel.
    pub kernel: KernelId,
    /// Makes jobs differ.
    pub seed: Hash,
    /// About so many work units.
    pub units: u64,
}

impl Probe {
    /// See [`job`].
    pub fn job(&self) -> Option<JobSpec> {
        job(self.kernel, self.seed, self.units)
    }
}

/// A job of at least [`PROBE_TILES`] tiles, of which the first so many are about `units` work units together and never
/// more, unless the least that a kernel can be asked is more. None of a kernel that this build does not have.
pub fn job(kernel: KernelId, seed: Hash, units: u64) -> Option<JobSpec> {
    let kernel = kernels()
        .iter()
        .copied()
        .find(|k| k.id().0 == *kernel.as_bytes())?;
    let per_tile = units / u64::from(PROBE_TILES);
    let (params, inputs) = match kernel.name() {
        "render" => render(&seed, per_tile, kernel),
        "matmul" => product(&seed, per_tile),
        "noop" => nothing(&seed, per_tile, kernel),
        "fractal" => picture(&seed, per_tile, kernel),
        "wgsl" => return ours::job(PROBE_TILES, per_tile, word(&seed, 0)).ok(),
        _ => return None,
    };
    Some(JobSpec {
        kernel: kernel.id(),
        params,
        inputs,
    })
}

type Made = (Vec<u8>, Vec<Arc<[u8]>>);

/// Little-endian words of the seed.
fn word(seed: &Hash, at: usize) -> u32 {
    let mut bytes = [0; 4];
    bytes.copy_from_slice(&seed.0[at * 4..at * 4 + 4]);
    u32::from_le_bytes(bytes)
}

/// How many times the cost of `least` fits, from 1 to `most`.
fn times(kernel: &dyn Kernel, least: &Made, per_tile: u64, most: u32) -> u32 {
    let unit = kernel
        .shape(&least.0, &least.1)
        .map_or(1, |s| s.units_per_tile.max(1));
    u32::try_from(per_tile / unit)
        .unwrap_or(most)
        .clamp(1, most)
}

/// The bundled scene with other noise.
fn render(seed: &Hash, per_tile: u64, kernel: &dyn Kernel) -> Made {
    let scene: Arc<[u8]> = scene::bundled().to_bytes().into();
    let with = |spp_per_pass| {
        let params = RenderParams {
            // 32 x 16 tiles of 16 x 16 pixels.
            width: 512,
            height: 256,
            passes: 1,
            spp_per_pass,
            seed: u64::from(word(seed, 0)) << 32 | u64::from(word(seed, 1)),
            ..RenderParams::bundled()
        };
        (params.to_bytes(), vec![scene.clone()])
    };
    with(times(kernel, &with(1), per_tile, 64))
}

/// Random factors.
fn product(seed: &Hash, per_tile: u64) -> Made {
    // Tiles of 64 x 64, 32 x 16 of them, if the factors are not too long.
    let products = 64 * 64 * 2;
    let inner = u32::try_from(per_tile / products).unwrap_or(u32::MAX);
    let params = matmul::Params {
        rows: 32 * 64,
        inner: inner.clamp(16, 4_096),
        columns: 16 * 64,
    };
    let random = |which: u8, edge: u32| -> Arc<[u8]> {
        let mut bytes = vec![0; edge as usize * params.inner as usize];
        let mut hasher = blake3::Hasher::new_derive_key("starling 2026-11 probe factor v1");
        hasher.update(&seed.0).update(&[which]);
        hasher.finalize_xof().fill(&mut bytes);
        bytes.into()
    };
    let factors = vec![random(0, params.rows), random(1, params.columns)];
    (params.encode(), factors)
}

fn nothing(seed: &Hash, per_tile: u64, kernel: &dyn Kernel) -> Made {
    let with = |words| {
        let params = noop::Params {
            tiles: PROBE_TILES,
            words,
            seed: word(seed, 0),
        };
        (params.encode(), Vec::new())
    };
    with(times(kernel, &with(1), per_tile, 16 * 1024))
}

/// The whole set, from a little aside.
fn picture(seed: &Hash, per_tile: u64, kernel: &dyn Kernel) -> Made {
    let with = |iterations| {
        let mut params = fractal::Params::mandelbrot(1, 1, iterations);
        let whole = fractal::Params::mandelbrot(512, 256, iterations);
        (params.width, params.height, params.step) = (512, 256, whole.step);
        params.centre = whole.centre;
        // A quarter of a pixel: other bytes, the same cost.
        let aside = |word: u32| (word % (whole.step as u32 / 4).max(1)) as i32;
        params.centre[0] += aside(word(seed, 0));
        params.centre[1] += aside(word(seed, 1));
        (params.encode(), Vec::new())
    };
    with(times(kernel, &with(1), per_tile, fractal::MAX_ITERATIONS))
}

#[cfg(test)]
mod tests {
    use super::*;
    use starling_protocol::config::{PROBE_SHORTEST, PROBE_VERSION};

    #[test]
    fn jobs_have_the_tiles_that_are_asked_for_and_no_more_units() {
        for kernel in kernels() {
            for units in [1, 1_000_000, 500_000_000, 1 << 34, 1 << 42] {
                let make = |seed| job(kernel.id().0.into(), Hash([seed; 32]), units);
                let (one, other) = (make(1).expect("known"), make(2).expect("known"));
                let shape = one.shape().expect("the kernel takes it");
                assert!(shape.tiles >= PROBE_TILES, "{}", kernel.name());
                let all = shape.units_per_tile * u64::from(PROBE_TILES);
                let least = make_least(*kernel);
                assert!(all <= units.max(least), "{}: {all} {units}", kernel.name());
                // What a device of today is asked for is enough to be measured by.
                if units == 500_000_000 && kernel.name() != "noop" {
                    let enough = units / PROBE_SHORTEST;
                    assert!(all > enough, "{}: {all} {enough}", kernel.name());
                }
                assert_ne!(one, other);
            }
        }
        assert!(job(KernelId::default(), Hash::default(), 1).is_none());
    }

    /// Peers of this version make these: whoever has to change a digest raises the version too.
    #[test]
    fn jobs_are_those_of_the_version() {
        let mut made = Vec::new();
        for kernel in kernels() {
            let seed = Hash([7; 32]);
            let spec = job(kernel.id().0.into(), seed, 500_000_000).expect("known");
            let mut hasher = blake3::Hasher::new();
            hasher.update(&spec.params);
            for input in &spec.inputs {
                hasher.update(input);
            }
            let digest = hasher.finalize().to_hex();
            made.push((kernel.name(), digest[..16].to_owned()));
        }
        let expected = [
            ("render", "df03a2fc2fb55546"),
            ("fractal", "9869af12e8a5fd5a"),
            ("matmul", "d2df21031bb89f5e"),
            ("noop", "7ce9e8992b7e98f6"),
            ("wgsl", "f10db51106260abe"),
        ];
        let expected = expected.map(|(name, digest)| (name, digest.to_owned()));
        assert_eq!((PROBE_VERSION, made), (1, expected.to_vec()));
    }

    fn make_least(kernel: &dyn Kernel) -> u64 {
        let least = job(kernel.id().0.into(), Hash::default(), 1).expect("known");
        least.shape().expect("taken").units_per_tile * u64::from(PROBE_TILES)
    }
}
