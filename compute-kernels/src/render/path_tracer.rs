//! The path tracer: radiance along camera rays, sample by sample. Twin of `path_tracer.wgsl`.
//!
//! Generic over [`Real`] so that a benchmark can compare canonical with native floats; peers run [`Canon`]
//! only. Every function here has one of the same name in the shader, with the same operations in the same order.
//! Invariant: no division by zero reaches a result, and radiance is finite and not negative.

use super::bvh::Bvh;
use super::intersect::{FAR, Ray, crossings, nearest};
use super::params::{RenderParams, TILE};
use super::sampler::Sampler;
use super::scene::Surface;
use super::setup::{Emitter, MaterialWords, Setup};
use crate::canon::{Real, Vec3};

const TAU: f32 = std::f32::consts::TAU;
/// What one glass surface leaves of a shadow ray.
const GLASS_SHADOW: f32 = 0.85;
/// Most radiance that one scattered path may bring to a channel: no fireflies.
const CLAMP: f32 = 4.0;

/// All that a job's tiles share, on the CPU.
pub struct PathTracer {
    pub(super) params: RenderParams,
    pub(super) triangles: usize,
    pub(super) bvh: Bvh,
    pub(super) setup: Setup,
    pub(super) materials: Vec<MaterialWords>,
    pub(super) glass: Vec<bool>,
    pub(super) emitters: Vec<Emitter>,
}

/// A surface point, seen from the side of the ray.
struct Point<R> {
    at: Vec3<R>,
    /// Shading normal.
    normal: Vec3<R>,
    /// Normal of the triangle's plane.
    plane: Vec3<R>,
}

impl<R: Real> Point<R> {
    #[inline(always)]
    fn faces(&self, direction: Vec3<R>) -> bool {
        self.normal.dot(direction) > R::ZERO && self.plane.dot(direction) > R::ZERO
    }
}

/// Light on its way to a point: from where, from how far, and what it brings if nothing is in between.
struct Arrival<R> {
    direction: Vec3<R>,
    distance: R,
    light: Vec3<R>,
}

impl<R: Real> Arrival<R> {
    const NONE: Self = Self {
        direction: Vec3::ZERO,
        distance: R::ZERO,
        light: Vec3::ZERO,
    };
}

/// [0, 1) with 24 bits.
#[inline(always)]
fn unit<R: Real>(x: u32) -> R {
    R::from_u32(x >> 8) * R::from_f32(1.0 / 16_777_216.0)
}

#[inline(always)]
fn c<R: Real>(x: f32) -> R {
    R::from_f32(x)
}

#[inline(always)]
fn v3<R: Real>(x: [f32; 4]) -> Vec3<R> {
    Vec3::from_f32([x[0], x[1], x[2]])
}

/// a + (b - a) t
#[inline(always)]
fn mix<R: Real>(a: Vec3<R>, b: Vec3<R>, t: R) -> Vec3<R> {
    a + (b - a).scale(t)
}

/// (1 - x)^5 of Schlick's approximation.
#[inline(always)]
fn schlick<R: Real>(x: R) -> R {
    let m = (R::ONE - x).max(R::ZERO);
    let m2 = m * m;
    (m2 * m2) * m
}

/// A uniform direction.
#[inline(always)]
fn sphere<R: Real>(r: [u32; 2]) -> Vec3<R> {
    let z = R::ONE - c::<R>(2.0) * unit(r[0]);
    let radius = (R::ONE - z * z).max(R::ZERO).sqrt();
    let angle = c::<R>(TAU) * unit(r[1]);
    Vec3::new(radius * angle.cos(), radius * angle.sin(), z)
}

/// A uniform point of the unit disc.
#[inline(always)]
fn disc<R: Real>(r: [u32; 2]) -> [R; 2] {
    let radius = unit::<R>(r[0]).sqrt();
    let angle = c::<R>(TAU) * unit(r[1]);
    [radius * angle.cos(), radius * angle.sin()]
}

/// A visible GGX half vector around `n` for the view direction `w` (Dupuy and Benyoub 2023).
#[inline(always)]
fn half_vector<R: Real>(w: Vec3<R>, n: Vec3<R>, alpha: R, r: [u32; 2]) -> Vec3<R> {
    let cosine = w.dot(n);
    let along = n.scale(cosine);
    let stretched = ((w - along).scale(alpha) + along).normalize();
    let z0 = stretched.dot(n);
    let z = (R::ONE - unit::<R>(r[0])) * (R::ONE + z0) - z0;
    let radius = (R::ONE - z * z).max(R::ZERO).sqrt();
    let angle = c::<R>(TAU) * unit(r[1]);
    // A half turn about the bisector of n and the nearer pole takes that pole to n.
    let pole = if n.z < R::ZERO { -R::ONE } else { R::ONE };
    let cap = Vec3::new(radius * angle.cos(), radius * angle.sin(), pole * z);
    let axis = Vec3::new(n.x, n.y, n.z + pole);
    let turned = axis.scale(axis.dot(cap) / (pole * axis.z)) - cap;
    let m = turned + stretched;
    let up = n.scale(m.dot(n));
    ((m - up).scale(alpha) + up).normalize()
}

