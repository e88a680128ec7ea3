//! Only this folder names wgpu: adapters, one device, and dispatches of at most about 100 ms.
//!
//! Runs inside the device process (see `child.rs`), never in the node's. Shaders keep wgpu's bounds checks.
//! Invariant: an error that wgpu reports at any time fails the call in progress; it is never lost or a panic.

mod bare;

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::{AdapterChoice, DeviceInfo, DeviceKind, RunnerError};
use crate::kernel::{JobSpec, Kernel, KernelId, Plan, Shape};
use crate::shader;

pub use bare::BareJob;

/// What a dispatch aims at: half of the 100 ms that a desktop and its watchdog bear.
const DISPATCH_GOAL: Duration = Duration::from_millis(50);
/// Mesa's llvmpipe silently leaves all loops of an invocation after so many turns together.
const LLVMPIPE_TURNS: u32 = 65_535;
/// Growth of the next dispatch over the last one, at most.
const GROWTH: usize = 8;
/// Output buffer of one dispatch, at most.
const MAX_OUTPUT_BYTES: u64 = 32 << 20;
/// Contraction barrier and words per tile, before the tile list: see `dispatch.wgsl`.
const HEADER_WORDS: usize = 2;

/// All adapters of this machine, in a stable order.
pub fn adapters() -> Vec<DeviceInfo> {
    enumerate()
        .1
        .iter()
        .zip(0..)
        .map(|(a, i)| info(a, i))
        .collect()
}

/// One open device with its compiled kernels and, after `load`, a job.
pub struct Gpu {
    device: wgpu::Device,
    queue: wgpu::Queue,
    info: DeviceInfo,
    limits: wgpu::Limits,
    faults: Arc<Mutex<Faults>>,
    /// One per kernel of this build, so bounded.
    pipelines: HashMap<KernelId, wgpu::ComputePipeline>,
    /// The last one that came with a job, whose parameters name its program.
    brought: Option<(Vec<u8>, wgpu::ComputePipeline)>,
    job: Option<Job>,
}

/// What wgpu reported outside of a call's result.
#[derive(Default)]
struct Faults {
    error: Option<String>,
    lost: Option<String>,
}

/// The current job's resources on the device.
struct Job {
    shape: Shape,
    groups_per_tile: u32,
    pipeline: wgpu::ComputePipeline,
    bindings: wgpu::BindGroup,
    dispatch: wgpu::Buffer,
    output: wgpu::Buffer,
    readback: wgpu::Buffer,
    /// Tiles that one dispatch can hold.
    capacity: usize,
    /// Tiles of the next dispatch.
    batch: usize,
}

