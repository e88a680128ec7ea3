//! `starling run`: a picture computed by the swarm, or here alone.
//!
//! This file turns arguments into a [`Picture`]; `swarm` has it computed by peers, `local` by this process.
//! Invariant: both write the same bytes.

mod account;
mod local;
mod progress;
mod requester;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use starling_kernels::fractal::{self, ONE, Set};
use starling_kernels::render::scene::{self, Camera};
use starling_kernels::render::{RenderParams, Scene};

use super::Context;
use super::exit::{Exit, Failure, Outcome};
use super::interrupt::Interrupt;
use super::node_options::{self, DeviceArgs};
use super::place::write_atomically;
use crate::net::Multiaddr;
use crate::picture::{self, Picture, PictureError};

/// Compute with the swarm.
#[derive(Args, Debug)]
pub struct Run {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand, Debug)]
enum What {
    Render(Render),
    Fractal(Fractal),
}

/// Path-trace a scene.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  starling run render bundled -o teapots.png
  starling run render bunny.obj -o bunny.png --size 1280x720 --spp 256
  starling run render scene.toml -o far.png --exr far.exr --camera 9,4,9,0,1,0,30
  starling run render bundled -o alone.png --local

The scene and the parameters are visible to the swarm's peers: they need them to compute and to check.")]
struct Render {
    /// A .obj, .glb, .gltf or .toml file, or `bundled` for the scene inside this program.
    #[arg(value_name = "SCENE")]
    scene: PathBuf,
    /// Also write linear radiance as EXR.
    #[arg(long, value_name = "FILE")]
    exr: Option<PathBuf>,
    /// Width and height in pixels.
    #[arg(long, default_value = "640x360", value_name = "WxH", value_parser = size)]
    size: (u32, u32),
    /// Samples of each pixel.
    #[arg(long, default_value_t = 64, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1 << 20))]
    spp: u32,
    /// Eye, target, and vertical field of view in degrees, instead of the scene's camera.
    #[arg(long, value_name = "EX,EY,EZ,TX,TY,TZ,FOV", value_parser = numbers::<7>, allow_hyphen_values = true)]
    camera: Option<[f64; 7]>,
    #[command(flatten)]
    how: How,
}

/// Draw a Mandelbrot or Julia set.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  starling run fractal -o set.png
  starling run fractal -o deep.png --centre -0.7436,0.1318 --zoom 200 --iterations 5000
  starling run fractal -o julia.png --julia -0.8,0.156")]
struct Fractal {
    /// Width and height in pixels.
    #[arg(long, default_value = "960x640", value_name = "WxH", value_parser = size)]
    size: (u32, u32),
    /// Most iterations of a pixel, 1 to 65536.
    #[arg(long, default_value_t = 1000, value_name = "N")]
    iterations: u32,
    /// Middle of the picture [default: -0.75,0; for Julia sets 0,0].
    #[arg(long, value_name = "X,Y", value_parser = numbers::<2>, allow_hyphen_values = true, alias = "center")]
    centre: Option<[f64; 2]>,
    /// How many times larger than the whole set.
    #[arg(long, default_value_t = 1.0, value_name = "TIMES")]
    zoom: f64,
    /// The Julia set of this constant.
    #[arg(long, value_name = "X,Y", value_parser = numbers::<2>, allow_hyphen_values = true)]
    julia: Option<[f64; 2]>,
    #[command(flatten)]
    how: How,
}

/// Where, with whom and for how long.
#[derive(Args, Debug)]
struct How {
    /// PNG to write.
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Compute here alone, on the CPU, without a network.
    #[arg(long, conflicts_with_all = ["bootstrap", "peers", "wait", "receipts", "device", "require_gpu"])]
    local: bool,
    /// Peers to dial, beside those in the settings and a running `up`.
    #[arg(long, value_name = "ADDR")]
    bootstrap: Vec<Multiaddr>,
    /// Wait for so many peers that offer the kernel [default: one, and those heard in the second after it].
    #[arg(long, value_name = "MIN", value_parser = clap::value_parser!(u32).range(1..=1024))]
    peers: Option<u32>,
    /// Seconds to wait for them.
    #[arg(long, default_value_t = 10.0, value_name = "SECONDS", value_parser = node_options::seconds)]
    wait: f64,
    /// Give up after so many seconds.
    #[arg(long, value_name = "SECONDS", value_parser = node_options::seconds)]
    timeout: Option<f64>,
    /// Folder for the receipts, one file for each slice.
    #[arg(long, value_name = "DIR")]
    receipts: Option<PathBuf>,
    #[command(flatten)]
    device: DeviceArgs,
    /// One JSON object a line for everything that happens.
    #[arg(long, hide = true)]
    events: bool,
}

/// Makes the job; may take seconds, and memory of the scene's size.
type Make = Box<dyn FnOnce() -> Result<Picture, Failure> + Send>;

impl What {
    fn split(self) -> (How, Option<PathBuf>, Make) {
        match self {
            Self::Render(Render {
                scene,
                exr,
                size,
                spp,
                camera,
                how,
            }) => (
                how,
                exr,
                Box::new(move || render_picture(&scene, size, spp, camera)),
            ),
            Self::Fractal(fractal) => {
                let params = fractal.params();
                (
                    fractal.how,
                    None,
                    Box::new(move || params.and_then(Picture::fractal).map_err(refused)),
                )
            }
        }
    }
}

/// What to write, and where.
struct Outputs {
    png: PathBuf,
    exr: Option<PathBuf>,
}

