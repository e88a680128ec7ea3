//! What a job's tiles become: a picture, a matrix, or plain bytes, in a file.
//!
//! A [`Work`] is what a command line asks for: a [`JobSpec`] to submit, and the [`Product`] that its tiles go into, in
//! any order. A product can be had from a job's manifest alone, so that whoever collects the tiles later needs no
//! inputs. Not a kernel: those compute (`starling_kernels`). Invariant: the same tiles give the same file, whoever
//! computed them and in whatever order they came.

mod arrays;
pub mod estimate;
pub mod files;
mod matrix;
pub mod picture;
mod refused;
pub mod shader;

use std::io::{self, Write};
use std::path::PathBuf;

use starling_kernels::film::{Film, FilmError};
use starling_kernels::npy::NpyError;
use starling_kernels::render::scene::SceneError;
use starling_kernels::render::{self, RenderParams};
use starling_kernels::runner::RunnerError;
use starling_kernels::shader::Refusal;
use starling_kernels::{JobSpec, KernelError, Shape, fractal, matmul};

use crate::home::DiskError;
use crate::jobs::JobFile;
use crate::jobs::account::unhex;

use arrays::Arrays;
pub use arrays::format_of;

/// Most bytes that a product may have: this process holds it whole.
const MAX_HELD: u64 = 4 << 30;

/// Why there is no product.
#[derive(Debug, thiserror::Error)]
pub enum ProductError {
    /// The job cannot be computed by anyone.
    #[error(transparent)]
    Job(#[from] KernelError),
    /// A tile does not belong to the picture, or the file cannot be encoded.
    #[error(transparent)]
    Film(#[from] FilmError),
    /// A tile came twice, or has the wrong length.
    #[error("tile {0} is malformed or came twice")]
    Tile(u32),
    /// No such file can be made of it.
    #[error("a {class} job gives no {asked}; ask for {instead}")]
    Format {
        /// The kernel.
        class: &'static str,
        /// What was asked for.
        asked: &'static str,
        /// What it gives.
        instead: &'static str,
    },
    /// No number of passes gives so many samples.
    #[error(
        "{0} samples for each pixel are out of reach at this size; ask for fewer, or a multiple of 64"
    )]
    Samples(u32),
    /// This process would have to hold it whole.
    #[error("a result of {0} MiB is too large to hold; choose a smaller size")]
    Large(u64),
    /// Two matrices that cannot be multiplied.
    #[error(
        "{rows} x {left} times {right} x {columns} is no product; the inner sizes must be equal"
    )]
    Unequal {
        /// Rows of the first.
        rows: u32,
        /// Columns of the first.
        left: u32,
        /// Rows of the second.
        right: u32,
        /// Columns of the second.
        columns: u32,
    },
    /// A job of a shader that makes no sense.
    #[error("{what}; {fix}")]
    Plan {
        /// What is wrong.
        what: String,
        /// What its author may do.
        fix: String,
    },
    /// A shader that nobody would run.
    #[error("{}: {}", file.display(), all.first().map(ToString::to_string).unwrap_or_default())]
    Refused {
        /// Its file.
        file: PathBuf,
        /// Its text.
        text: String,
        /// Every reason.
        all: Vec<Refusal>,
    },
    /// A scene that is none.
    #[error(transparent)]
    Scene(#[from] SceneError),
    /// A matrix that is none.
    #[error("{}: {error}", file.display())]
    Array {
        /// Its file.
        file: PathBuf,
        /// Why not.
        error: NpyError,
    },
    /// A file that cannot be read.
    #[error(transparent)]
    Disk(DiskError),
    /// The process that was to look at it, or to run it, did not.
    #[error(transparent)]
    Runner(#[from] RunnerError),
    /// The file could not be written.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// What a product is written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A picture of 8 bits a channel.
    Png,
    /// Linear radiance.
    Exr,
    /// A NumPy array.
    Npy,
    /// Numbers, a line for each slot.
    Text,
    /// The tiles, one after the other.
    Raw,
}

impl Format {
    fn name(self) -> &'static str {
        match self {
            Self::Png => "PNG",
            Self::Exr => "EXR",
            Self::Npy => "NPY",
            Self::Text => "text",
            Self::Raw => "raw bytes",
        }
    }
}