impl Gpu {
    /// Opens the chosen adapter.
    pub fn open(choice: AdapterChoice) -> Result<Self, RunnerError> {
        let (_instance, adapters) = enumerate();
        let infos: Vec<DeviceInfo> = adapters.iter().zip(0..).map(|(a, i)| info(a, i)).collect();
        let index = choose(&infos, choice)?;
        let adapter = &adapters[index];

        // WebGPU's default limits, except where scenes need more: buffer sizes.
        let supported = adapter.limits();
        let limits = wgpu::Limits {
            max_buffer_size: supported.max_buffer_size,
            max_storage_buffer_binding_size: supported.max_storage_buffer_binding_size,
            ..wgpu::Limits::default().or_worse_values_from(&supported)
        };
        let (device, queue) = pollster::block_on(adapter.request_device(&wgpu::DeviceDescriptor {
            required_limits: limits.clone(),
            ..Default::default()
        }))
        .map_err(|e| RunnerError::Device(e.to_string()))?;

        let faults = Arc::new(Mutex::new(Faults::default()));
        let sink = faults.clone();
        device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| {
            let mut faults = sink.lock().unwrap_or_else(PoisonError::into_inner);
            faults.error.get_or_insert(error.to_string());
        }));
        let sink = faults.clone();
        device.set_device_lost_callback(move |reason, message| {
            let mut faults = sink.lock().unwrap_or_else(PoisonError::into_inner);
            faults.lost.get_or_insert(format!("{reason:?}: {message}"));
        });
        Ok(Gpu {
            device,
            queue,
            info: infos[index].clone(),
            limits,
            faults,
            pipelines: HashMap::new(),
            brought: None,
            job: None,
        })
    }

    /// The open adapter.
    pub fn describe(&self) -> &DeviceInfo {
        &self.info
    }

    /// The current job's shape.
    pub fn shape(&self) -> Option<Shape> {
        self.job.as_ref().map(|j| j.shape)
    }

    /// Makes `job`, of this kernel, the current one: compiles the kernel, uploads its buffers.
    pub fn load(&mut self, job: &JobSpec, kernel: &dyn Kernel) -> Result<Shape, RunnerError> {
        self.job = None;
        let shape = kernel.shape(&job.params, &job.inputs)?;
        let mut plan = kernel.plan(&job.params, &job.inputs)?;
        self.check_limits(&plan)?;
        let pipeline = match plan.module.take() {
            Some(module) => self.pipeline_with(&job.params, kernel, *module)?,
            None => self.pipeline_of(job.kernel, kernel)?,
        };
        self.job = Some(self.upload(pipeline, shape, &plan));
        if let Err(error) = self.check_faults() {
            self.job = None;
            return Err(error);
        }
        Ok(shape)
    }

    /// Computes tiles that exist. Output bytes stand in the order asked.
    ///
    /// Tiles are dispatched in a scattered order: each batch is a sample of all of them, so that the time one takes
    /// predicts the next although neighbouring tiles may cost a thousand times more or less.
    pub fn run(&mut self, tiles: &[u32]) -> Result<Vec<u8>, RunnerError> {
        let mut job = self.job.take().ok_or(RunnerError::NotLoaded)?;
        let tile_bytes = job.shape.tile_bytes as usize;
        let mut out = vec![0; tiles.len() * tile_bytes];
        let order = scattered(tiles.len());
        let mut rest = order.as_slice();
        while !rest.is_empty() {
            let (now, later) = rest.split_at(job.batch.min(rest.len()));
            rest = later;
            let start = Instant::now();
            let batch: Vec<u32> = now.iter().map(|&slot| tiles[slot]).collect();
            let bytes = self.dispatch(&job, &batch)?;
            for (&slot, tile) in now.iter().zip(bytes.chunks_exact(tile_bytes)) {
                out[slot * tile_bytes..][..tile_bytes].copy_from_slice(tile);
            }
            let goal = DISPATCH_GOAL.as_secs_f64() / start.elapsed().as_secs_f64().max(1e-6);
            let fitting = (now.len() as f64 * goal) as usize;
            job.batch = fitting.clamp(1, (job.batch * GROWTH).min(job.capacity));
        }
        self.job = Some(job);
        Ok(out)
    }

    /// One dispatch, waited for.
    fn dispatch(&self, job: &Job, tiles: &[u32]) -> Result<Vec<u8>, RunnerError> {
        let len = tiles.len() as u64 * u64::from(job.shape.tile_bytes);
        let header = [0, job.shape.tile_bytes / 4];
        self.queue
            .write_buffer(&job.dispatch, 0, bytemuck::cast_slice(&header));
        let list_at = (HEADER_WORDS * 4) as u64;
        self.queue
            .write_buffer(&job.dispatch, list_at, bytemuck::cast_slice(tiles));
        let mut encoder = self.device.create_command_encoder(&Default::default());
        // Kernels may leave words unwritten, and those are zero.
        encoder.clear_buffer(&job.output, 0, Some(len));
        {
            let mut pass = encoder.begin_compute_pass(&Default::default());
            pass.set_pipeline(&job.pipeline);
            pass.set_bind_group(0, &job.bindings, &[]);
            pass.dispatch_workgroups(tiles.len() as u32, job.groups_per_tile, 1);
        }
        self.read_back(encoder, (&job.output, &job.readback), len)
    }

    /// Has done what was encoded, and takes `len` bytes of a buffer by way of one that can be mapped.
    fn read_back(
        &self,
        mut encoder: wgpu::CommandEncoder,
        (output, readback): (&wgpu::Buffer, &wgpu::Buffer),
        len: u64,
    ) -> Result<Vec<u8>, RunnerError> {
        encoder.copy_buffer_to_buffer(output, 0, readback, 0, len);
        self.queue.submit([encoder.finish()]);
        // The result of the mapping reaches us through `get_mapped_range`.
        readback.map_async(wgpu::MapMode::Read, ..len, |_| ());
        let waited = self.device.poll(wgpu::PollType::wait_indefinitely());
        self.check_faults()?;
        waited.map_err(|e| RunnerError::Lost(e.to_string()))?;
        let bytes = match readback.get_mapped_range(..len) {
            Ok(view) => view.to_vec(),
            Err(e) => return Err(RunnerError::Lost(e.to_string())),
        };
        readback.unmap();
        Ok(bytes)
    }

    /// The pipeline of one of this build's kernels.
    fn pipeline_of(
        &mut self,
        id: KernelId,
        kernel: &dyn Kernel,
    ) -> Result<wgpu::ComputePipeline, RunnerError> {
        if let Some(pipeline) = self.pipelines.get(&id) {
            return Ok(pipeline.clone());
        }
        let source = wgpu::ShaderSource::Wgsl(kernel.source().into());
        let pipeline = self.compile(kernel.name(), source, "main");
        self.check_faults()?;
        self.pipelines.insert(id, pipeline.clone());
        Ok(pipeline)
    }

    /// The pipeline of a job's own program.
    fn pipeline_with(
        &mut self,
        params: &[u8],
        kernel: &dyn Kernel,
        module: naga::Module,
    ) -> Result<wgpu::ComputePipeline, RunnerError> {
        if let Some((of, pipeline)) = &self.brought
            && of == params
        {
            return Ok(pipeline.clone());
        }
        let source = wgpu::ShaderSource::Naga(Cow::Owned(module));
        let pipeline = self.compile(kernel.name(), source, shader::frame::ENTRY);
        self.check_faults()?;
        self.brought = Some((params.to_vec(), pipeline.clone()));
        Ok(pipeline)
    }

    fn compile(
        &self,
        name: &str,
        source: wgpu::ShaderSource<'_>,
        entry: &str,
    ) -> wgpu::ComputePipeline {
        let module = self
            .device
            .create_shader_module(wgpu::ShaderModuleDescriptor {
                label: Some(name),
                source,
            });
        self.device
            .create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
                label: Some(name),
                layout: None,
                module: &module,
                entry_point: Some(entry),
                compilation_options: Default::default(),
                cache: None,
            })
    }

    fn upload(&self, pipeline: wgpu::ComputePipeline, shape: Shape, plan: &Plan) -> Job {
        use wgpu::BufferUsages as Use;
        let tile_bytes = u64::from(shape.tile_bytes);
        let output_bytes = self.max_binding().min(MAX_OUTPUT_BYTES);
        let capacity = (output_bytes / tile_bytes)
            .min(shape.tiles.into())
            .min(self.limits.max_compute_workgroups_per_dimension.into())
            .max(1);
        let buffer = |size: u64, usage| {
            self.device.create_buffer(&wgpu::BufferDescriptor {
                label: None,
                size,
                usage,
                mapped_at_creation: false,
            })
        };
        let dispatch = buffer(
            (HEADER_WORDS as u64 + capacity) * 4,
            Use::STORAGE | Use::COPY_DST,
        );
        let output = buffer(
            capacity * tile_bytes,
            Use::STORAGE | Use::COPY_SRC | Use::COPY_DST,
        );
        let readback = buffer(capacity * tile_bytes, Use::MAP_READ | Use::COPY_DST);
        let inputs: Vec<wgpu::Buffer> = plan
            .buffers
            .iter()
            .map(|contents| {
                let input = buffer(contents.len() as u64, Use::STORAGE | Use::COPY_DST);
                self.queue.write_buffer(&input, 0, contents);
                input
            })
            .collect();
        let entries: Vec<wgpu::BindGroupEntry<'_>> = [&dispatch, &output]
            .into_iter()
            .chain(&inputs)
            .zip(0..)
            .map(|(buffer, binding)| wgpu::BindGroupEntry {
                binding,
                resource: buffer.as_entire_binding(),
            })
            .collect();
        let bindings = self.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: None,
            layout: &pipeline.get_bind_group_layout(0),
            entries: &entries,
        });
        Job {
            shape,
            groups_per_tile: plan.groups_per_tile,
            pipeline,
            bindings,
            dispatch,
            output,
            readback,
            capacity: capacity as usize,
            batch: 1,
        }
    }

    fn max_binding(&self) -> u64 {
        max_binding(&self.limits)
    }

    fn check_limits(&self, plan: &Plan) -> Result<(), RunnerError> {
        // Else it would leave them early, and look like a liar.
        if self.info.kind == DeviceKind::Cpu && plan.turns > LLVMPIPE_TURNS {
            return Err(RunnerError::LoopTurns {
                needs: plan.turns,
                allows: LLVMPIPE_TURNS,
            });
        }
        let needs = plan.buffers.iter().map(|b| b.len() as u64).max();
        let (needs, allows) = (needs.unwrap_or(0), self.max_binding());
        if needs > allows {
            return Err(RunnerError::DeviceLimit {
                what: "binding".into(),
                needs,
                allows,
            });
        }
        Ok(())
    }

    /// Takes what wgpu reported since the last call.
    fn check_faults(&self) -> Result<(), RunnerError> {
        let mut faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(why) = faults.lost.take() {
            return Err(RunnerError::Lost(why));
        }
        match faults.error.take() {
            Some(why) => Err(RunnerError::Device(why)),
            None => Ok(()),
        }
    }
}