/// Smith's visibility of a direction at cosine `x`: 2x / (x + sqrt(a2 + (1 - a2) x^2)).
#[inline(always)]
fn smith<R: Real>(x: R, a2: R) -> R {
    (x + x) / (x + (a2 + (R::ONE - a2) * (x * x)).sqrt())
}

/// GGX reflection of light at `l` towards `w`, times the cosine, without the Fresnel factor.
#[inline(always)]
fn ggx<R: Real>(w: Vec3<R>, l: Vec3<R>, n: Vec3<R>, alpha: R) -> R {
    let h = (w + l).normalize();
    let nh = n.dot(h).max(R::ZERO);
    let nw = n.dot(w).max(c(1e-3));
    let nl = n.dot(l).max(R::ZERO);
    let a2 = alpha * alpha;
    let k = (nh * nh) * (a2 - R::ONE) + R::ONE;
    let d = a2 / ((k * k) * c(std::f32::consts::PI)).max(c(1e-9));
    (d * (smith(nw, a2) * smith(nl, a2))) / (c::<R>(4.0) * nw)
}

impl PathTracer {
    /// One tile: sums over the pass's samples, row by row, three values a pixel; zeros outside the picture.
    pub fn trace_tile<R: Real>(&self, tile: u32, out: &mut [u8]) {
        let per_pass = self.params.tiles_per_pass();
        let (pass, position) = (tile / per_pass, tile % per_pass);
        let (x0, y0) = (
            position % self.params.tiles_x() * TILE,
            position / self.params.tiles_x() * TILE,
        );
        for (i, bytes) in out.chunks_exact_mut(12).enumerate() {
            let (x, y) = (x0 + i as u32 % TILE, y0 + i as u32 / TILE);
            if x < self.params.width && y < self.params.height {
                let sum = self.pixel::<R>(x, y, pass).to_f32();
                bytes.copy_from_slice(bytemuck::cast_slice(&sum.map(|v| v.to_bits().to_le())));
            }
        }
    }

    fn pixel<R: Real>(&self, x: u32, y: u32, pass: u32) -> Vec3<R> {
        let mut sum = Vec3::ZERO;
        for s in 0..self.params.spp_per_pass {
            let sample = pass * self.params.spp_per_pass + s;
            let sampler = Sampler::new(self.params.seed, y * self.params.width + x, sample);
            sum = sum + self.radiance(self.camera_ray(x, y, &sampler), &sampler);
        }
        sum
    }

    fn camera_ray<R: Real>(&self, x: u32, y: u32, sampler: &Sampler) -> Ray<R> {
        let s = &self.setup;
        let jitter = sampler.pair(0);
        let px = R::from_u32(x) + unit(jitter[0]) - c(s.centre[0]);
        let py = c::<R>(s.centre[1]) - (R::from_u32(y) + unit(jitter[1]));
        // Points of the plane that is in focus.
        let focal = v3::<R>(s.forward) + (v3::<R>(s.right).scale(px) + v3::<R>(s.up).scale(py));
        let mut eye = Vec3::ZERO;
        if s.eye[3] > 0.0 {
            let lens = disc::<R>(sampler.pair(1));
            eye = v3::<R>(s.lens_right).scale(lens[0]) + v3::<R>(s.lens_up).scale(lens[1]);
        }
        Ray::new(v3::<R>(s.eye) + eye, (focal - eye).normalize())
    }

    /// Sky, and the sun's disc where it counts.
    fn sky<R: Real>(&self, d: Vec3<R>, with_sun: bool) -> Vec3<R> {
        let s = &self.setup;
        let horizon = v3::<R>(s.horizon);
        if d.y < R::ZERO {
            return mix(horizon, v3(s.ground), (d.y * c(-8.0)).min(R::ONE));
        }
        let a = R::ONE - d.y;
        let a2 = a * a;
        let a4 = a2 * a2;
        let gradient = mix(v3(s.zenith), horizon, a4 * a4);
        if with_sun && d.dot(v3(s.sun)) > c(s.sun_disc[3]) {
            return gradient + v3(s.sun_disc);
        }
        gradient
    }

