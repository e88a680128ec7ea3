//! `run render` and `run fractal`: arguments that become pictures.

use std::path::PathBuf;

use clap::Args;
use starling_kernels::fractal::{self, ONE, Set};

use super::{Asked, How, To, refused};
use crate::cli::exit::{Exit, Failure};
use crate::product::{Format, Target, picture};

/// Path-trace a scene.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  starling run render bundled -o teapots.png
  starling run render bunny.obj -o bunny.png --size 1280x720 --spp 256
  starling run render scene.toml -o far.png --exr far.exr --camera 9,4,9,0,1,0,30
  starling run render bundled -o alone.png --local

The scene and the parameters are visible to the swarm's peers: they need them to compute and to check.")]
pub(super) struct Render {
    /// A .obj, .glb, .gltf or .toml file, or `bundled` for the scene inside this program.
    #[arg(value_name = "SCENE")]
    scene: PathBuf,
    /// Also write linear radiance as EXR.
    #[arg(long, value_name = "FILE")]
    exr: Option<PathBuf>,
    /// Width and height in pixels.
    #[arg(long, default_value = "640x360", value_name = "WxH", value_parser = picture::size)]
    size: (u32, u32),
    /// Samples of each pixel.
    #[arg(long, default_value_t = picture::SPP, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(picture::SPP_MAX)))]
    spp: u32,
    /// Eye, target, and vertical field of view in degrees, instead of the scene's camera.
    #[arg(long, value_name = "EX,EY,EZ,TX,TY,TZ,FOV", value_parser = numbers::<7>, allow_hyphen_values = true)]
    camera: Option<[f64; 7]>,
    #[command(flatten)]
    to: To,
    #[command(flatten)]
    how: How,
}

/// Draw a Mandelbrot or Julia set.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  starling run fractal -o set.png
  starling run fractal -o deep.png --centre -0.7436,0.1318 --zoom 200 --iterations 5000
  starling run fractal -o julia.png --julia -0.8,0.156")]
pub(super) struct Fractal {
    /// Width and height in pixels.
    #[arg(long, default_value = "960x640", value_name = "WxH", value_parser = picture::size)]
    size: (u32, u32),
    /// Most iterations of a pixel, 1 to 65535.
    #[arg(long, default_value_t = picture::ITERATIONS, value_name = "N")]
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
    to: To,
    #[command(flatten)]
    how: How,
}

impl Render {
    pub(super) fn asked(self) -> Asked {
        let mut outputs = vec![Target::new(Format::Png, self.to.output)];
        outputs.extend(self.exr.map(|path| Target::new(Format::Exr, path)));
        let (size, spp, camera) = (self.size, self.spp, self.camera);
        Asked::new(self.how, outputs, move || {
            picture::rendered(&self.scene, size, spp, camera).map_err(refused)
        })
    }
}

impl Fractal {
    pub(super) fn asked(self) -> Asked {
        let params = self.params();
        let outputs = vec![Target::new(Format::Png, self.to.output)];
        Asked::new(self.how, outputs, move || {
            picture::fractal(params?).map_err(refused)
        })
    }

    fn params(&self) -> Result<fractal::Params, Failure> {
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
            let what = format!("zoom {:e} is out of the fractal's 28-bit reach", self.zoom);
            let fix = "choose one between 0.5 and a million, by the size";
            return Err(Failure::new(Exit::Usage, what, fix));
        }
        params.step = step as i32;
        Ok(params)
    }
}

/// Q4.28.
fn fixed(value: f64) -> Result<i32, Failure> {
    let scaled = (value * f64::from(ONE)).round();
    if (f64::from(i32::MIN)..=f64::from(i32::MAX)).contains(&scaled) {
        Ok(scaled as i32)
    } else {
        let what = format!("{value} is no coordinate of the plane");
        Err(Failure::new(Exit::Usage, what, "choose between -4 and 4"))
    }
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
