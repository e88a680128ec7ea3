//! Rays against the hierarchy, four boxes or four triangles at a time.
//!
//! Twin of the functions of the same names in `path_tracer.wgsl`. The arithmetic is plain f32, because rays
//! and geometry lie on a grid (see `bvh.rs`) on which no result is subnormal, infinite or NaN; only distance
//! and barycentrics leave it, by canonical divisions. The lanes are written as arrays so that they vectorise.

use super::bvh::{ABSENT, Bvh, LEAF, STACK, grid};
use crate::canon::{Real, Vec3};

/// Farther than anything in a scene.
pub(super) const FAR: f32 = 1_048_576.0;

type Lanes = [f32; 4];

#[inline(always)]
fn map2(a: Lanes, b: Lanes, f: impl Fn(f32, f32) -> f32) -> Lanes {
    [f(a[0], b[0]), f(a[1], b[1]), f(a[2], b[2]), f(a[3], b[3])]
}
#[inline(always)]
fn add(a: Lanes, b: Lanes) -> Lanes {
    map2(a, b, |a, b| a + b)
}
#[inline(always)]
fn sub(a: Lanes, b: Lanes) -> Lanes {
    map2(a, b, |a, b| a - b)
}
#[inline(always)]
fn mul(a: Lanes, b: Lanes) -> Lanes {
    map2(a, b, |a, b| a * b)
}
#[inline(always)]
fn max(a: Lanes, b: Lanes) -> Lanes {
    map2(a, b, |a, b| if a > b { a } else { b })
}
#[inline(always)]
fn min(a: Lanes, b: Lanes) -> Lanes {
    map2(a, b, |a, b| if a < b { a } else { b })
}
#[inline(always)]
fn dot(a: [Lanes; 3], b: [Lanes; 3]) -> Lanes {
    add(add(mul(a[0], b[0]), mul(a[1], b[1])), mul(a[2], b[2]))
}
#[inline(always)]
fn cross(a: [Lanes; 3], b: [Lanes; 3]) -> [Lanes; 3] {
    [
        sub(mul(a[1], b[2]), mul(a[2], b[1])),
        sub(mul(a[2], b[0]), mul(a[0], b[2])),
        sub(mul(a[0], b[1]), mul(a[1], b[0])),
    ]
}

/// Origin on the grid of positions, direction on that of directions, about unit length.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ray<R> {
    pub origin: Vec3<R>,
    pub direction: Vec3<R>,
}

impl<R: Real> Ray<R> {
    /// Snaps both towards zero.
    #[inline(always)]
    pub fn new(origin: Vec3<R>, direction: Vec3<R>) -> Self {
        let snap = |x: f32| ((x * 1_048_576.0) as i32) as f32 * (1.0 / 1_048_576.0);
        Self {
            origin: Vec3::from_f32(origin.to_f32().map(grid)),
            direction: Vec3::from_f32(direction.to_f32().map(snap)),
        }
    }

    #[inline(always)]
    pub fn at(&self, t: R) -> Vec3<R> {
        self.origin + self.direction.scale(t)
    }
}

/// Nearest triangle on a ray.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hit<R> {
    /// Number of the facet.
    pub facet: u32,
    pub t: R,
    /// Weights of the second and third corner.
    pub u: R,
    pub v: R,
}

/// The nearest hit in front of the origin.
#[inline]
pub(super) fn nearest<R: Real>(bvh: &Bvh, ray: &Ray<R>) -> Option<Hit<R>> {
    let mut best = Hit {
        facet: ABSENT,
        t: R::from_f32(FAR),
        u: R::ZERO,
        v: R::ZERO,
    };
    let mut limit = FAR;
    walk(bvh, ray, &mut limit, true, |number, hit, limit| {
        let inverse = R::ONE / R::from_f32(hit[0]);
        let t = R::from_f32(hit[1]) * inverse;
        if t.to_f32() < *limit {
            best = Hit {
                facet: number,
                t,
                u: R::from_f32(hit[2]) * inverse,
                v: R::from_f32(hit[3]) * inverse,
            };
            *limit = t.to_f32();
        }
        false
    });
    (best.facet != ABSENT).then_some(best)
}

