//! Pictures: scenes and fractals as work.

use std::path::Path;
use std::sync::Arc;

use starling_kernels::fractal::{self, Fractal};
use starling_kernels::render::scene::{self, Camera};
use starling_kernels::render::{self, Render, RenderParams, Scene};
use starling_kernels::{JobSpec, Kernel, MAX_TILES};

use super::{ProductError, Work};

/// Samples of each pixel of a rendered picture, unless somebody says otherwise.
pub const SPP: u32 = 64;
/// Most of them.
pub const SPP_MAX: u32 = 1 << 20;
/// Most iterations of a fractal's pixel, likewise.
pub const ITERATIONS: u32 = 1000;

/// A path-traced picture of `scene`.
///
/// # Errors
/// Those of the kernel.
pub fn render(scene: &Scene, params: RenderParams) -> Result<Work, ProductError> {
    Work::new(JobSpec {
        kernel: Render.id(),
        params: params.to_bytes(),
        inputs: vec![Arc::from(scene.to_bytes())],
    })
}

/// The same of the scene in a file, or of the one inside this program, whose name is `bundled`. `size` is in pixels; the
/// camera is eye, target, and vertical field of view in degrees, instead of the scene's own.
///
/// # Errors
/// Those of the scene and of the kernel, and [`ProductError::Samples`].
pub fn rendered(
    file: &Path,
    size: (u32, u32),
    spp: u32,
    camera: Option<[f64; 7]>,
) -> Result<Work, ProductError> {
    let scene: Scene = if file == Path::new("bundled") {
        scene::bundled()
    } else {
        scene::load(file)?
    };
    let (width, height) = size;
    let (passes, spp_per_pass) = passes(width, height, spp)?;
    let camera = camera.map(|c| {
        let [ex, ey, ez, tx, ty, tz, fov] = c.map(|v| v as f32);
        Camera::pinhole([ex, ey, ez], [tx, ty, tz], fov)
    });
    let params = RenderParams {
        width,
        height,
        passes,
        spp_per_pass,
        camera,
        ..RenderParams::bundled()
    };
    render(&scene, params)
}

/// Parses `640x360`.
///
/// # Errors
/// How to write it.
pub fn size(text: &str) -> Result<(u32, u32), String> {
    let parsed = text
        .split_once('x')
        .and_then(|(w, h)| Some((w.parse().ok()?, h.parse().ok()?)));
    parsed
        .filter(|&(w, h)| w > 0 && h > 0)
        .ok_or_else(|| "write width x height, like 640x360".to_owned())
}

/// A fractal, by escape times.
///
/// # Errors
/// Those of the kernel, and [`ProductError::Large`].
pub fn fractal(params: fractal::Params) -> Result<Work, ProductError> {
    Work::new(JobSpec {
        kernel: Fractal.id(),
        params: params.encode(),
        inputs: Vec::new(),
    })
}

/// Splits `spp` samples into passes of up to 4 samples, or of more where the number of tiles asks for it: a pass is
/// the grain in which work is handed out, so small ones spread better.
///
/// # Errors
/// [`ProductError::Samples`] if no split fits.
pub fn passes(width: u32, height: u32, spp: u32) -> Result<(u32, u32), ProductError> {
    let edge = |pixels: u32| u64::from(pixels.div_ceil(render::TILE));
    let per_pass = edge(width) * edge(height);
    let fits = |each: &u32| {
        spp.is_multiple_of(*each) && per_pass * u64::from(spp / each) <= u64::from(MAX_TILES)
    };
    let small = (1..=4).rev().find(fits);
    let each = small
        .or_else(|| (5..=render::MAX_SPP_PER_PASS).find(fits))
        .ok_or(ProductError::Samples(spp))?;
    Ok((spp / each, each))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_split_into_small_passes_that_fit() {
        assert_eq!(passes(640, 360, 64).unwrap(), (16, 4));
        assert_eq!(passes(640, 360, 1).unwrap(), (1, 1));
        assert_eq!(passes(640, 360, 97).unwrap(), (97, 1));
        // 65,536 tiles a pass: no more than 256 passes.
        assert_eq!(passes(4096, 4096, 4096).unwrap(), (256, 16));
        assert!(matches!(
            passes(4096, 4096, 1 << 20),
            Err(ProductError::Samples(_))
        ));
    }
}
