//! Mandelbrot and Julia sets by escape time, in Q4.28 fixed point: the exact tier.
//!
//! Pair of `fractal.wgsl`. A tile is 16x16 pixels of u32 iteration counts, row by row, zero outside the picture.
//! Not a picture yet: [`Params::png`] colours the counts afterwards.
//! Invariant: every coordinate of the plane stays within (-4, 4), so no sum leaves 32 bits.

mod picture;

use std::borrow::Cow;
use std::sync::Arc;

use crate::kernel::{Kernel, KernelError, MAX_TILES, Plan, Prepared, Shape, Tier};

/// Pixels along a tile's edge.
pub const TILE: u32 = 16;
/// Most iterations a job may ask for: one tile stays far below a dispatch's time limit on any GPU. Mesa's llvmpipe
/// silently leaves a loop after 65,535 iterations, so one more would make an honest peer look like a liar.
pub const MAX_ITERATIONS: u32 = (1 << 16) - 1;
/// Largest width and height in pixels.
pub const MAX_EDGE: u32 = 1 << 15;

/// Integer operations of one iteration, counted in the shader.
const OPS_PER_ITERATION: u64 = 44;
const TILE_BYTES: u32 = TILE * TILE * 4;
const ENCODED_LEN: usize = 36;
/// 1.0 in Q4.28.
pub const ONE: i32 = 1 << 28;
const TWO: u32 = 2 << 28;
const FOUR: u32 = 4 << 28;
/// Coordinates stay below this: 4 less what truncated products may exceed 4 by.
const REACH: i64 = FOUR as i64 - 64;

/// The kernel.
pub struct Fractal;

/// Which set to draw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Set {
    /// z -> z^2 + c from z = 0 for the pixel's c.
    Mandelbrot,
    /// z -> z^2 + c from the pixel's z for this c, Q4.28.
    Julia {
        /// Real part.
        x: i32,
        /// Imaginary part.
        y: i32,
    },
}

/// What to draw. Coordinates are Q4.28 (see [`ONE`]); y grows downwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Params {
    /// Pixels, 1 to [`MAX_EDGE`].
    pub width: u32,
    /// Pixels, 1 to [`MAX_EDGE`].
    pub height: u32,
    /// Plane coordinates of the pixel (width/2, height/2).
    pub centre: [i32; 2],
    /// Distance of neighbouring pixels, above 0.
    pub step: i32,
    /// 1 to [`MAX_ITERATIONS`].
    pub max_iterations: u32,
    /// Which set.
    pub set: Set,
}

impl Params {
    /// The whole Mandelbrot set, `width` by `height` pixels.
    pub fn mandelbrot(width: u32, height: u32, max_iterations: u32) -> Self {
        // 3 units of the plane fit the width, 2.5 the height.
        let step = (i64::from(ONE) * 3 / i64::from(width.max(1)))
            .max(i64::from(ONE) * 5 / 2 / i64::from(height.max(1)));
        Params {
            width,
            height,
            centre: [-ONE / 4 * 3, 0],
            step: i32::try_from(step).unwrap_or(i32::MAX),
            max_iterations,
            set: Set::Mandelbrot,
        }
    }

    /// The parameter block: nine little-endian words.
    pub fn encode(&self) -> Vec<u8> {
        let (set, julia) = match self.set {
            Set::Mandelbrot => (0, [0, 0]),
            Set::Julia { x, y } => (1, [x as u32, y as u32]),
        };
        [
            self.width,
            self.height,
            self.centre[0] as u32,
            self.centre[1] as u32,
            self.step as u32,
            self.max_iterations,
            set,
            julia[0],
            julia[1],
        ]
        .iter()
        .flat_map(|w| w.to_le_bytes())
        .collect()
    }

    /// Decodes and validates a parameter block.
    pub fn decode(bytes: &[u8]) -> Result<Self, KernelError> {
        let bad = |why: String| Err(KernelError::Params(why));
        if bytes.len() != ENCODED_LEN {
            return bad(format!(
                "fractal takes {ENCODED_LEN} bytes, got {}",
                bytes.len()
            ));
        }
        let mut w = [0; ENCODED_LEN / 4];
        for (word, four) in w.iter_mut().zip(bytes.chunks_exact(4)) {
            *word = u32::from_le_bytes([four[0], four[1], four[2], four[3]]);
        }
        let set = match (w[6], w[7], w[8]) {
            (0, 0, 0) => Set::Mandelbrot,
            (1, x, y) => Set::Julia {
                x: x as i32,
                y: y as i32,
            },
            _ => return bad("set is 0 (Mandelbrot, no constant) or 1 (Julia)".into()),
        };
        let params = Params {
            width: w[0],
            height: w[1],
            centre: [w[2] as i32, w[3] as i32],
            step: w[4] as i32,
            max_iterations: w[5],
            set,
        };
        params.validate().map(|()| params)
    }