/// A file to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Which output; most jobs have one.
    pub output: usize,
    /// As what.
    pub format: Format,
    /// Where.
    pub path: PathBuf,
}

impl Target {
    /// The only output.
    pub fn new(format: Format, path: PathBuf) -> Self {
        Self {
            output: 0,
            format,
            path,
        }
    }

    /// Output `k` of a shader, as the file's name asks.
    pub fn of_output(k: usize, path: PathBuf) -> Self {
        Self {
            output: k,
            format: format_of(&path),
            path,
        }
    }
}

/// A job to submit, and what becomes of it.
#[derive(Debug)]
pub struct Work {
    /// What runs.
    pub spec: JobSpec,
    /// Where its tiles go.
    pub product: Product,
}

impl Work {
    fn new(spec: JobSpec) -> Result<Self, ProductError> {
        let shape = spec.shape()?;
        let kernel = spec.kernel()?;
        let product = Product::new(kernel.name(), &spec.params, shape)?;
        Ok(Self { spec, product })
    }
}

/// Tiles on their way into a file.
#[derive(Debug)]
pub struct Product {
    /// The kernel's name.
    pub class: &'static str,
    /// How the job is cut.
    pub shape: Shape,
    /// What one tile counts in progress.
    pub grain: Grain,
    canvas: Canvas,
}

/// A tile's worth, for progress.
#[derive(Clone, Copy, Debug)]
pub struct Grain {
    /// How many.
    pub count: u64,
    /// Of what, in the plural.
    pub unit: &'static str,
}

#[derive(Debug)]
enum Canvas {
    Film {
        params: RenderParams,
        film: Box<Film>,
    },
    Fractal {
        params: fractal::Params,
        tiles: Tiles,
    },
    Matrix {
        params: matmul::Params,
        tiles: Tiles,
    },
    Arrays(Box<Arrays>),
    Raw(Tiles),
}

/// Tiles in their own order.
#[derive(Debug)]
struct Tiles {
    bytes: Vec<u8>,
    seen: Seen,
}

/// Which tiles are here.
#[derive(Debug)]
struct Seen {
    tile_bytes: usize,
    all: Vec<bool>,
    left: u32,
}

impl Product {
    /// The empty product of a job. `params` must be those that `shape` was made of.
    ///
    /// # Errors
    /// [`ProductError::Job`] if the kernel does not take the parameters, [`ProductError::Large`].
    pub fn new(class: &'static str, params: &[u8], shape: Shape) -> Result<Self, ProductError> {
        let (canvas, grain) = match class {
            "render" => {
                let params = RenderParams::from_bytes(params)?;
                let film = Box::new(Film::new(&params));
                let samples = u64::from(render::TILE * render::TILE * params.spp_per_pass);
                (Canvas::Film { params, film }, (samples, "samples"))
            }
            "fractal" => {
                let (params, tiles) = (fractal::Params::decode(params)?, Tiles::new(shape)?);
                let pixels = u64::from(fractal::TILE * fractal::TILE);
                (Canvas::Fractal { params, tiles }, (pixels, "pixels"))
            }
            "matmul" => {
                let (params, tiles) = (matmul::Params::decode(params)?, Tiles::new(shape)?);
                let operations = shape.units_per_tile;
                (Canvas::Matrix { params, tiles }, (operations, "operations"))
            }
            "wgsl" => {
                let arrays = Box::new(Arrays::new(params)?);
                let invocations = arrays.invocations();
                (Canvas::Arrays(arrays), (invocations, "invocations"))
            }
            _ => (Canvas::Raw(Tiles::new(shape)?), (1, "tiles")),
        };
        let (count, unit) = grain;
        Ok(Self {
            class,
            shape,
            grain: Grain { count, unit },
            canvas,
        })
    }

