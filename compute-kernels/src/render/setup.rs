//! What all tiles of a job share beside the geometry: camera frame, light, materials and lamps, as the words
//! that the shader reads. Derived from the scene by every peer with plain IEEE operations, hence identical.

use super::bvh::{Bvh, flush, grid};
use super::params::RenderParams;
use super::scene::{Camera, Scene, Surface};

type Vec3 = [f32; 3];

/// Camera, light and job, like `Setup` in the shader; fourth components are zero unless said.
#[derive(Debug, Clone, Copy, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub(super) struct Setup {
    /// Width, height, tiles in a row, tiles in a pass.
    pub size: [u32; 4],
    /// Samples in a pass, bounces, low and high half of the seed.
    pub sampling: [u32; 4],
    /// Lamps, whether there is a sun.
    pub counts: [u32; 4],
    /// Middle of the picture in pixels.
    pub centre: [f32; 4],
    /// Position; radius of the lens.
    pub eye: [f32; 4],
    /// To the middle of the plane in focus.
    pub forward: [f32; 4],
    /// One pixel to the right in that plane.
    pub right: [f32; 4],
    /// One pixel up in that plane.
    pub up: [f32; 4],
    /// Radius of the lens, to the right.
    pub lens_right: [f32; 4],
    /// Radius of the lens, up.
    pub lens_up: [f32; 4],
    /// Radiance of the sky.
    pub zenith: [f32; 4],
    /// Likewise.
    pub horizon: [f32; 4],
    /// Likewise.
    pub ground: [f32; 4],
    /// Towards the sun.
    pub sun: [f32; 4],
    /// Radiance of its disc; cosine of its angular radius.
    pub sun_disc: [f32; 4],
    /// Radius of the disc, across.
    pub sun_right: [f32; 4],
    /// Radius of the disc, the other way.
    pub sun_up: [f32; 4],
    /// Irradiance of a surface that faces the sun.
    pub irradiance: [f32; 4],
}

/// Like `Material` in the shader.
#[derive(Debug, Clone, Copy, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub(super) struct MaterialWords {
    pub colour: [f32; 4],
    /// Second colour; squares per unit, 0 for none.
    pub checker: [f32; 4],
    /// Radiance of an emissive material.
    pub emission: [f32; 4],
    /// A [`Surface`].
    pub surface: u32,
    /// Squared roughness; 0 for a mirror.
    pub alpha: f32,
    pub ior: f32,
    pub inverse_ior: f32,
}

/// An emissive triangle, like `Emitter` in the shader.
#[derive(Debug, Clone, Copy, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub(super) struct Emitter {
    pub corner: [f32; 3],
    /// A random u32 below this, and not below the one before, draws this lamp.
    pub below: u32,
    pub edge1: [f32; 4],
    pub edge2: [f32; 4],
    pub plane: [f32; 4],
    /// Radiance times area over the probability of being drawn.
    pub power: [f32; 4],
}

impl Setup {
    /// Of a valid scene and valid parameters.
    pub fn new(params: &RenderParams, scene: &Scene, emitters: usize) -> Self {
        let Camera {
            eye,
            target,
            tan_half_fov,
            aperture,
            focus,
        } = params.camera.unwrap_or(scene.camera);
        let forward = normalize(sub(target, eye));
        // Straight up or down, "up" on the picture is away from the viewer.
        let pole = if forward[1].abs() > 0.9999 {
            [0.0, 0.0, -forward[1]]
        } else {
            [0.0, 1.0, 0.0]
        };
        let right = normalize(cross(forward, pole));
        let up = cross(right, forward);
        let pixel = focus * (2.0 * tan_half_fov / params.height as f32);

        let light = &scene.light;
        let sun = normalize(light.sun_direction);
        let pole = if sun[1].abs() > 0.9 {
            [1.0, 0.0, 0.0]
        } else {
            [0.0, 1.0, 0.0]
        };
        let sun_right = normalize(cross(sun, pole));
        let sun_up = cross(sun, sun_right);
        let tangent = light.sun_size;
        let solid_angle = std::f32::consts::PI * tangent * tangent;
        let disc = light.sun_irradiance.map(|c| (c / solid_angle).min(1e6));
        let has_sun = light.sun_irradiance.iter().any(|&c| c > 0.0);
        Self {
            size: [
                params.width,
                params.height,
                params.tiles_x(),
                params.tiles_per_pass(),
            ],
            sampling: [
                params.spp_per_pass,
                params.max_bounces,
                params.seed as u32,
                (params.seed >> 32) as u32,
            ],
            counts: [emitters as u32, u32::from(has_sun), 0, 0],
            centre: [
                params.width as f32 * 0.5,
                params.height as f32 * 0.5,
                0.0,
                0.0,
            ],
            eye: pad(eye, aperture),
            forward: pad(scale(forward, focus), 0.0),
            right: pad(scale(right, pixel), 0.0),
            up: pad(scale(up, pixel), 0.0),
            lens_right: pad(scale(right, aperture), 0.0),
            lens_up: pad(scale(up, aperture), 0.0),
            zenith: pad(light.zenith, 0.0),
            horizon: pad(light.horizon, 0.0),
            ground: pad(light.ground, 0.0),
            sun: pad(sun, 0.0),
            sun_disc: pad(disc, 1.0 / (1.0 + tangent * tangent).sqrt()),
            sun_right: pad(scale(sun_right, tangent), 0.0),
            sun_up: pad(scale(sun_up, tangent), 0.0),
            irradiance: pad(light.sun_irradiance, 0.0),
        }
    }

