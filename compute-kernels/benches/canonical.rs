//! What canonical form costs on one core: the same generic code over `Canon` and over plain floats.

use divan::{Bencher, black_box};
use starling_kernels::canary::chain;
use starling_kernels::canon::{Canon, Real, Vec3};

fn main() {
    divan::main();
}

const N: usize = 4096;

fn operands<R: Real>() -> Vec<(R, R)> {
    let x = |i: usize| R::from_f32(0.3 + (i * 7919 % N) as f32 / N as f32);
    (0..N).map(|i| (x(i), x(i + 1))).collect()
}

/// Dependent multiply-adds: latency, the worst case.
#[divan::bench(types = [f32, Canon])]
fn dependent_chain<R: Real>(bencher: Bencher) {
    let operands = operands::<R>();
    bencher.bench(|| {
        for &(a, b) in black_box(&operands) {
            black_box(chain(a, b));
        }
    });
}

/// Independent multiply-adds: throughput, vectorised.
#[divan::bench(types = [f32, Canon])]
fn independent<R: Real>(bencher: Bencher) {
    let operands = operands::<R>();
    let mut out = vec![R::ZERO; N];
    bencher.bench_local(|| {
        for (o, &(a, b)) in out.iter_mut().zip(black_box(&operands)) {
            *o = ((a * b + a) * b + a) * b + a;
        }
        black_box(&mut out);
    });
}

/// What a ray does to a triangle (Moeller-Trumbore): the shape of a renderer's inner loop.
#[divan::bench(types = [f32, Canon])]
fn ray_triangle<R: Real>(bencher: Bencher) {
    let operands = operands::<R>();
    let hit = |a: R, b: R| {
        let edge1 = Vec3::new(a, R::ONE, b);
        let edge2 = Vec3::new(R::ONE, b, a);
        let direction = Vec3::new(b, a, R::ONE);
        let origin = Vec3::new(a, b, a);
        let p = direction.cross(edge2);
        let inverse = R::ONE / edge1.dot(p);
        let u = origin.dot(p) * inverse;
        let q = origin.cross(edge1);
        let v = direction.dot(q) * inverse;
        let inside = u >= R::ZERO && v >= R::ZERO && u + v <= R::ONE;
        if inside {
            edge2.dot(q) * inverse
        } else {
            R::ZERO
        }
    };
    bencher.bench(|| {
        let sum = |sum, &(a, b): &(R, R)| sum + hit(a, b);
        black_box(black_box(&operands).iter().fold(R::ZERO, sum))
    });
}

/// Transcendentals: fixed polynomials against the system's.
#[divan::bench(types = [f32, Canon])]
fn elementary<R: Real>(bencher: Bencher) {
    let operands = operands::<R>();
    bencher.bench(|| {
        for &(a, b) in black_box(&operands) {
            black_box((a.exp() + b.ln()) + (a.sin() + b.cos()));
        }
    });
}
