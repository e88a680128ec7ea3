//! A device and the CPU reference give the same bytes, on inputs never seen before.

#[path = "support/random.rs"]
mod random;
mod support;

use random::Random;
use starling_kernels::canary::{self, EDGES, OPERATIONS};
use starling_kernels::fractal::{Fractal, MAX_ITERATIONS, ONE, Params, Set};
use starling_kernels::matmul::{self, Matmul};
use starling_kernels::noop::{self, Noop};
use starling_kernels::runner::{CpuRunner, Runner};
use starling_kernels::{JobSpec, Kernel};
use support::{DEADLINE, device};

/// Random operands of every operation: `STARLING_OPS=10000000` for the full check.
fn samples() -> usize {
    let wanted = std::env::var("STARLING_OPS");
    wanted.map_or(200_000, |n| n.parse().expect("STARLING_OPS is a number"))
}

/// Bits of a float: any pattern at all, an ordinary magnitude, one whose products are near a limit, or an edge.
fn operand(random: &mut Random) -> u32 {
    let bits = random.u32();
    match random.below(8) {
        0 | 1 => bits,
        2..=5 => (bits & 0x807f_ffff) | ((112 + random.below(32)) << 23),
        6 => (bits & 0x807f_ffff) | ((70 + random.below(115)) << 23),
        _ => EDGES[random.below(EDGES.len() as u32) as usize],
    }
}

fn compare(gpu: &mut Runner, entries: &[[u32; 3]]) {
    entries
        .chunks(1 << 20)
        .for_each(|part| compare_part(gpu, part));
}

fn compare_part(gpu: &mut Runner, entries: &[[u32; 3]]) {
    let job = canary::job(entries);
    let shape = gpu
        .load(&job, DEADLINE)
        .expect("the device takes the table");
    let tiles: Vec<u32> = (0..shape.tiles).collect();
    let bytes = gpu.run(&tiles, DEADLINE).expect("the device computes");
    for (word, &[op, a, b]) in bytes.chunks_exact(4).zip(entries) {
        let got = u32::from_le_bytes(word.try_into().expect("four bytes"));
        let expected = canary::apply(op, a, b);
        assert!(
            got == expected,
            "{}({a:#010x}, {b:#010x}) = {got:#010x} on the device, {expected:#010x} on the CPU",
            OPERATIONS[op as usize],
        );
    }
}

#[test]
fn canonical_operations_on_edges() {
    let Some(gpu) = device() else { return };
    let mut gpu = Runner::Gpu(Box::new(gpu));
    for op in 0..OPERATIONS.len() as u32 {
        let pairs = EDGES.iter().flat_map(|&a| EDGES.map(|b| [op, a, b]));
        compare(&mut gpu, &pairs.collect::<Vec<_>>());
    }
}

#[test]
fn canonical_operations_on_random_operands() {
    let Some(gpu) = device() else { return };
    let mut gpu = Runner::Gpu(Box::new(gpu));
    let mut random = Random::fresh();
    for op in 0..OPERATIONS.len() as u32 {
        let entry = |_| [op, operand(&mut random), operand(&mut random)];
        let entries: Vec<_> = (0..samples()).map(entry).collect();
        compare(&mut gpu, &entries);
        eprintln!(
            "{}: {} operands identical",
            OPERATIONS[op as usize],
            samples()
        );
    }
}

/// Quotients and roots whose last bit is hardest: operands built from the result.
#[test]
fn division_and_root_next_to_ties() {
    let Some(gpu) = device() else { return };
    let mut gpu = Runner::Gpu(Box::new(gpu));
    let mut random = Random::fresh();
    let mut entries = Vec::new();
    for _ in 0..samples() / 2 {
        // q and b of 24 bits: a = nearest(q b), then one step either way.
        let q = f32::from_bits(0x3f80_0000 | (random.u32() & 0x7f_ffff));
        let b = f32::from_bits(0x3f80_0000 | (random.u32() & 0x7f_ffff));
        let a = (q * b)
            .to_bits()
            .wrapping_add(random.below(3))
            .wrapping_sub(1);
        entries.push([4, a, b.to_bits()]);

        let square = (q * q)
            .to_bits()
            .wrapping_add(random.below(3))
            .wrapping_sub(1);
        entries.push([5, square, 0]);
    }
    compare(&mut gpu, &entries);
}

