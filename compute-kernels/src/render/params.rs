//! Parameters of a render job: fixed-width little-endian, exactly one encoding for each value.

use super::scene::{self, Camera};
use crate::{KernelError, MAX_TILES, Shape, Tier};

/// Edge of a tile in pixels.
pub const TILE: u32 = 16;
/// Output of a tile: 16 x 16 pixels of three f32, the sum over the samples of its pass.
pub const TILE_BYTES: u32 = TILE * TILE * 12;
/// Most pixels of a picture.
pub const MAX_PIXELS: u64 = 1 << 24;
/// Most samples of a pixel in one pass.
pub const MAX_SPP_PER_PASS: u32 = 64;
/// Most bounces of a path.
pub const MAX_BOUNCES: u32 = 32;

const VERSION: u32 = 1;
const BYTES: usize = 4 * 7 + 8 + 4 * 9;

/// What to render of a scene, and how well.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RenderParams {
    /// Pixels in a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Passes; every pass is tiles of its own, and their sum is the picture.
    pub passes: u32,
    /// Samples of each pixel in a pass.
    pub spp_per_pass: u32,
    /// Longest path, counted in scatterings.
    pub max_bounces: u32,
    /// Other seed, other noise.
    pub seed: u64,
    /// Instead of the scene's own camera.
    pub camera: Option<Camera>,
}

impl RenderParams {
    /// What `starling demo` renders of the bundled scene: about 8 s on two cores.
    pub fn bundled() -> Self {
        Self {
            width: 640,
            height: 360,
            passes: 16,
            spp_per_pass: 4,
            max_bounces: 7,
            seed: 1,
            camera: None,
        }
    }

    /// The canonical parameter block.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(BYTES);
        let ints = [
            VERSION,
            self.width,
            self.height,
            self.passes,
            self.spp_per_pass,
            self.max_bounces,
        ];
        ints.iter()
            .for_each(|v| out.extend_from_slice(&v.to_le_bytes()));
        out.extend_from_slice(&self.seed.to_le_bytes());
        out.extend_from_slice(&u32::from(self.camera.is_some()).to_le_bytes());
        let floats = match self.camera {
            None => [0.0; 9],
            Some(Camera {
                eye: e,
                target: t,
                tan_half_fov,
                aperture,
                focus,
            }) => [
                e[0],
                e[1],
                e[2],
                t[0],
                t[1],
                t[2],
                tan_half_fov,
                aperture,
                focus,
            ],
        };
        floats
            .iter()
            .for_each(|v| out.extend_from_slice(&v.to_le_bytes()));
        out
    }

    /// Reads a block of unknown origin.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, KernelError> {
        let bad = |reason: String| KernelError::Params(reason);
        if bytes.len() != BYTES {
            return Err(bad(format!("{} bytes instead of {BYTES}", bytes.len())));
        }
        let int = |i: usize| {
            u32::from_le_bytes([
                bytes[4 * i],
                bytes[4 * i + 1],
                bytes[4 * i + 2],
                bytes[4 * i + 3],
            ])
        };
        let float = |i: usize| f32::from_bits(int(9 + i));
        let vec3 = |i: usize| [float(i), float(i + 1), float(i + 2)];
        let camera = match int(8) {
            0 if (0..9).all(|i| int(9 + i) == 0) => None,
            1 => Some(Camera {
                eye: vec3(0),
                target: vec3(3),
                tan_half_fov: float(6),
                aperture: float(7),
                focus: float(8),
            }),
            _ => {
                return Err(bad(
                    "camera flag is neither 0 nor 1, or 0 with a camera".into()
                ));
            }
        };
        let params = Self {
            width: int(1),
            height: int(2),
            passes: int(3),
            spp_per_pass: int(4),
            max_bounces: int(5),
            seed: u64::from(int(6)) | u64::from(int(7)) << 32,
            camera,
        };
        if int(0) != VERSION {
            return Err(bad(format!("version {} instead of {VERSION}", int(0))));
        }
        params.validate()?;
        Ok(params)
    }

    /// Whether the picture is within limits; the error says what to lower.
    pub fn validate(&self) -> Result<(), KernelError> {
        let fail = |reason: String| Err(KernelError::Params(reason));
        let pixels = u64::from(self.width) * u64::from(self.height);
        if pixels == 0 || pixels > MAX_PIXELS {
            return fail(format!(
                "{} x {} pixels; choose 1 to {MAX_PIXELS} in all",
                self.width, self.height
            ));
        }
        if self.spp_per_pass == 0 || self.spp_per_pass > MAX_SPP_PER_PASS {
            return fail(format!(
                "{} samples a pass; choose 1 to {MAX_SPP_PER_PASS}",
                self.spp_per_pass
            ));
        }
        if self.max_bounces > MAX_BOUNCES {
            return fail(format!(
                "{} bounces; choose at most {MAX_BOUNCES}",
                self.max_bounces
            ));
        }
        let tiles = u64::from(self.tiles_per_pass()) * u64::from(self.passes);
        if tiles == 0 || tiles > u64::from(MAX_TILES) {
            return fail(format!(
                "{tiles} tiles; choose 1 to {MAX_TILES} by fewer passes or pixels"
            ));
        }
        if let Some(camera) = &self.camera {
            camera
                .validate()
                .map_err(|e: scene::SceneError| KernelError::Params(e.to_string()))?;
        }
        Ok(())
    }

    /// Tiles in a row.
    pub fn tiles_x(&self) -> u32 {
        self.width.div_ceil(TILE)
    }

    /// Tiles of one pass, row by row.
    pub fn tiles_per_pass(&self) -> u32 {
        self.tiles_x() * self.height.div_ceil(TILE)
    }

    /// Samples of each pixel in the finished picture.
    pub fn spp(&self) -> u32 {
        self.passes * self.spp_per_pass
    }

    /// Tiles and their declared cost: every sample is charged for the longest path, a ray and a shadow ray a
    /// vertex, each of 60 operations (four slabs) a level of the hierarchy (base-4 logarithm of the
    /// triangles) and three leaves of 160 (four triangles), and 400 for shading.
    pub(super) fn shape(&self, triangles: usize) -> Shape {
        let levels = u64::from((triangles as u64).ilog2() / 2 + 1);
        let ray = 3 * 60 * levels + 3 * 160;
        let path = u64::from(self.max_bounces + 1) * (2 * ray + 400);
        Shape {
            tiles: self.tiles_per_pass() * self.passes,
            tile_bytes: TILE_BYTES,
            units_per_tile: u64::from(TILE * TILE * self.spp_per_pass) * path,
            tier: Tier::Canonical,
        }
    }
}