/// `0..len` in steps of about the golden ratio: any stretch of it is spread evenly over the whole.
fn scattered(len: usize) -> Vec<usize> {
    let gcd = |mut a: usize, mut b: usize| {
        while b != 0 {
            (a, b) = (b, a % b);
        }
        a
    };
    let mut step = (len as f64 * 0.618) as usize;
    while gcd(step, len) > 1 {
        step += 1;
    }
    (0..len).map(|i| (i * step) % len).collect()
}

fn enumerate() -> (wgpu::Instance, Vec<wgpu::Adapter>) {
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor {
        backends: wgpu::Backends::PRIMARY,
        // Not the build profile's: validation layers would make debug and release builds differ.
        flags: wgpu::InstanceFlags::empty(),
        ..wgpu::InstanceDescriptor::new_without_display_handle()
    });
    let adapters = pollster::block_on(instance.enumerate_adapters(wgpu::Backends::PRIMARY));
    (instance, adapters)
}

fn choose(infos: &[DeviceInfo], choice: AdapterChoice) -> Result<usize, RunnerError> {
    let none = |wanted: &str, hint: &str| {
        Err(RunnerError::NoAdapter {
            wanted: wanted.into(),
            hint: hint.into(),
        })
    };
    match choice {
        AdapterChoice::Hardware => {
            let rank = |kind| match kind {
                DeviceKind::DiscreteGpu => Some(0),
                DeviceKind::IntegratedGpu => Some(1),
                DeviceKind::VirtualGpu => Some(2),
                DeviceKind::Other => Some(3),
                DeviceKind::Cpu => None,
            };
            let real = infos.iter().zip(0..);
            let real = real.filter_map(|(info, i)| rank(info.kind).map(|r| (r, i)));
            match real.min() {
                Some((_, index)) => Ok(index),
                None => none("GPU", ": install its Vulkan driver, or use the CPU"),
            }
        }
        AdapterChoice::Software => match infos.iter().position(|i| i.kind == DeviceKind::Cpu) {
            Some(index) => Ok(index),
            None => none(
                "software adapter",
                ": on Debian, install libvulkan1 and mesa-vulkan-drivers",
            ),
        },
        AdapterChoice::Nth(n) if (n as usize) < infos.len() => Ok(n as usize),
        AdapterChoice::Nth(n) => none(&format!("adapter number {n}"), ""),
    }
}