    pub fn has_sun(&self) -> bool {
        self.counts[1] != 0
    }
}

/// The scene's materials, in order.
pub(super) fn materials(scene: &Scene) -> Vec<MaterialWords> {
    let words = |m: &super::scene::Material| {
        let lit = if m.surface == Surface::Emissive {
            m.strength
        } else {
            0.0
        };
        MaterialWords {
            colour: pad(m.colour, 0.0),
            checker: pad(
                m.checker,
                if m.checker_size > 0.0 {
                    1.0 / m.checker_size
                } else {
                    0.0
                },
            ),
            emission: pad(scale(m.colour, lit), 0.0),
            surface: m.surface as u32,
            alpha: if m.roughness < 0.05 {
                0.0
            } else {
                m.roughness * m.roughness
            },
            ior: m.ior,
            inverse_ior: 1.0 / m.ior,
        }
    };
    scene.materials.iter().map(words).collect()
}

/// The emissive triangles of the hierarchy, in its order, each drawn in proportion to its flux.
pub(super) fn emitters(bvh: &Bvh, materials: &[MaterialWords]) -> Vec<Emitter> {
    let flux = |number: usize| {
        let (block, lane) = (&bvh.blocks[number / 4], number % 4);
        let of = |v: &[[f32; 4]; 3]| [v[0][lane], v[1][lane], v[2][lane]];
        let (edge1, edge2) = (of(&block.edge1), of(&block.edge2));
        let area = 0.5 * length(cross(edge1, edge2));
        let radiance = materials[bvh.facets[number].material as usize].emission;
        (of(&block.corner), edge1, edge2, area, radiance)
    };
    let weight = |number: usize| {
        let (_, _, _, area, l) = flux(number);
        f64::from(area) * (f64::from(l[0]) + f64::from(l[1]) + f64::from(l[2]))
    };
    let total: f64 = (0..bvh.facets.len()).map(weight).sum();
    let mut sum = 0.0;
    let mut before = 0u32;
    let mut out = Vec::new();
    for number in 0..bvh.facets.len() {
        let w = weight(number);
        if w <= 0.0 {
            continue;
        }
        sum += w;
        let below = (sum / total * 4_294_967_295.0) as u32;
        if below == before {
            continue; // too dim to be drawn
        }
        let probability = ((below - before) as f64 / 4_294_967_296.0) as f32;
        before = below;
        let (corner, edge1, edge2, area, l) = flux(number);
        let plane = bvh.facets[number].plane;
        out.push(Emitter {
            corner: corner.map(grid),
            below,
            edge1: pad(edge1, 0.0),
            edge2: pad(edge2, 0.0),
            plane: pad(plane, 0.0),
            power: pad(
                scale([l[0], l[1], l[2]], (area / probability).min(1e12)),
                0.0,
            ),
        });
    }
    out
}

/// Four words, flushed.
fn pad(v: Vec3, w: f32) -> [f32; 4] {
    [v[0], v[1], v[2], w].map(flush)
}
fn sub(a: Vec3, b: Vec3) -> Vec3 {
    [a[0] - b[0], a[1] - b[1], a[2] - b[2]]
}
fn scale(a: Vec3, s: f32) -> Vec3 {
    a.map(|x| x * s)
}
fn cross(a: Vec3, b: Vec3) -> Vec3 {
    [
        a[1] * b[2] - a[2] * b[1],
        a[2] * b[0] - a[0] * b[2],
        a[0] * b[1] - a[1] * b[0],
    ]
}
fn length(a: Vec3) -> f32 {
    (a[0] * a[0] + a[1] * a[1] + a[2] * a[2]).sqrt()
}
fn normalize(a: Vec3) -> Vec3 {
    scale(a, 1.0 / length(a))
}