    /// The empty product of a job whose account is known.
    ///
    /// # Errors
    /// As [`Product::new`]; [`KernelError::Params`] if this build does not know the kernel.
    pub fn of(file: &JobFile) -> Result<Self, ProductError> {
        let unknown = || KernelError::Params(format!("no kernel {:?} in this build", file.kernel));
        let kernel = starling_kernels::kernel_named(&file.kernel).ok_or_else(unknown)?;
        let params = unhex(&file.work.params).ok_or_else(unknown)?;
        let shape = Shape {
            tiles: file.tiles,
            tile_bytes: file.work.tile_bytes,
            units_per_tile: file.work.units_per_tile,
            tier: starling_kernels::Tier::Exact,
        };
        Self::new(kernel.name(), &params, shape)
    }

    /// The formats that it can be written in, the usual one first.
    pub fn formats(&self) -> &'static [Format] {
        match self.canvas {
            Canvas::Film { .. } => &[Format::Png, Format::Exr],
            Canvas::Fractal { .. } => &[Format::Png],
            Canvas::Matrix { .. } => &[Format::Npy],
            Canvas::Arrays(_) => &[Format::Npy, Format::Png, Format::Text, Format::Raw],
            Canvas::Raw(_) => &[Format::Raw],
        }
    }

    /// The files that it becomes if its result is to be at `path`.
    pub fn targets(&self, path: PathBuf) -> Vec<Target> {
        match &self.canvas {
            Canvas::Arrays(arrays) => arrays.targets(path),
            _ => vec![Target::new(self.formats()[0], path)],
        }
    }

    /// Adds one tile, numbered within the job.
    ///
    /// # Errors
    /// [`ProductError::Tile`] or [`ProductError::Film`] if it is malformed, not of this job, or came before.
    pub fn add_tile(&mut self, index: u32, tile: &[u8]) -> Result<(), ProductError> {
        match &mut self.canvas {
            Canvas::Film { film, .. } => Ok(film.add_tile(index, tile)?),
            Canvas::Arrays(arrays) => arrays.add(index, tile),
            Canvas::Fractal { tiles, .. } | Canvas::Matrix { tiles, .. } | Canvas::Raw(tiles) => {
                tiles.add(index, tile)
            }
        }
    }

    /// Adds consecutive tiles from `first` on, whose bytes stand one after the other.
    ///
    /// # Errors
    /// As [`Product::add_tile`].
    pub fn add_tiles(&mut self, first: u32, bytes: &[u8]) -> Result<(), ProductError> {
        let len = self.shape.tile_bytes as usize;
        (first..)
            .zip(bytes.chunks(len))
            .try_for_each(|(index, tile)| self.add_tile(index, tile))
    }

    /// Takes all tiles out again.
    pub fn clear(&mut self) {
        match &mut self.canvas {
            Canvas::Film { params, film } => **film = Film::new(params),
            Canvas::Arrays(arrays) => arrays.clear(),
            Canvas::Fractal { tiles, .. } | Canvas::Matrix { tiles, .. } | Canvas::Raw(tiles) => {
                tiles.clear();
            }
        }
    }

    /// Whether every tile is there.
    pub fn is_complete(&self) -> bool {
        match &self.canvas {
            Canvas::Film { film, .. } => film.is_complete(),
            Canvas::Arrays(arrays) => arrays.is_complete(),
            Canvas::Fractal { tiles, .. } | Canvas::Matrix { tiles, .. } | Canvas::Raw(tiles) => {
                tiles.seen.left == 0
            }
        }
    }

    /// Writes its result; what is missing is black or zero.
    ///
    /// # Errors
    /// [`ProductError::Format`] if it is no such thing, [`ProductError::Io`], [`ProductError::Film`].
    pub fn write(&self, format: Format, to: &mut dyn Write) -> Result<(), ProductError> {
        self.write_output(0, format, to)
    }

    /// The same of any output.
    ///
    /// # Errors
    /// Those of [`Product::write`].
    pub fn write_output(
        &self,
        output: usize,
        format: Format,
        to: &mut dyn Write,
    ) -> Result<(), ProductError> {
        match (&self.canvas, format) {
            (Canvas::Arrays(arrays), format) => arrays.write(output, format, to)?,
            (Canvas::Film { film, .. }, Format::Png) => to.write_all(&film.png()?)?,
            (Canvas::Film { film, .. }, Format::Exr) => to.write_all(&film.exr()?)?,
            (Canvas::Fractal { params, tiles }, Format::Png) => {
                to.write_all(&params.png(&tiles.bytes)?)?;
            }
            (Canvas::Matrix { params, tiles }, Format::Npy) => {
                matrix::write(params, &tiles.bytes, to)?;
            }
            (Canvas::Raw(tiles), Format::Raw) => to.write_all(&tiles.bytes)?,
            _ => {
                return Err(ProductError::Format {
                    class: self.class,
                    asked: format.name(),
                    instead: self.formats()[0].name(),
                });
            }
        }
        Ok(())
    }
}

