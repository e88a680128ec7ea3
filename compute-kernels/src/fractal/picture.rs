//! Iteration counts to a PNG. A viewer's choice of colours: not part of the kernel, and not verified by anyone.

use super::{Params, TILE, TILE_BYTES};
use crate::kernel::KernelError;

impl Params {
    /// Colours all tiles of this job, one after the other, as an 8-bit RGB PNG file.
    ///
    /// Errors: `tiles` is not exactly the job's output, or the parameters are out of range.
    pub fn png(&self, tiles: &[u8]) -> Result<Vec<u8>, KernelError> {
        self.validate()?;
        let expected = self.shape().tiles as usize * TILE_BYTES as usize;
        if tiles.len() != expected {
            return Err(KernelError::Params(format!(
                "the picture has {expected} bytes of tiles, got {}",
                tiles.len()
            )));
        }
        let mut rgb = Vec::with_capacity(self.width as usize * self.height as usize * 3);
        for py in 0..self.height {
            for px in 0..self.width {
                let tile = (py / TILE) * self.columns() + px / TILE;
                let pixel = (py % TILE) * TILE + px % TILE;
                let at = tile as usize * TILE_BYTES as usize + pixel as usize * 4;
                let n =
                    u32::from_le_bytes([tiles[at], tiles[at + 1], tiles[at + 2], tiles[at + 3]]);
                rgb.extend(self.colour(n));
            }
        }
        let mut file = Vec::new();
        let mut encoder = png::Encoder::new(&mut file, self.width, self.height);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        encoder
            .write_header()
            .and_then(|mut writer| writer.write_image_data(&rgb))
            .map_err(|e| KernelError::Params(format!("the picture does not encode: {e}")))?;
        Ok(file)
    }

    /// Night blue over gold to white, by the logarithm of the count; the set itself is black.
    fn colour(&self, n: u32) -> [u8; 3] {
        if n >= self.max_iterations {
            return [0, 0, 0];
        }
        const STOPS: [[f32; 3]; 6] = [
            [6.0, 10.0, 38.0],
            [24.0, 74.0, 146.0],
            [120.0, 190.0, 228.0],
            [252.0, 244.0, 214.0],
            [242.0, 164.0, 40.0],
            [104.0, 32.0, 30.0],
        ];
        let t = (n as f32 + 1.0).ln() * 1.1;
        let (stop, mix) = (t as usize, t.fract());
        let (a, b) = (STOPS[stop % 6], STOPS[(stop + 1) % 6]);
        [0, 1, 2].map(|i| (a[i] + (b[i] - a[i]) * mix) as u8)
    }
}