impl Run {
    pub(super) async fn run(self, context: &Context, interrupt: Interrupt) -> Outcome {
        let (how, exr, make) = self.what.split();
        let outputs = Outputs {
            png: how.output.clone(),
            exr,
        };
        outputs.check()?;
        // Large scenes take seconds to load; Ctrl-C does not wait for them.
        let picture = tokio::select! {
            made = tokio::task::spawn_blocking(make) => made.map_err(|e| Failure::of(format!("loading failed: {e}")))??,
            _ = interrupt.signalled() => return Ok(Exit::Interrupted),
        };
        if how.local {
            local::run(context, &how, picture, outputs, interrupt).await
        } else {
            requester::run(context, &how, picture, outputs, interrupt).await
        }
    }
}

fn render_picture(
    file: &Path,
    size: (u32, u32),
    spp: u32,
    camera: Option<[f64; 7]>,
) -> Result<Picture, Failure> {
    let scene: Scene = if file == Path::new("bundled") {
        scene::bundled()
    } else {
        scene::load(file).map_err(Failure::of)?
    };
    let (passes, spp_per_pass) = picture::passes(size.0, size.1, spp).map_err(refused)?;
    let camera = camera.map(|c| {
        let [ex, ey, ez, tx, ty, tz, fov] = c.map(|v| v as f32);
        Camera::pinhole([ex, ey, ez], [tx, ty, tz], fov)
    });
    let (width, height) = size;
    let params = RenderParams {
        width,
        height,
        passes,
        spp_per_pass,
        camera,
        ..RenderParams::bundled()
    };
    Picture::render(&scene, params).map_err(refused)
}

impl Fractal {
    fn params(&self) -> Result<fractal::Params, PictureError> {
        let (width, height) = self.size;
        let mut params = fractal::Params::mandelbrot(width, height, self.iterations);
        if let Some([x, y]) = self.julia {
            params.set = Set::Julia {
                x: fixed(x)?,
                y: fixed(y)?,
            };
            params.centre = [0, 0];
            // Julia sets fill the disc of radius 2, the Mandelbrot set less.
            params.step = params.step.saturating_add(params.step / 3);
        }
        if let Some([x, y]) = self.centre {
            params.centre = [fixed(x)?, fixed(y)?];
        }
        let step = (f64::from(params.step) / self.zoom).round();
        if self.zoom.is_nan() || self.zoom <= 0.0 || !(1.0..=f64::from(i32::MAX)).contains(&step) {
            return Err(PictureError::Zoom(self.zoom));
        }
        params.step = step as i32;
        Ok(params)
    }
}

/// Q4.28.
fn fixed(value: f64) -> Result<i32, PictureError> {
    let scaled = (value * f64::from(ONE)).round();
    if (f64::from(i32::MIN)..=f64::from(i32::MAX)).contains(&scaled) {
        Ok(scaled as i32)
    } else {
        Err(PictureError::Plane(value))
    }
}

/// A picture that cannot be: the arguments are to be changed.
fn refused(error: PictureError) -> Failure {
    let exit = match error {
        PictureError::Job(_)
        | PictureError::Samples(_)
        | PictureError::Zoom(_)
        | PictureError::Plane(_)
        | PictureError::Large(_) => Exit::Usage,
        PictureError::Film(_) | PictureError::Tile(_) | PictureError::NoRadiance => Exit::Error,
    };
    Failure::of(error).exit(exit)
}

impl Outputs {
    /// Finds out before hours of computing, not after, that the result cannot be written.
    fn check(&self) -> Result<(), Failure> {
        for file in [Some(&self.png), self.exr.as_ref()].into_iter().flatten() {
            let folder = match file.parent() {
                Some(folder) if !folder.as_os_str().is_empty() => folder,
                _ => Path::new("."),
            };
            let fail = |why: String| {
                Failure::new(
                    Exit::Error,
                    why,
                    "name a file in a folder that you can write to",
                )
            };
            if file.is_dir() || file.file_name().is_none() {
                return Err(fail(format!("{} is a folder", file.display())));
            }
            tempfile::Builder::new()
                .prefix(".starling-")
                .tempfile_in(folder)
                .map_err(|e| {
                    fail(format!(
                        "cannot write to {}: {}",
                        folder.display(),
                        e.kind()
                    ))
                })?;
        }
        Ok(())
    }

    fn write(&self, picture: &Picture) -> Result<(), Failure> {
        write_atomically(&self.png, &picture.png().map_err(refused)?)?;
        match &self.exr {
            Some(exr) => write_atomically(exr, &picture.exr().map_err(refused)?),
            None => Ok(()),
        }
    }
}

/// Parses `640x360`.
fn size(text: &str) -> Result<(u32, u32), String> {
    let parsed = text
        .split_once('x')
        .and_then(|(w, h)| Some((w.parse().ok()?, h.parse().ok()?)));
    parsed
        .filter(|&(w, h)| w > 0 && h > 0)
        .ok_or_else(|| "write width x height, like 640x360".to_owned())
}

/// Parses `N` numbers separated by commas.
fn numbers<const N: usize>(text: &str) -> Result<[f64; N], String> {
    let values: Result<Vec<f64>, _> = text.split(',').map(|n| n.trim().parse()).collect();
    let values = values
        .ok()
        .filter(|v| v.iter().all(|n: &f64| n.is_finite()));
    values
        .and_then(|v| v.try_into().ok())
        .ok_or_else(|| format!("write {N} numbers separated by commas"))
}