    fn validate(&self) -> Result<(), KernelError> {
        let bad = |why: String| Err(KernelError::Params(why));
        for edge in [self.width, self.height] {
            if !(1..=MAX_EDGE).contains(&edge) {
                return bad(format!("width and height are 1 to {MAX_EDGE} pixels"));
            }
        }
        if !(1..=MAX_ITERATIONS).contains(&self.max_iterations) {
            return bad(format!("iterations are 1 to {MAX_ITERATIONS}"));
        }
        if self.step <= 0 {
            return bad("the step between pixels must be positive".into());
        }
        let inside = |v: i64| v.abs() < REACH;
        for (centre, edge) in self.centre.iter().zip([self.width, self.height]) {
            // The farthest pixel is half the edge, rounded up, away.
            let reach = i64::from(self.step) * i64::from(edge.div_ceil(2));
            if !inside(i64::from(*centre) - reach) || !inside(i64::from(*centre) + reach) {
                return bad("the picture must lie within (-4, 4) in both axes".into());
            }
        }
        if let Set::Julia { x, y } = self.set
            && !(inside(i64::from(x)) && inside(i64::from(y)))
        {
            return bad("Julia's constant must lie within (-4, 4) in both axes".into());
        }
        if self.columns() * self.height.div_ceil(TILE) > MAX_TILES {
            return bad(format!("more than {MAX_TILES} tiles"));
        }
        Ok(())
    }

    /// Tiles side by side.
    fn columns(&self) -> u32 {
        self.width.div_ceil(TILE)
    }

    fn shape(&self) -> Shape {
        Shape {
            tiles: self.columns() * self.height.div_ceil(TILE),
            tile_bytes: TILE_BYTES,
            units_per_tile: u64::from(TILE * TILE)
                * u64::from(self.max_iterations)
                * OPS_PER_ITERATION,
            tier: Tier::Exact,
        }
    }

    fn escape(&self, px: u32, py: u32) -> u32 {
        let point = [
            self.centre[0] + (px as i32 - (self.width / 2) as i32) * self.step,
            self.centre[1] + (py as i32 - (self.height / 2) as i32) * self.step,
        ];
        let c = match self.set {
            Set::Mandelbrot => point,
            Set::Julia { x, y } => [x, y],
        };
        escape(point, c, self.max_iterations)
    }
}

/// (a b) >> 28 for a, b <= 2.
#[inline(always)]
fn product(a: u32, b: u32) -> u32 {
    ((u64::from(a) * u64::from(b)) >> 28) as u32
}

/// Steps until |z| > 2, or `max_iterations`.
fn escape([mut x, mut y]: [i32; 2], c: [i32; 2], max_iterations: u32) -> u32 {
    let mut n = 0;
    while n < max_iterations {
        let (ax, ay) = (x.unsigned_abs(), y.unsigned_abs());
        if ax > TWO || ay > TWO {
            break;
        }
        let (xx, yy) = (product(ax, ax), product(ay, ay));
        if xx + yy > FOUR {
            break;
        }
        let xy = (2 * product(ax, ay)) as i32;
        y = if (x ^ y) < 0 { -xy } else { xy } + c[1];
        x = xx as i32 - yy as i32 + c[0];
        n += 1;
    }
    n
}

impl Kernel for Fractal {
    fn name(&self) -> &'static str {
        "fractal"
    }

    fn wgsl(&self) -> &'static str {
        include_str!("fractal.wgsl")
    }

    fn shape(&self, params: &[u8], inputs: &[Arc<[u8]>]) -> Result<Shape, KernelError> {
        admit(params, inputs).map(|p| p.shape())
    }

    fn prepare(
        &self,
        params: &[u8],
        inputs: &[Arc<[u8]>],
    ) -> Result<Box<dyn Prepared>, KernelError> {
        Ok(Box::new(admit(params, inputs)?))
    }

    fn plan(&self, params: &[u8], inputs: &[Arc<[u8]>]) -> Result<Plan, KernelError> {
        admit(params, inputs)?;
        Ok(Plan {
            groups_per_tile: 1,
            buffers: vec![Cow::Owned(params.to_vec())],
            turns: 0,
            module: None,
        })
    }
}

fn admit(params: &[u8], inputs: &[Arc<[u8]>]) -> Result<Params, KernelError> {
    if !inputs.is_empty() {
        return Err(KernelError::Input {
            index: 0,
            reason: "fractal takes no inputs".into(),
        });
    }
    Params::decode(params)
}

impl Prepared for Params {
    fn shape(&self) -> Shape {
        Params::shape(self)
    }

    fn tile(&self, tile: u32, out: &mut [u8]) {
        let left = (tile % self.columns()) * TILE;
        let top = (tile / self.columns()) * TILE;
        for (i, word) in (0..).zip(out.chunks_exact_mut(4)) {
            let (px, py) = (left + i % TILE, top + i / TILE);
            if px < self.width && py < self.height {
                word.copy_from_slice(&self.escape(px, py).to_le_bytes());
            }
        }
    }
}