impl Tiles {
    fn new(shape: Shape) -> Result<Self, ProductError> {
        let len = u64::from(shape.tiles) * u64::from(shape.tile_bytes);
        let fits = usize::try_from(len).ok().filter(|_| len <= MAX_HELD);
        Ok(Self {
            bytes: vec![0; fits.ok_or(ProductError::Large(len >> 20))?],
            seen: Seen::new(shape),
        })
    }

    fn add(&mut self, index: u32, tile: &[u8]) -> Result<(), ProductError> {
        self.seen.take(index, tile)?;
        self.bytes[index as usize * tile.len()..][..tile.len()].copy_from_slice(tile);
        Ok(())
    }

    fn clear(&mut self) {
        self.bytes.fill(0);
        self.seen.clear();
    }
}

impl Seen {
    fn new(shape: Shape) -> Self {
        Self {
            tile_bytes: shape.tile_bytes as usize,
            all: vec![false; shape.tiles as usize],
            left: shape.tiles,
        }
    }

    /// Takes note of a tile that is of the job, whole, and new.
    fn take(&mut self, index: u32, tile: &[u8]) -> Result<(), ProductError> {
        let fresh = self
            .all
            .get_mut(index as usize)
            .filter(|seen| !**seen && tile.len() == self.tile_bytes);
        *fresh.ok_or(ProductError::Tile(index))? = true;
        self.left -= 1;
        Ok(())
    }

    fn clear(&mut self) {
        self.all.fill(false);
        self.left = self.all.len() as u32;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fractal() -> Work {
        picture::fractal(fractal::Params::mandelbrot(40, 20, 50)).unwrap()
    }

    fn file(product: &Product) -> Vec<u8> {
        let mut file = Vec::new();
        product.write(product.formats()[0], &mut file).unwrap();
        file
    }

    #[test]
    fn order_of_tiles_does_not_matter_and_clearing_starts_afresh() {
        let Work { spec, mut product } = fractal();
        let prepared = spec.prepare().unwrap();
        let tiles: Vec<u32> = (0..product.shape.tiles).collect();
        let bytes = prepared.run(&tiles);
        product.add_tiles(0, &bytes).unwrap();
        let forwards = file(&product);
        product.clear();
        assert!(!product.is_complete());
        assert_ne!(file(&product), forwards);
        let len = product.shape.tile_bytes as usize;
        for (index, tile) in tiles.iter().zip(bytes.chunks(len)).rev() {
            product.add_tile(*index, tile).unwrap();
        }
        assert!(product.is_complete());
        assert_eq!(file(&product), forwards);
    }

    #[test]
    fn strange_tiles_are_refused() {
        let mut product = fractal().product;
        let tile = vec![0; product.shape.tile_bytes as usize];
        product.add_tile(1, &tile).unwrap();
        for (index, bytes) in [
            (1, &tile[..]),
            (6, &tile),
            (2, &tile[1..]),
            (u32::MAX, &tile),
        ] {
            assert!(
                matches!(product.add_tile(index, bytes), Err(ProductError::Tile(_))),
                "{index}"
            );
        }
    }

    #[test]
    fn a_format_that_it_is_not_is_refused_with_the_one_that_it_is() {
        let error = fractal().product.write(Format::Npy, &mut Vec::new());
        let text = error.unwrap_err().to_string();
        assert!(text.contains("ask for PNG"), "{text}");
    }
}
