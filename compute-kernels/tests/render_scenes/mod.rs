//! Random valid scenes and parameters, with all surfaces, degenerate triangles and edge-on views.

use starling_kernels::render::RenderParams;
use starling_kernels::render::scene::{Camera, Light, Material, Scene, Surface};

use crate::random::Random;

fn real(r: &mut Random, low: f32, high: f32) -> f32 {
    low + (high - low) * (r.below(1 << 24) as f32 / 16_777_216.0)
}

/// A colour; now and then with values so small that devices might differ in them.
fn colour(r: &mut Random, high: f32) -> [f32; 3] {
    let tiny = r.below(4) == 0;
    vec3(r, 0.0, high).map(|c| {
        if tiny {
            c * f32::from_bits((1 + r.below(60)) << 23)
        } else {
            c
        }
    })
}

fn vec3(r: &mut Random, low: f32, high: f32) -> [f32; 3] {
    [real(r, low, high), real(r, low, high), real(r, low, high)]
}

fn unit(v: [f32; 3]) -> [f32; 3] {
    let l = v.iter().map(|c| c * c).sum::<f32>().sqrt();
    if l > 1e-3 {
        v.map(|c| c / l)
    } else {
        [0.0, 1.0, 0.0]
    }
}

fn material(r: &mut Random) -> Material {
    let all = [
        Surface::Diffuse,
        Surface::Glazed,
        Surface::Metal,
        Surface::Glass,
        Surface::Emissive,
    ];
    Material {
        surface: all[r.below(5) as usize],
        colour: colour(r, 1.0),
        roughness: if r.below(3) == 0 {
            0.0
        } else {
            real(r, 0.0, 1.0)
        },
        ior: real(r, 1.01, 2.5),
        strength: real(r, 0.0, 20.0),
        checker: colour(r, 1.0),
        checker_size: if r.below(3) == 0 {
            real(r, 0.01, 2.0)
        } else {
            0.0
        },
    }
}

/// Triangles anywhere around the origin: free ones, a ground, duplicates, slivers and points.
pub fn scene(r: &mut Random) -> Scene {
    let materials: Vec<Material> = (0..1 + r.below(7)).map(|_| material(r)).collect();
    let reach = [1.0, 4.0, 50.0, 900.0][r.below(4) as usize];
    let mut scene = Scene {
        camera: camera(r, reach),
        light: Light {
            sun_direction: unit(vec3(r, -1.0, 1.0)),
            sun_irradiance: if r.below(4) == 0 {
                [0.0; 3]
            } else {
                colour(r, 8.0)
            },
            sun_size: real(r, 0.0001, 0.2),
            zenith: colour(r, 2.0),
            horizon: colour(r, 2.0),
            ground: colour(r, 1.0),
        },
        materials,
        positions: Vec::new(),
        normals: Vec::new(),
        triangles: Vec::new(),
        dropped_faces: 0,
    };
    let ground = [
        [-1.0, -0.5, -1.0],
        [-1.0, -0.5, 1.0],
        [1.0, -0.5, 1.0],
        [1.0, -0.5, -1.0],
    ];
    for corners in [[0, 1, 2], [0, 2, 3]] {
        push(
            r,
            &mut scene,
            corners.map(|i: usize| ground[i].map(|c: f32| c * reach)),
        );
    }
    for _ in 0..r.below(600) {
        let at = vec3(r, -reach, reach);
        let size = reach * [0.001, 0.1, 0.5, 0.0][r.below(4) as usize];
        let corners = [0; 3].map(|_| {
            let d = vec3(r, -size, size);
            [0, 1, 2].map(|k| (at[k] + d[k]).clamp(-1024.0, 1024.0))
        });
        push(r, &mut scene, corners);
        if r.below(8) == 0 {
            push(r, &mut scene, corners);
        }
    }
    scene
}

fn push(r: &mut Random, scene: &mut Scene, corners: [[f32; 3]; 3]) {
    let base = scene.positions.len() as u32;
    scene.positions.extend(corners);
    scene
        .normals
        .extend([0; 3].map(|_| unit(vec3(r, -1.0, 1.0))));
    let material = r.below(scene.materials.len() as u32);
    scene.triangles.push([base, base + 1, base + 2, material]);
}

fn camera(r: &mut Random, reach: f32) -> Camera {
    let eye = vec3(r, -reach, reach);
    let target = match r.below(4) {
        0 => [eye[0], eye[1] - 1.0, eye[2]], // straight down an axis
        1 => [eye[0] + 1.0, eye[1], eye[2]],
        _ => [eye[0] * 0.1, eye[1] * 0.1 + 0.01, eye[2] * 0.1],
    };
    let apart: f32 = (0..3).map(|k| (target[k] - eye[k]).abs()).sum();
    Camera {
        eye: if apart < 0.01 { [0.0, 0.0, reach] } else { eye },
        target,
        tan_half_fov: real(r, 0.1, 1.5),
        aperture: if r.below(2) == 0 {
            0.0
        } else {
            real(r, 0.0, 0.1)
        },
        focus: real(r, 0.1, 10.0),
    }
}

/// A small picture, not a multiple of the tile.
pub fn params(r: &mut Random) -> RenderParams {
    RenderParams {
        width: 1 + r.below(60),
        height: 1 + r.below(60),
        passes: 1 + r.below(3),
        spp_per_pass: 1 + r.below(4),
        max_bounces: r.below(9),
        seed: r.u64(),
        camera: (r.below(3) == 0).then(|| camera(r, 3.0)),
    }
}