    fn radiance<R: Real>(&self, mut ray: Ray<R>, sampler: &Sampler) -> Vec3<R> {
        let mut light = Vec3::ZERO;
        let mut weight = Vec3::splat(R::ONE);
        // What a ray that escapes or meets a lamp may still count: the rest came by a shadow ray.
        let mut sees_sun = true;
        let mut sees_lamps = true;
        for bounce in 0..=self.params.max_bounces {
            let Some(hit) = nearest(&self.bvh, &ray) else {
                return light + clamp_light(weight * self.sky(ray.direction, sees_sun), bounce);
            };
            let facet = &self.bvh.facets[hit.facet as usize];
            let material = &self.materials[facet.material as usize];
            if material.surface == Surface::Emissive as u32 {
                if sees_lamps {
                    light = light + clamp_light(weight * v3(material.emission), bounce);
                }
                return light;
            }
            if bounce == self.params.max_bounces {
                return light;
            }
            let view = -ray.direction;
            let mut plane = Vec3::from_f32(facet.plane);
            let inside = plane.dot(view) < R::ZERO;
            let smooth = (v3::<R>(facet.normal[0]).scale((R::ONE - hit.u) - hit.v)
                + v3::<R>(facet.normal[1]).scale(hit.u))
                + v3::<R>(facet.normal[2]).scale(hit.v);
            let mut normal = smooth.normalize();
            if inside {
                plane = -plane;
                normal = -normal;
            }
            if normal.dot(view) < c(1e-3) {
                normal = plane;
            }
            let point = Point {
                at: ray.at(hit.t),
                normal,
                plane,
            };
            let cosine = normal.dot(view).max(R::ZERO);
            let first = 2 + 3 * bounce;
            let lobe = sampler.pair(first);
            let choice = sampler.pair(first + 1);
            let colour = self.surface_colour(material, point.at);
            let mut direction = normal.scale(cosine + cosine) - view;
            let mut arrival = Arrival::NONE;
            if material.surface == Surface::Glass as u32 {
                // Ratio of the refractive indices on this side to the other.
                let eta = c::<R>(if inside {
                    material.ior
                } else {
                    material.inverse_ior
                });
                let k = R::ONE - (eta * eta) * (R::ONE - cosine * cosine);
                let mut reflected = R::ONE;
                let other = k.max(R::ZERO).sqrt();
                let along = eta * cosine;
                if k > R::ZERO {
                    let across = eta * other;
                    let s = (along - other) / (along + other);
                    let p = (cosine - across) / (cosine + across);
                    reflected = (s * s + p * p) * c(0.5);
                }
                if unit::<R>(choice[0]) >= reflected {
                    direction = normal.scale(along - other) - view.scale(eta);
                    weight = weight * colour;
                }
            } else if material.surface == Surface::Metal as u32 && material.alpha > 0.0 {
                let alpha = c::<R>(material.alpha);
                arrival = self.sunlight(&point, view, choice, colour, alpha);
                arrival.light = weight * arrival.light;
                let h = half_vector(view, normal, alpha, lobe);
                let vh = view.dot(h).max(R::ZERO);
                direction = h.scale(vh + vh) - view;
                let nl = normal.dot(direction).max(R::ZERO);
                let fresnel = mix(colour, Vec3::splat(R::ONE), schlick(vh));
                weight = (weight * fresnel).scale(smith(nl, alpha * alpha));
                sees_sun = false;
                sees_lamps = true;
            } else if material.surface == Surface::Metal as u32 {
                weight = weight * mix(colour, Vec3::splat(R::ONE), schlick(cosine));
                sees_lamps = true;
            } else {
                let coat = c::<R>(0.04) + c::<R>(0.96) * schlick(cosine);
                if material.surface == Surface::Glazed as u32 && unit::<R>(choice[0]) < coat {
                    sees_lamps = true;
                } else {
                    weight = weight * colour;
                    arrival = self.direct(&point, sampler.pair(first + 2), choice[1]);
                    arrival.light = weight * arrival.light;
                    let towards = normal + sphere(lobe);
                    direction = if towards.dot(towards) > c(1e-6) {
                        towards
                    } else {
                        normal
                    };
                    sees_sun = false;
                    sees_lamps = false;
                }
            }
            let [red, green, blue] = arrival.light.to_f32();
            if red > 0.0 || green > 0.0 || blue > 0.0 {
                let open = self.openness(&point, arrival.direction, arrival.distance);
                light = light + clamp_light(arrival.light.scale(open), bounce);
            }
            // Roulette by what the path can still bring.
            if bounce >= 2 {
                let q = weight.x.max(weight.y).max(weight.z).min(c(0.95));
                if unit::<R>(sampler.single(first)) >= q {
                    return light;
                }
                weight = weight.scale(R::ONE / q);
            }
            direction = direction.normalize();
            let side = direction.dot(plane);
            if side <= R::ZERO && material.surface != Surface::Glass as u32 {
                return light;
            }
            ray = Ray::new(offset(&point, side), direction);
        }
        light
    }

