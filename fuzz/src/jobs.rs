//! Jobs as strangers submit them: any parameters and inputs for every kernel, and what is accepted is computed.

use std::time::Duration;

use starling_kernels::runner::CpuRunner;
use starling_kernels::{JobSpec, kernels, matmul, noop};

use crate::{Target, kind_of, outcome, split};

pub(crate) const KERNELS: Target = Target {
    name: "kernels",
    about: "parameters and inputs of every kernel, and a tile of what is accepted",
    run,
    seeds,
};

/// Work units of a tile that is still computed here.
const UNITS_MAX: u64 = 1 << 22;

/// Kernel, length of the parameters, number of inputs with two bytes of length each, and all of that.
fn spec(bytes: &[u8]) -> JobSpec {
    let (kernel, rest) = split(bytes);
    let (len, rest) = split(rest);
    let (params, rest) = rest.split_at(usize::from(len).min(rest.len()));
    let (count, mut rest) = split(rest);
    let mut inputs = Vec::new();
    for _ in 0..count % 4 {
        let (low, after) = split(rest);
        let (high, after) = split(after);
        let len = usize::from(u16::from_le_bytes([low, high])).min(after.len());
        let (input, after) = after.split_at(len);
        inputs.push(input.into());
        rest = after;
    }
    let kernels = kernels();
    JobSpec {
        kernel: kernels[usize::from(kernel) % kernels.len()].id(),
        params: params.to_vec(),
        inputs,
    }
}

fn run(bytes: &[u8]) -> u64 {
    let spec = spec(bytes);
    let kind = u64::from(split(bytes).0) % kernels().len() as u64;
    let shape = match spec.shape() {
        Ok(shape) => shape,
        Err(error) => return outcome(kind << 2, &kind_of(&error.to_string())),
    };
    assert!(shape.tiles > 0 && shape.tile_bytes > 0);
    if shape.units_per_tile > UNITS_MAX {
        return outcome(kind << 2 | 1, "large");
    }
    let mut runner = CpuRunner::new();
    let loaded = runner.load(&spec).expect("what has a shape can be loaded");
    assert_eq!(loaded, shape);
    let tiles = [0, shape.tiles - 1];
    let ran = runner
        .run(&tiles, Duration::from_secs(60))
        .expect("and computed");
    assert_eq!(ran.len(), tiles.len() * shape.tile_bytes as usize);
    outcome(kind << 2 | 2, &format!("{}", shape.tiles.ilog2()))
}

fn seeds() -> Vec<Vec<u8>> {
    let number = |name: &str| {
        kernels()
            .iter()
            .position(|k| k.name() == name)
            .unwrap_or_default()
    };
    let job = |name: &str, params: Vec<u8>, inputs: &[Vec<u8>]| {
        let mut bytes = vec![number(name) as u8, params.len() as u8];
        bytes.extend(params);
        bytes.push(inputs.len() as u8);
        for input in inputs {
            bytes.extend((input.len() as u16).to_le_bytes());
            bytes.extend(input);
        }
        bytes
    };
    let mut fractal_params = [0_u32; 9];
    fractal_params[..2].copy_from_slice(&[64, 64]);
    fractal_params[4..6].copy_from_slice(&[1 << 20, 50]);
    let fractal_params = fractal_params
        .iter()
        .flat_map(|w| w.to_le_bytes())
        .collect::<Vec<_>>();
    let matmul_params = matmul::Params {
        rows: 3,
        inner: 2,
        columns: 5,
    };
    let noop_params = noop::Params {
        tiles: 4,
        words: 2,
        seed: 1,
    };
    let mut render_params = [0_u32; 18];
    render_params[..6].copy_from_slice(&[1, 16, 16, 1, 1, 2]);
    let render_params = render_params
        .iter()
        .flat_map(|w| w.to_le_bytes())
        .collect::<Vec<_>>();
    let scene = crate::files::small_scene();
    vec![
        job("fractal", fractal_params, &[]),
        job("matmul", matmul_params.encode(), &[vec![1; 6], vec![2; 10]]),
        job("noop", noop_params.encode(), &[]),
        job("render", render_params, &[scene]),
    ]
}
