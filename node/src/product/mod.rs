//! Pictures as jobs: what a command line asks for becomes a [`JobSpec`], and tiles, in any order, become a file.
//!
//! Not a renderer: kernels compute (`starling_kernels`), peers or this process run them. Invariant: the same tiles
//! give the same file, whoever computed them and in whatever order they came.

use std::sync::Arc;

use starling_kernels::film::{Film, FilmError};
use starling_kernels::fractal::{self, Fractal};
use starling_kernels::render::{self, Render, RenderParams, Scene};
use starling_kernels::{JobSpec, Kernel, KernelError, MAX_TILES, Shape};

/// Most bytes of a fractal's tiles: 2^28 pixels.
const MAX_COUNTS: u64 = 1 << 30;

/// Why there is no picture.
#[derive(Debug, thiserror::Error)]
pub enum PictureError {
    /// The job cannot be computed by anyone.
    #[error(transparent)]
    Job(#[from] KernelError),
    /// A tile does not belong to it, or the file cannot be encoded.
    #[error(transparent)]
    Film(#[from] FilmError),
    /// A tile came twice, or has the wrong length.
    #[error("tile {0} is malformed or came twice")]
    Tile(u32),
    /// Only path-traced pictures hold more than a PNG.
    #[error("a fractal has no radiance to store as EXR; ask for a PNG")]
    NoRadiance,
    /// No number of passes gives so many samples.
    #[error(
        "{0} samples for each pixel are out of reach at this size; ask for fewer, or a multiple of 64"
    )]
    Samples(u32),
    /// Neighbouring pixels would be the same number, or out of reach.
    #[error(
        "zoom {0:e} is out of the fractal's 28-bit reach; choose one between 0.5 and a million, by the size"
    )]
    Zoom(f64),
    /// Not a coordinate of the plane.
    #[error("{0} is no coordinate of the plane; choose between -4 and 4")]
    Plane(f64),
    /// This process would have to hold it whole.
    #[error("a picture of {0} MiB is too large to hold; choose a smaller size")]
    Large(u64),
}

/// A job whose result is a picture.
#[derive(Debug)]
pub struct Picture {
    /// What runs.
    pub spec: JobSpec,
    /// The kernel's name.
    pub class: &'static str,
    /// How it is cut.
    pub shape: Shape,
    /// Width and height in pixels.
    pub size: (u32, u32),
    /// Samples that one tile takes.
    pub samples_per_tile: u64,
    canvas: Canvas,
}

#[derive(Debug)]
enum Canvas {
    Film {
        params: RenderParams,
        film: Box<Film>,
    },
    Counts {
        params: fractal::Params,
        bytes: Vec<u8>,
        seen: Vec<bool>,
        left: u32,
    },
}

impl Picture {
    /// A path-traced picture of `scene`.
    pub fn render(scene: &Scene, params: RenderParams) -> Result<Self, PictureError> {
        params.validate()?;
        let inputs = vec![Arc::from(scene.to_bytes())];
        let spec = JobSpec {
            kernel: Render.id(),
            params: params.to_bytes(),
            inputs,
        };
        let shape = spec.shape()?;
        Ok(Self {
            spec,
            class: Render.name(),
            shape,
            size: (params.width, params.height),
            samples_per_tile: u64::from(render::TILE * render::TILE * params.spp_per_pass),
            canvas: Canvas::Film {
                film: Box::new(Film::new(&params)),
                params,
            },
        })
    }

    /// A fractal, by escape times.
    pub fn fractal(params: fractal::Params) -> Result<Self, PictureError> {
        let spec = JobSpec {
            kernel: Fractal.id(),
            params: params.encode(),
            inputs: Vec::new(),
        };
        let shape = spec.shape()?;
        let len = u64::from(shape.tiles) * u64::from(shape.tile_bytes);
        if len > MAX_COUNTS {
            return Err(PictureError::Large(len >> 20));
        }
        let bytes = vec![0; len as usize];
        Ok(Self {
            spec,
            class: Fractal.name(),
            shape,
            size: (params.width, params.height),
            samples_per_tile: u64::from(fractal::TILE * fractal::TILE),
            canvas: Canvas::Counts {
                params,
                bytes,
                seen: vec![false; shape.tiles as usize],
                left: shape.tiles,
            },
        })
    }

    /// Adds one tile, numbered within the job.
    pub fn add_tile(&mut self, index: u32, tile: &[u8]) -> Result<(), PictureError> {
        match &mut self.canvas {
            Canvas::Film { film, .. } => Ok(film.add_tile(index, tile)?),
            Canvas::Counts {
                bytes, seen, left, ..
            } => {
                let len = self.shape.tile_bytes as usize;
                let fresh = seen
                    .get_mut(index as usize)
                    .filter(|seen| !**seen && tile.len() == len);
                *fresh.ok_or(PictureError::Tile(index))? = true;
                bytes[index as usize * len..][..len].copy_from_slice(tile);
                *left -= 1;
                Ok(())
            }
        }
    }

