//! Film: tiles of a render job, in any order, become a picture.
//!
//! Sums are kept in fixed point (2^-20), so their order does not matter and a partial film can be shown at any
//! time. Everything up to the PNG's bytes is exact arithmetic or plain IEEE operations: no libm, fixed encoder
//! settings, so that equal tiles give equal files on every machine.

use std::io::Cursor;
use std::sync::LazyLock;

use crate::render::{RenderParams, TILE, TILE_BYTES};

const ONE: f64 = (1 << 20) as f64;
/// Brighter pixels of a pass are cut off here; 2^24 passes of it still fit the sums.
const BRIGHTEST: f32 = (1 << 20) as f32;

/// Why a tile or picture was refused.
#[derive(Debug, thiserror::Error)]
pub enum FilmError {
    /// Not a tile of this job.
    #[error("tile {0} is not part of this picture")]
    NoSuchTile(u32),
    /// Added before.
    #[error("tile {0} was added before")]
    Twice(u32),
    /// Wrong length, or a value that is negative or not finite.
    #[error("tile {0} is malformed")]
    Malformed(u32),
    /// The encoder failed.
    #[error("cannot encode the picture: {0}")]
    Encode(String),
}

/// A picture that grows tile by tile.
#[derive(Debug, Clone)]
pub struct Film {
    params: RenderParams,
    /// RGB of every pixel, in units of 2^-20, summed over samples.
    sums: Vec<u64>,
    /// Passes that each tile position has.
    passes: Vec<u32>,
    /// One bit for each tile of the job.
    seen: Vec<u64>,
    tiles: u32,
}

impl Film {
    /// An empty film for valid parameters.
    pub fn new(params: &RenderParams) -> Self {
        let pixels = params.width as usize * params.height as usize;
        let per_pass = params.tiles_per_pass() as usize;
        Self {
            params: *params,
            sums: vec![0; pixels * 3],
            passes: vec![0; per_pass],
            seen: vec![0; (per_pass * params.passes as usize).div_ceil(64)],
            tiles: 0,
        }
    }

    /// How many tiles it has.
    pub fn tiles(&self) -> u32 {
        self.tiles
    }

    /// Whether every tile is there.
    pub fn is_complete(&self) -> bool {
        self.tiles == self.params.tiles_per_pass() * self.params.passes
    }

    /// Adds the bytes of one tile.
    pub fn add_tile(&mut self, index: u32, bytes: &[u8]) -> Result<(), FilmError> {
        let per_pass = self.params.tiles_per_pass();
        if index >= per_pass * self.params.passes {
            return Err(FilmError::NoSuchTile(index));
        }
        let (word, bit) = (index as usize / 64, 1u64 << (index % 64));
        if self.seen[word] & bit != 0 {
            return Err(FilmError::Twice(index));
        }
        let values = bytes
            .chunks_exact(4)
            .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
        if bytes.len() != TILE_BYTES as usize || !values.clone().all(|v| v >= 0.0 && v.is_finite())
        {
            return Err(FilmError::Malformed(index));
        }
        self.seen[word] |= bit;
        self.tiles += 1;
        let position = index % per_pass;
        self.passes[position as usize] += 1;
        let (x0, y0) = (
            position % self.params.tiles_x() * TILE,
            position / self.params.tiles_x() * TILE,
        );
        for (i, v) in values.enumerate() {
            let (pixel, channel) = (i as u32 / 3, i % 3);
            let (x, y) = (x0 + pixel % TILE, y0 + pixel / TILE);
            if x < self.params.width && y < self.params.height {
                let at = (y as usize * self.params.width as usize + x as usize) * 3 + channel;
                self.sums[at] += (f64::from(v.min(BRIGHTEST)) * ONE) as u64;
            }
        }
        Ok(())
    }

    /// Mean linear radiance of a pixel over the passes that it has; black before the first.
    pub fn radiance(&self, x: u32, y: u32) -> [f32; 3] {
        let tile = (y / TILE) * self.params.tiles_x() + x / TILE;
        let samples = self.passes[tile as usize] * self.params.spp_per_pass;
        let at = (y as usize * self.params.width as usize + x as usize) * 3;
        [0, 1, 2].map(|k| (self.sums[at + k] as f64 / (f64::from(samples.max(1)) * ONE)) as f32)
    }

