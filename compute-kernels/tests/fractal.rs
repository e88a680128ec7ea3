//! The fractal kernel's meaning, its validation of strangers' parameters, and its picture.

use std::sync::Arc;

use proptest::prelude::*;
use starling_kernels::fractal::{Fractal, MAX_EDGE, MAX_ITERATIONS, ONE, Params, Set};
use starling_kernels::{Kernel, KernelError, Tier, kernel, kernel_named};

fn counts(params: &Params) -> Vec<u32> {
    let job = Fractal.prepare(&params.encode(), &[]).expect("valid");
    let tiles: Vec<u32> = (0..job.shape().tiles).collect();
    let bytes = job.run(&tiles);
    let words = bytes.chunks_exact(4);
    words
        .map(|w| u32::from_le_bytes(w.try_into().expect("four bytes")))
        .collect()
}

/// One pixel, at its centre.
fn at(x: f64, y: f64, set: Set, max_iterations: u32) -> u32 {
    let fixed = |v: f64| (v * f64::from(ONE)) as i32;
    let params = Params {
        width: 1,
        height: 1,
        centre: [fixed(x), fixed(y)],
        step: 1,
        max_iterations,
        set,
    };
    counts(&params)[0]
}

#[test]
fn it_agrees_with_floating_point() {
    let escape = |x: f64, y: f64, cx: f64, cy: f64| {
        let (mut zx, mut zy, mut n) = (x, y, 0);
        while n < 50 && zx * zx + zy * zy <= 4.0 {
            (zx, zy) = (zx * zx - zy * zy + cx, 2.0 * zx * zy + cy);
            n += 1;
        }
        n
    };
    let julia = Set::Julia {
        x: (-0.4 * f64::from(ONE)) as i32,
        y: (0.6 * f64::from(ONE)) as i32,
    };
    let (mut same, mut total) = (0, 0);
    for i in 0..40 {
        for j in 0..40 {
            let (x, y) = (f64::from(i) * 0.071 - 2.1, f64::from(j) * 0.068 - 1.3);
            same += u32::from(at(x, y, Set::Mandelbrot, 50) == escape(x, y, x, y));
            same += u32::from(at(x, y, julia, 50) == escape(x, y, -0.4, 0.6));
            total += 2;
        }
    }
    // Chaotic points near the border may differ: 28 fractional bits against 52.
    assert!(same * 1000 >= total * 995, "{same} of {total}");
    assert_eq!(at(0.0, 0.0, Set::Mandelbrot, 1000), 1000);
    assert_eq!(
        at(-2.0, 0.0, Set::Mandelbrot, 1000),
        1000,
        "the tip belongs to the set"
    );
    assert_eq!(at(3.5, 3.5, Set::Mandelbrot, 1000), 0);
}

#[test]
fn the_edge_of_the_picture_is_zero_and_tiles_are_independent() {
    let params = Params::mandelbrot(20, 18, 100);
    let all = counts(&params);
    assert_eq!(all.len(), 4 * 256);
    assert!(
        all[256..512]
            .chunks(16)
            .all(|row| row[4..].iter().all(|&n| n == 0))
    );
    let job = Fractal.prepare(&params.encode(), &[]).expect("valid");
    let mut third = vec![0; 1024];
    job.tile(2, &mut third);
    assert_eq!(third, bytemuck::cast_slice::<u32, u8>(&all[512..768]));
}

#[test]
fn parameters_out_of_range_are_refused() {
    let good = Params::mandelbrot(64, 64, 100);
    let refused = |change: &dyn Fn(&mut Params)| {
        let mut params = good;
        change(&mut params);
        matches!(
            Fractal.shape(&params.encode(), &[]),
            Err(KernelError::Params(_))
        )
    };
    assert!(!refused(&|_| ()));
    assert!(refused(&|p| p.width = 0));
    assert!(refused(&|p| p.height = MAX_EDGE + 1));
    assert!(refused(&|p| p.max_iterations = 0));
    assert!(refused(&|p| p.max_iterations = MAX_ITERATIONS + 1));
    assert!(refused(&|p| p.step = 0));
    assert!(refused(&|p| p.step = -5));
    assert!(refused(&|p| p.step = i32::MAX));
    assert!(refused(&|p| p.centre = [i32::MIN, 0]));
    assert!(refused(&|p| p.centre = [0, 4 * (ONE - 1)]));
    assert!(refused(&|p| p.set = Set::Julia { x: i32::MIN, y: 0 }));
    let inputs = [Arc::from([0u8; 4])];
    assert!(matches!(
        Fractal.shape(&good.encode(), &inputs),
        Err(KernelError::Input { .. })
    ));
}

#[test]
fn the_registry_knows_it() {
    let found = kernel_named("fractal").expect("it is offered");
    assert_eq!(found.id(), Fractal.id());
    assert_eq!(kernel(Fractal.id()).map(|k| k.name()), Ok("fractal"));
    assert!(
        kernel_named("canary").is_none(),
        "the canary is not offered"
    );
    let shape = Fractal.shape(&Params::mandelbrot(640, 480, 256).encode(), &[]);
    let shape = shape.expect("valid");
    assert_eq!(
        (shape.tiles, shape.tile_bytes, shape.tier),
        (1200, 1024, Tier::Exact)
    );
}

#[test]
fn the_picture_decodes_to_the_right_size() {
    let params = Params::mandelbrot(70, 50, 64);
    let bytes: Vec<u8> = counts(&params)
        .iter()
        .flat_map(|n| n.to_le_bytes())
        .collect();
    let file = params.png(&bytes).expect("all tiles are there");
    let decoder = png::Decoder::new(std::io::Cursor::new(&file));
    let mut reader = decoder.read_info().expect("a PNG");
    let mut rgb = vec![0; reader.output_buffer_size().expect("small")];
    let info = reader.next_frame(&mut rgb).expect("a PNG");
    assert_eq!((info.width, info.height), (70, 50));
    let pixel = |x: usize, y: usize| &rgb[(y * 70 + x) * 3..][..3];
    assert_eq!(pixel(40, 25), [0, 0, 0], "the set is black");
    assert_ne!(pixel(0, 0), [0, 0, 0]);
    assert!(params.png(&bytes[..bytes.len() - 1]).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever arrives is refused or computed, never a panic; what is accepted decodes to itself.
    #[test]
    fn any_bytes(mut words in prop::array::uniform9(any::<u32>()), small in any::<bool>(), cut in 0usize..40) {
        if small {
            words[0] %= 200;
            words[1] %= 200;
            words[4] %= 1 << 20;
            words[5] %= 100;
            words[6] %= 3;
        }
        let bytes: Vec<u8> = words.iter().flat_map(|w| w.to_le_bytes()).collect();
        if let Ok(params) = Params::decode(&bytes) {
            prop_assert_eq!(params.encode(), bytes.clone());
            if params.max_iterations <= 100 {
                let job = Fractal.prepare(&bytes, &[]).expect("it decodes");
                job.run(&[0, job.shape().tiles - 1]);
            }
        }
        prop_assert!(cut >= bytes.len() || Params::decode(&bytes[..cut]).is_err());
    }
}