fn info(adapter: &wgpu::Adapter, index: u32) -> DeviceInfo {
    let info = adapter.get_info();
    DeviceInfo {
        name: info.name,
        vendor: match info.vendor {
            0x1002 => "AMD".into(),
            0x106b => "Apple".into(),
            0x10de => "NVIDIA".into(),
            0x10005 => "Mesa".into(),
            0x13b5 => "Arm".into(),
            0x5143 => "Qualcomm".into(),
            0x8086 => "Intel".into(),
            other => format!("{other:#06x}"),
        },
        backend: info.backend.to_string(),
        kind: match info.device_type {
            wgpu::DeviceType::DiscreteGpu => DeviceKind::DiscreteGpu,
            wgpu::DeviceType::IntegratedGpu => DeviceKind::IntegratedGpu,
            wgpu::DeviceType::VirtualGpu => DeviceKind::VirtualGpu,
            wgpu::DeviceType::Cpu => DeviceKind::Cpu,
            wgpu::DeviceType::Other => DeviceKind::Other,
        },
        driver: format!("{} {}", info.driver, info.driver_info)
            .trim()
            .into(),
        index,
        max_binding_bytes: max_binding(&adapter.limits()),
    }
}

fn max_binding(limits: &wgpu::Limits) -> u64 {
    let binding = limits.max_storage_buffer_binding_size;
    binding.min(limits.max_buffer_size)
}