    /// 8-bit sRGB, row by row, after the tone curve.
    pub fn rgb8(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.sums.len());
        for y in 0..self.params.height {
            for x in 0..self.params.width {
                out.extend(tone(self.radiance(x, y).map(f64::from)).map(srgb8));
            }
        }
        out
    }

    /// The picture as PNG, the same bytes everywhere.
    pub fn png(&self) -> Result<Vec<u8>, FilmError> {
        let fail = |e: png::EncodingError| FilmError::Encode(e.to_string());
        let mut out = Vec::new();
        let mut encoder = png::Encoder::new(&mut out, self.params.width, self.params.height);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        encoder.set_source_srgb(png::SrgbRenderingIntent::Perceptual);
        encoder.set_compression(png::Compression::Balanced);
        encoder.set_filter(png::Filter::Paeth);
        let mut writer = encoder.write_header().map_err(fail)?;
        writer.write_image_data(&self.rgb8()).map_err(fail)?;
        writer.finish().map_err(fail)?;
        Ok(out)
    }

    /// The picture as EXR: linear radiance, 32-bit floats, uncompressed.
    pub fn exr(&self) -> Result<Vec<u8>, FilmError> {
        use exr::prelude::*;
        let (width, height) = (self.params.width as usize, self.params.height as usize);
        let channels = SpecificChannels::rgb(|at: Vec2<usize>| {
            let [r, g, b] = self.radiance(at.x() as u32, at.y() as u32);
            (r, g, b)
        });
        let encoding = Encoding::UNCOMPRESSED;
        let image = Image::from_encoded_channels((width, height), encoding, channels);
        let mut out = Vec::new();
        image
            .write()
            .non_parallel()
            .to_buffered(Cursor::new(&mut out))
            .map_err(|e| FilmError::Encode(e.to_string()))?;
        Ok(out)
    }
}

/// Filmic tone curve: Stephen Hill's fit of the ACES reference and sRGB output transforms. 0 to 1, linear.
fn tone(rgb: [f64; 3]) -> [f64; 3] {
    const IN: [[f64; 3]; 3] = [
        [0.59719, 0.35458, 0.04823],
        [0.07600, 0.90834, 0.01566],
        [0.02840, 0.13383, 0.83777],
    ];
    const OUT: [[f64; 3]; 3] = [
        [1.60475, -0.53108, -0.07367],
        [-0.10208, 1.10813, -0.00605],
        [-0.00327, -0.07276, 1.07602],
    ];
    // The fit maps 1 to 0.62; this exposure keeps a sunlit white wall near white.
    let mul = |m: [[f64; 3]; 3], v: [f64; 3]| m.map(|r| r[0] * v[0] + r[1] * v[1] + r[2] * v[2]);
    let curve =
        |v: f64| (v * (v + 0.0245786) - 0.000090537) / (v * (0.983729 * v + 0.4329510) + 0.238081);
    mul(OUT, mul(IN, rgb).map(curve)).map(|v| v.clamp(0.0, 1.0))
}

/// Linear 0 to 1 to the nearest sRGB code, by comparison with the codes' midpoints.
fn srgb8(linear: f64) -> u8 {
    static MIDPOINTS: LazyLock<Vec<f64>> = LazyLock::new(|| {
        (0..255)
            .map(|c| decode((f64::from(c) + 0.5) / 255.0))
            .collect()
    });
    MIDPOINTS.partition_point(|&m| m < linear) as u8
}

/// sRGB to linear. x^2.4 = x^2 * x^0.4, the latter as fifth root of x^2 by Newton's method, without libm.
fn decode(code: f64) -> f64 {
    if code <= 0.04045 {
        return code / 12.92;
    }
    let x = (code + 0.055) / 1.055;
    let square = x * x;
    let mut root = 1.0f64;
    for _ in 0..60 {
        let fourth = root * root * root * root;
        root -= (root * fourth - square) / (5.0 * fourth);
    }
    square * root
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decode_is_the_srgb_curve() {
        for code in 0..=255 {
            let c = f64::from(code) / 255.0;
            let expected = if c <= 0.04045 {
                c / 12.92
            } else {
                ((c + 0.055) / 1.055).powf(2.4)
            };
            assert!((decode(c) - expected).abs() < 1e-12, "{code}");
            assert_eq!(srgb8(expected), code, "a code decodes to itself");
        }
    }
}