/// How many glass surfaces lie between the origin and `limit`, or none if something opaque does.
#[inline]
pub(super) fn crossings<R: Real>(bvh: &Bvh, glass: &[bool], ray: &Ray<R>, limit: R) -> Option<u32> {
    let mut count = Some(0);
    walk(bvh, ray, &mut limit.to_f32(), false, |number, _, _| {
        match &mut count {
            Some(n) if glass[bvh.facets[number as usize].material as usize] => *n += 1,
            _ => count = None,
        }
        count.is_none()
    });
    count
}

/// Calls `visit(facet, [determinant, t, u, v], limit)` for hits before `limit`, the last three still times the
/// determinant, until it says true.
#[inline(always)]
fn walk<R: Real>(
    bvh: &Bvh,
    ray: &Ray<R>,
    limit: &mut f32,
    ordered: bool,
    mut visit: impl FnMut(u32, [f32; 4], &mut f32) -> bool,
) {
    let o = ray.origin.to_f32();
    let d = ray.direction.to_f32();
    // 2^40 instead of infinity: also 0 * inverse is then 0 and not NaN.
    let inverse = d.map(|x| {
        if x == 0.0 {
            1_099_511_627_776.0
        } else {
            1.0 / x
        }
    });
    let origin = o.map(|x| [x; 4]);
    let direction = d.map(|x| [x; 4]);
    let inverse4 = inverse.map(|x| [x; 4]);
    let forward = inverse.map(|x| x > 0.0);
    let mut stack = [(0u32, 0u32); STACK];
    let mut top = 0;
    let mut next = 0u32;
    loop {
        if next & LEAF == 0 {
            let node = &bvh.nodes[next as usize];
            let side = |k: usize, near: bool| {
                let plane = if forward[k] == near {
                    node.low[k]
                } else {
                    node.high[k]
                };
                mul(sub(plane, origin[k]), inverse4[k])
            };
            let enter = max(
                max(side(0, true), side(1, true)),
                max(side(2, true), [0.0; 4]),
            );
            let leave = min(
                min(side(0, false), side(1, false)),
                min(side(2, false), [*limit; 4]),
            );
            let mut keys = [0u32; 4];
            for lane in 0..4 {
                // Distance with the lane in its last two bits: orders the children, and is not above it.
                let key = enter[lane].to_bits() & !3 | lane as u32;
                keys[lane] = if enter[lane] <= leave[lane] {
                    key
                } else {
                    u32::MAX
                };
            }
            if ordered {
                let mut order = |a: usize, b: usize| {
                    (keys[a], keys[b]) = (keys[a].max(keys[b]), keys[a].min(keys[b]))
                };
                order(0, 2);
                order(1, 3);
                order(0, 1);
                order(2, 3);
                order(1, 2);
            }
            for key in keys {
                if key != u32::MAX {
                    stack[top] = (key, node.child[(key & 3) as usize]);
                    top += 1;
                }
            }
        } else {
            let block = &bvh.blocks[(next & !LEAF) as usize];
            let p = cross(direction, block.edge2);
            let det = dot(block.edge1, p);
            let s = [0, 1, 2].map(|k| sub(origin[k], block.corner[k]));
            let q = cross(s, block.edge1);
            let sign = det.map(|x| if x < 0.0 { -1.0 } else { 1.0 });
            let det = mul(det, sign);
            let u = mul(dot(s, p), sign);
            let v = mul(dot(direction, q), sign);
            let t = mul(dot(block.edge2, q), sign);
            let uv = add(u, v);
            let inside = |lane: usize| {
                (u[lane] >= 0.0)
                    & (v[lane] >= 0.0)
                    & (uv[lane] <= det[lane])
                    & (t[lane] > 0.0)
                    & (det[lane] > 0.0)
            };
            let any = [inside(0), inside(1), inside(2), inside(3)];
            if any[0] | any[1] | any[2] | any[3] {
                for lane in 0..4 {
                    let number = 4 * (next & !LEAF) + lane as u32;
                    if any[lane]
                        && t[lane] < *limit * det[lane]
                        && visit(number, [det[lane], t[lane], u[lane], v[lane]], limit)
                    {
                        return;
                    }
                }
            }
        }
        loop {
            if top == 0 {
                return;
            }
            top -= 1;
            let (key, child) = stack[top];
            if f32::from_bits(key & !3) < *limit {
                next = child;
                break;
            }
        }
    }
}