#[test]
fn fractal_on_random_views() {
    let Some(gpu) = device() else { return };
    let mut gpu = Runner::Gpu(Box::new(gpu));
    let mut cpu = Runner::Cpu(CpuRunner::new());
    let mut random = Random::fresh();
    let mut hashes = Vec::new();
    for _ in 0..24 {
        let (width, height) = (1 + random.below(150), 1 + random.below(150));
        // Steps from deep zooms to views beyond the escape radius, centred in [-2, 2].
        let step = ONE >> (7 + random.below(20));
        let coordinate = |r: &mut Random| r.below(4 << 28) as i32 - 2 * ONE;
        let params = Params {
            width,
            height,
            centre: [coordinate(&mut random), coordinate(&mut random)],
            step,
            max_iterations: 1 + random.below(2000),
            set: match random.below(2) {
                0 => Set::Mandelbrot,
                _ => Set::Julia {
                    x: coordinate(&mut random),
                    y: coordinate(&mut random),
                },
            },
        };
        let job = JobSpec {
            kernel: Fractal.id(),
            params: params.encode(),
            inputs: Vec::new(),
        };
        let shape = cpu.load(&job, DEADLINE).expect("a valid view");
        assert_eq!(gpu.load(&job, DEADLINE), Ok(shape));
        // Any tiles in any order, repeated ones too.
        let tiles: Vec<u32> = (0..shape.tiles + 3)
            .map(|_| random.below(shape.tiles))
            .collect();
        let expected = cpu.run(&tiles, DEADLINE).expect("the CPU computes");
        let got = gpu.run(&tiles, DEADLINE).expect("the device computes");
        assert!(got == expected, "tiles {tiles:?} of {params:?}");
        hashes.push(blake3::hash(&got));
    }
    hashes.sort_by_key(|h| *h.as_bytes());
    hashes.dedup();
    assert!(hashes.len() > 12, "the views are not all alike");
}

#[test]
fn the_canary_admits_this_device() {
    let Some(gpu) = device() else { return };
    canary::canary(&mut Runner::Gpu(Box::new(gpu))).expect("same bytes as the CPU");
    canary::canary(&mut Runner::Cpu(CpuRunner::new())).expect("the reference itself");
}

/// Hashes of all tiles, by the device and by the CPU.
fn both(gpu: &mut Runner, job: &JobSpec) -> [blake3::Hash; 2] {
    let mut cpu = Runner::Cpu(CpuRunner::new());
    [gpu, &mut cpu].map(|runner| {
        let shape = runner.load(job, DEADLINE).expect("the job is valid");
        let tiles: Vec<u32> = (0..shape.tiles).collect();
        blake3::hash(&runner.run(&tiles, DEADLINE).expect("the device computes"))
    })
}

#[test]
fn matmul_on_random_shapes() {
    let Some(gpu) = device() else { return };
    let mut gpu = Runner::Gpu(Box::new(gpu));
    let mut random = Random::fresh();
    let fixed = [
        (1, 1, 1),
        (1, 4099, 1),
        (64, 16, 64),
        (65, 17, 63),
        (3, 70_001, 5),
        (2, matmul::MAX_INNER, 3),
    ];
    let drawn = (0..12).map(|_| {
        (
            1 + random.below(200),
            1 + random.below(500),
            1 + random.below(200),
        )
    });
    for (n, (rows, inner, columns)) in fixed
        .into_iter()
        .chain(drawn.collect::<Vec<_>>())
        .enumerate()
    {
        let params = matmul::Params {
            rows,
            inner,
            columns,
        };
        // The first ones with the largest products there are.
        let mut bytes = |len: u32| {
            (0..len)
                .map(|_| if n < 3 { 0x80 } else { random.u32() as u8 })
                .collect()
        };
        let job = JobSpec {
            kernel: Matmul.id(),
            params: params.encode(),
            inputs: vec![bytes(rows * inner), bytes(inner * columns)],
        };
        let [got, expected] = both(&mut gpu, &job);
        assert_eq!(got, expected, "{params:?}");
    }
}

#[test]
fn noop_on_random_sizes() {
    let Some(gpu) = device() else { return };
    let mut gpu = Runner::Gpu(Box::new(gpu));
    let mut random = Random::fresh();
    for _ in 0..8 {
        let params = noop::Params {
            tiles: 1 + random.below(100),
            words: 1 + random.below(300),
            seed: random.u32(),
        };
        let job = JobSpec {
            kernel: Noop.id(),
            params: params.encode(),
            inputs: Vec::new(),
        };
        let [got, expected] = both(&mut gpu, &job);
        assert_eq!(got, expected, "{params:?}");
    }
}

/// Drivers may cut loops short without a word.
#[test]
fn the_longest_loops_run_to_their_end() {
    let Some(gpu) = device() else { return };
    let mut gpu = Runner::Gpu(Box::new(gpu));
    let inside = Params {
        width: 1,
        height: 1,
        centre: [0, 0],
        step: 1,
        max_iterations: MAX_ITERATIONS,
        set: Set::Mandelbrot,
    };
    let fractal = JobSpec {
        kernel: Fractal.id(),
        params: inside.encode(),
        inputs: Vec::new(),
    };
    let long = matmul::Params {
        rows: 2,
        inner: matmul::MAX_INNER,
        columns: 1,
    };
    let ones = |len: u32| vec![1; len as usize].into();
    let matmul = JobSpec {
        kernel: Matmul.id(),
        params: long.encode(),
        inputs: vec![ones(2 * long.inner), ones(long.inner)],
    };
    for job in [fractal, matmul] {
        let [got, expected] = both(&mut gpu, &job);
        assert_eq!(got, expected, "{job:?}");
    }
}
