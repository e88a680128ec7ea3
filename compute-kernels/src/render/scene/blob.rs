//! The canonical scene blob: what a render job carries as its input.
//!
//! Fixed-width little-endian words in one order; exactly one blob per scene, so its hash names the scene.
//! Blobs come from strangers: counts are checked against the length before anything is allocated.

use super::{
    Camera, Light, MAX_MATERIALS, MAX_TRIANGLES, MAX_VERTICES, Material, Scene, SceneError, Surface,
};

const MAGIC: [u8; 8] = *b"STARSCN\0";
/// Version of the blob's layout.
pub const BLOB_VERSION: u32 = 1;

/// Words: magic 2, version, three counts, camera 9, light 16.
const HEADER_WORDS: usize = 2 + 1 + 3 + 9 + 16;
const MATERIAL_WORDS: usize = 11;
const VERTEX_WORDS: usize = 6;
const TRIANGLE_WORDS: usize = 4;

impl Scene {
    /// The canonical bytes of this scene.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut w = Vec::with_capacity(
            4 * words(
                self.materials.len(),
                self.positions.len(),
                self.triangles.len(),
            ),
        );
        w.extend_from_slice(&MAGIC);
        let mut ints = |values: &[u32]| {
            values
                .iter()
                .for_each(|v| w.extend_from_slice(&v.to_le_bytes()))
        };
        ints(&[
            BLOB_VERSION,
            self.materials.len() as u32,
            self.positions.len() as u32,
            self.triangles.len() as u32,
        ]);
        let mut floats = |values: &[f32]| {
            values
                .iter()
                .for_each(|v| w.extend_from_slice(&v.to_le_bytes()))
        };
        let Camera {
            eye,
            target,
            tan_half_fov,
            aperture,
            focus,
        } = self.camera;
        floats(&eye);
        floats(&target);
        floats(&[tan_half_fov, aperture, focus]);
        let l = &self.light;
        floats(&l.sun_direction);
        floats(&l.sun_irradiance);
        floats(&[l.sun_size]);
        for colour in [l.zenith, l.horizon, l.ground] {
            floats(&colour);
        }
        for m in &self.materials {
            w.extend_from_slice(&(m.surface as u32).to_le_bytes());
            let mut floats = |values: &[f32]| {
                values
                    .iter()
                    .for_each(|v| w.extend_from_slice(&v.to_le_bytes()))
            };
            floats(&m.colour);
            floats(&[m.roughness, m.ior, m.strength]);
            floats(&m.checker);
            floats(&[m.checker_size]);
        }
        for (p, n) in self.positions.iter().zip(&self.normals) {
            for v in p.iter().chain(n) {
                w.extend_from_slice(&v.to_le_bytes());
            }
        }
        for v in self.triangles.iter().flatten() {
            w.extend_from_slice(&v.to_le_bytes());
        }
        w
    }

    /// Reads a blob of unknown origin; refuses all that is not exactly a valid scene.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SceneError> {
        let bad = |reason: &str| SceneError::malformed("scene blob", reason);
        if bytes.len() < 4 * HEADER_WORDS || bytes[..8] != MAGIC {
            return Err(bad("no scene header"));
        }
        let mut r = Reader(&bytes[8..]);
        if r.int() != BLOB_VERSION {
            return Err(bad("another version of the format"));
        }
        let (materials, vertices, triangles) =
            (r.int() as usize, r.int() as usize, r.int() as usize);
        super::cap("materials", materials, MAX_MATERIALS)?;
        super::cap("vertices", vertices, MAX_VERTICES)?;
        super::cap("triangles", triangles, MAX_TRIANGLES)?;
        if bytes.len() != 4 * words(materials, vertices, triangles) {
            return Err(bad("length does not match the counts"));
        }
        let camera = Camera {
            eye: r.vec3(),
            target: r.vec3(),
            tan_half_fov: r.float(),
            aperture: r.float(),
            focus: r.float(),
        };
        let light = Light {
            sun_direction: r.vec3(),
            sun_irradiance: r.vec3(),
            sun_size: r.float(),
            zenith: r.vec3(),
            horizon: r.vec3(),
            ground: r.vec3(),
        };
        let mut scene = Self {
            camera,
            light,
            materials: Vec::with_capacity(materials),
            positions: Vec::with_capacity(vertices),
            normals: Vec::with_capacity(vertices),
            triangles: Vec::with_capacity(triangles),
            dropped_faces: 0,
        };
        for _ in 0..materials {
            let surface = Surface::from_code(r.int()).ok_or_else(|| bad("unknown surface"))?;
            scene.materials.push(Material {
                surface,
                colour: r.vec3(),
                roughness: r.float(),
                ior: r.float(),
                strength: r.float(),
                checker: r.vec3(),
                checker_size: r.float(),
            });
        }
        for _ in 0..vertices {
            scene.positions.push(r.vec3());
            scene.normals.push(r.vec3());
        }
        for _ in 0..triangles {
            scene.triangles.push([r.int(), r.int(), r.int(), r.int()]);
        }
        scene.validate()?;
        Ok(scene)
    }
}

fn words(materials: usize, vertices: usize, triangles: usize) -> usize {
    HEADER_WORDS + materials * MATERIAL_WORDS + vertices * VERTEX_WORDS + triangles * TRIANGLE_WORDS
}

/// Words from a slice whose length was checked; past its end, zeros.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn int(&mut self) -> u32 {
        let Some((word, rest)) = self.0.split_first_chunk::<4>() else {
            return 0;
        };
        self.0 = rest;
        u32::from_le_bytes(*word)
    }
    fn float(&mut self) -> f32 {
        f32::from_bits(self.int())
    }
    fn vec3(&mut self) -> [f32; 3] {
        [self.float(), self.float(), self.float()]
    }
}