    /// Adds consecutive tiles from `first` on, whose bytes stand one after the other.
    pub fn add_tiles(&mut self, first: u32, bytes: &[u8]) -> Result<(), PictureError> {
        let len = self.shape.tile_bytes as usize;
        (first..)
            .zip(bytes.chunks(len))
            .try_for_each(|(index, tile)| self.add_tile(index, tile))
    }

    /// Takes all tiles out again.
    pub fn clear(&mut self) {
        match &mut self.canvas {
            Canvas::Film { params, film } => **film = Film::new(params),
            Canvas::Counts {
                bytes, seen, left, ..
            } => {
                bytes.fill(0);
                seen.fill(false);
                *left = self.shape.tiles;
            }
        }
    }

    /// Whether every tile is there.
    pub fn is_complete(&self) -> bool {
        match &self.canvas {
            Canvas::Film { film, .. } => film.is_complete(),
            Canvas::Counts { left, .. } => *left == 0,
        }
    }

    /// The picture as a PNG file; what is missing is black.
    pub fn png(&self) -> Result<Vec<u8>, PictureError> {
        match &self.canvas {
            Canvas::Film { film, .. } => Ok(film.png()?),
            Canvas::Counts { params, bytes, .. } => Ok(params.png(bytes)?),
        }
    }

    /// The picture as an EXR file: linear radiance.
    pub fn exr(&self) -> Result<Vec<u8>, PictureError> {
        match &self.canvas {
            Canvas::Film { film, .. } => Ok(film.exr()?),
            Canvas::Counts { .. } => Err(PictureError::NoRadiance),
        }
    }
}

/// Splits `spp` samples into passes of up to 4 samples, or of more where the number of tiles asks for it: a pass is
/// the grain in which work is handed out, so small ones spread better.
pub fn passes(width: u32, height: u32, spp: u32) -> Result<(u32, u32), PictureError> {
    let edge = |pixels: u32| u64::from(pixels.div_ceil(render::TILE));
    let per_pass = edge(width) * edge(height);
    let fits = |each: &u32| {
        spp.is_multiple_of(*each) && per_pass * u64::from(spp / each) <= u64::from(MAX_TILES)
    };
    let small = (1..=4).rev().find(fits);
    let each = small
        .or_else(|| (5..=render::MAX_SPP_PER_PASS).find(fits))
        .ok_or(PictureError::Samples(spp))?;
    Ok((spp / each, each))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fractal() -> Picture {
        Picture::fractal(fractal::Params::mandelbrot(40, 20, 50)).unwrap()
    }

    #[test]
    fn order_of_tiles_does_not_matter_and_clearing_starts_afresh() {
        let mut picture = fractal();
        let prepared = picture.spec.prepare().unwrap();
        let tiles: Vec<u32> = (0..picture.shape.tiles).collect();
        let bytes = prepared.run(&tiles);
        picture.add_tiles(0, &bytes).unwrap();
        let forwards = picture.png().unwrap();
        picture.clear();
        assert!(!picture.is_complete());
        assert_ne!(picture.png().unwrap(), forwards);
        let len = picture.shape.tile_bytes as usize;
        for (index, tile) in tiles.iter().zip(bytes.chunks(len)).rev() {
            picture.add_tile(*index, tile).unwrap();
        }
        assert!(picture.is_complete());
        assert_eq!(picture.png().unwrap(), forwards);
    }

    #[test]
    fn strange_tiles_are_refused() {
        let mut picture = fractal();
        let tile = vec![0; picture.shape.tile_bytes as usize];
        picture.add_tile(1, &tile).unwrap();
        for (index, bytes) in [
            (1, &tile[..]),
            (6, &tile),
            (2, &tile[1..]),
            (u32::MAX, &tile),
        ] {
            assert!(
                matches!(picture.add_tile(index, bytes), Err(PictureError::Tile(_))),
                "{index}"
            );
        }
    }

    #[test]
    fn samples_are_split_into_small_passes_that_fit() {
        assert_eq!(passes(640, 360, 64).unwrap(), (16, 4));
        assert_eq!(passes(640, 360, 1).unwrap(), (1, 1));
        assert_eq!(passes(640, 360, 97).unwrap(), (97, 1));
        // 65,536 tiles a pass: no more than 256 passes.
        assert_eq!(passes(4096, 4096, 4096).unwrap(), (256, 16));
        assert!(matches!(
            passes(4096, 4096, 1 << 20),
            Err(PictureError::Samples(_))
        ));
    }
}