    /// The material's colour, by the square of the board if it has one.
    #[inline(always)]
    fn surface_colour<R: Real>(&self, material: &MaterialWords, at: Vec3<R>) -> Vec3<R> {
        let scale = c::<R>(material.checker[3]);
        if scale > R::ZERO {
            let square = |x: R| (x * scale + c(65536.5)).to_u32();
            if square(at.x).wrapping_add(square(at.z)) & 1 == 1 {
                return v3(material.checker);
            }
        }
        v3(material.colour)
    }

    /// A direction to somewhere on the sun's disc.
    #[inline(always)]
    fn to_sun<R: Real>(&self, r: [u32; 2]) -> Vec3<R> {
        let s = &self.setup;
        let p = disc::<R>(r);
        (v3::<R>(s.sun) + (v3::<R>(s.sun_right).scale(p[0]) + v3::<R>(s.sun_up).scale(p[1])))
            .normalize()
    }

    /// The sun's light that a rough metal reflects towards the viewer.
    #[inline(always)]
    fn sunlight<R: Real>(
        &self,
        point: &Point<R>,
        view: Vec3<R>,
        r: [u32; 2],
        colour: Vec3<R>,
        alpha: R,
    ) -> Arrival<R> {
        let sun = self.to_sun::<R>(r);
        if !self.setup.has_sun() || !point.faces(sun) {
            return Arrival::NONE;
        }
        let vh = view.dot((view + sun).normalize());
        let fresnel = mix(colour, Vec3::splat(R::ONE), schlick(vh));
        let light =
            (fresnel * v3(self.setup.irradiance)).scale(ggx(view, sun, point.normal, alpha));
        Arrival {
            direction: sun,
            distance: c(FAR),
            light,
        }
    }

    /// Light that reaches a matt surface straight from the sun or a lamp, one of them at random; over pi.
    fn direct<R: Real>(&self, point: &Point<R>, spread: [u32; 2], mut pick: u32) -> Arrival<R> {
        let lamps = !self.emitters.is_empty();
        let sun = self.setup.has_sun();
        let mut share = c::<R>(std::f32::consts::FRAC_1_PI);
        let mut use_sun = sun;
        if sun && lamps {
            use_sun = pick >> 31 == 0;
            pick <<= 1;
            share = share + share;
        }
        if use_sun {
            let direction = self.to_sun::<R>(spread);
            if !point.faces(direction) {
                return Arrival::NONE;
            }
            let cosine = point.normal.dot(direction);
            let light = v3::<R>(self.setup.irradiance).scale(cosine * share);
            return Arrival {
                direction,
                distance: c(FAR),
                light,
            };
        }
        if !lamps {
            return Arrival::NONE;
        }
        let (mut low, mut high) = (0, self.emitters.len() - 1);
        while low < high {
            let middle = (low + high) / 2;
            if pick < self.emitters[middle].below {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        let lamp = &self.emitters[low];
        let root = unit::<R>(spread[0]).sqrt();
        let b = root * unit(spread[1]);
        let on_lamp = Vec3::from_f32(lamp.corner)
            + (v3::<R>(lamp.edge1).scale(R::ONE - root) + v3::<R>(lamp.edge2).scale(b));
        let towards = on_lamp - point.at;
        let square = towards.dot(towards).max(c(1e-4));
        let distance = square.sqrt();
        let direction = towards.scale(R::ONE / distance);
        if !point.faces(direction) {
            return Arrival::NONE;
        }
        let cosine = point.normal.dot(direction);
        let facing = v3::<R>(lamp.plane).dot(direction).abs();
        let light = v3::<R>(lamp.power).scale((cosine * share) * (facing / square));
        Arrival {
            direction,
            distance: distance * c(0.999),
            light,
        }
    }

    /// 1 if nothing is in the way, less through glass, 0 behind anything else.
    fn openness<R: Real>(&self, point: &Point<R>, direction: Vec3<R>, distance: R) -> R {
        let ray = Ray::new(offset(point, R::ONE), direction);
        let Some(count) = crossings(&self.bvh, &self.glass, &ray, distance) else {
            return R::ZERO;
        };
        let mut open = R::ONE;
        for _ in 0..count.min(8) {
            open = open * c(GLASS_SHADOW);
        }
        open
    }
}

/// The point, moved off its plane to the side that `side` is positive for.
#[inline(always)]
fn offset<R: Real>(point: &Point<R>, side: R) -> Vec3<R> {
    let p = point.at;
    let size = p.x.abs().max(p.y.abs()).max(p.z.abs());
    let step = c::<R>(1.0 / 4096.0) + size * c(1.0 / 262_144.0);
    p + point.plane.scale(if side < R::ZERO { -step } else { step })
}

/// Caps what scattered paths bring.
#[inline(always)]
fn clamp_light<R: Real>(light: Vec3<R>, bounce: u32) -> Vec3<R> {
    if bounce == 0 {
        light
    } else {
        light.min(Vec3::splat(c(CLAMP)))
    }
}
