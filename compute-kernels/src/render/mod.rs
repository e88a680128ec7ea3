//! `render`: a path tracer over triangle meshes, canonical tier.
//!
//! A job is [`RenderParams`] and one input, the scene's blob. A tile is 16 x 16 pixels of one pass: tile
//! `pass * tiles_per_pass + position`, positions row by row. Its output is the sum over the pass's samples, three
//! f32 a pixel; [`crate::film`] adds passes up. `path_tracer.rs` and `path_tracer.wgsl` (with `sampler.rs`,
//! `intersect.rs` and `sampler.wgsl`, `intersect.wgsl`) do the same operations in the same order.

mod bvh;
mod intersect;
mod params;
mod path_tracer;
mod sampler;
pub mod scene;
mod setup;

use std::borrow::Cow;
use std::sync::Arc;

pub use bvh::{Block, Bvh, Facet, Node};
pub use params::{MAX_BOUNCES, MAX_PIXELS, MAX_SPP_PER_PASS, RenderParams, TILE, TILE_BYTES};
pub use path_tracer::PathTracer;
pub use scene::Scene;

use crate::canon::Canon;
use crate::{Kernel, KernelError, Plan, Prepared, Shape};

/// The kernel; it has no state.
#[derive(Debug, Clone, Copy)]
pub struct Render;

impl PathTracer {
    /// Builds the hierarchy and derives what tiles share.
    pub fn new(params: &RenderParams, scene: &Scene) -> Result<Self, KernelError> {
        params.validate()?;
        scene.validate().map_err(bad_scene)?;
        let bvh = Bvh::build(scene);
        let materials = setup::materials(scene);
        let emitters = setup::emitters(&bvh, &materials);
        let glass = scene
            .materials
            .iter()
            .map(|m| m.surface == scene::Surface::Glass)
            .collect();
        let setup = setup::Setup::new(params, scene, emitters.len());
        Ok(Self {
            params: *params,
            triangles: scene.triangles.len(),
            bvh,
            setup,
            materials,
            glass,
            emitters,
        })
    }
}

impl Prepared for PathTracer {
    fn shape(&self) -> Shape {
        self.params.shape(self.triangles)
    }
    fn tile(&self, tile: u32, out: &mut [u8]) {
        self.trace_tile::<Canon>(tile, out);
    }
}

impl Kernel for Render {
    fn name(&self) -> &'static str {
        "render"
    }

    fn wgsl(&self) -> &'static str {
        concat!(
            include_str!("sampler.wgsl"),
            "\n",
            include_str!("intersect.wgsl"),
            "\n",
            include_str!("path_tracer.wgsl")
        )
    }

    fn shape(&self, params: &[u8], inputs: &[Arc<[u8]>]) -> Result<Shape, KernelError> {
        let (params, scene) = decode(params, inputs)?;
        Ok(params.shape(scene.triangles.len()))
    }

    fn prepare(
        &self,
        params: &[u8],
        inputs: &[Arc<[u8]>],
    ) -> Result<Box<dyn Prepared>, KernelError> {
        let (params, scene) = decode(params, inputs)?;
        Ok(Box::new(PathTracer::new(&params, &scene)?))
    }

    fn plan(&self, params: &[u8], inputs: &[Arc<[u8]>]) -> Result<Plan, KernelError> {
        let (params, scene) = decode(params, inputs)?;
        let mut tracer = PathTracer::new(&params, &scene)?;
        if tracer.emitters.is_empty() {
            // Buffers may not be empty; `Setup::counts` says that there is no lamp.
            tracer.emitters.push(bytemuck::Zeroable::zeroed());
        }
        fn words<T: bytemuck::Pod>(values: &[T]) -> Cow<'static, [u8]> {
            Cow::Owned(bytemuck::cast_slice(values).to_vec())
        }
        Ok(Plan {
            groups_per_tile: 4,
            buffers: vec![
                words(&[tracer.setup]),
                words(&tracer.materials),
                words(&tracer.bvh.nodes),
                words(&tracer.bvh.blocks),
                words(&tracer.bvh.facets),
                words(&tracer.emitters),
            ],
            turns: 0,
            module: None,
        })
    }
}

fn decode(params: &[u8], inputs: &[Arc<[u8]>]) -> Result<(RenderParams, Scene), KernelError> {
    let params = RenderParams::from_bytes(params)?;
    match inputs {
        [blob] => Ok((params, Scene::from_bytes(blob).map_err(bad_scene)?)),
        _ => Err(KernelError::Input {
            index: 0,
            reason: format!("{} inputs instead of one scene", inputs.len()),
        }),
    }
}

fn bad_scene(error: scene::SceneError) -> KernelError {
    KernelError::Input {
        index: 0,
        reason: error.to_string(),
    }
}
