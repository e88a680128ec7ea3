//! A shader as its author wrote it, straight through wgpu: what admission, fuel, clamping and processes are measured
//! against. Never for code of strangers.

use std::collections::BTreeMap;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::Gpu;
use crate::kernel::{JobSpec, KernelError};
use crate::runner::RunnerError;
use crate::shader::Spec;

/// What it is bound to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BareJob {
    entry: String,
    groups: [u32; 3],
    constants: Vec<(String, f64)>,
    /// The first one is the result.
    buffers: Vec<BareBuffer>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct BareBuffer {
    group: u32,
    binding: u32,
    bytes: u64,
    /// What it begins with, counted among the job's inputs.
    from: Option<usize>,
    written: bool,
}

impl BareJob {
    /// The same work as a job of the `wgsl` kernel, without anything around it.
    pub fn of(job: &JobSpec) -> Result<Self, KernelError> {
        let spec = Spec::decode(&job.params)?;
        let output = |at| spec.outputs.iter().any(|o| o.at == at);
        let read = spec
            .inputs
            .iter()
            .enumerate()
            .filter(|(_, at)| !output(**at));
        let read = read.map(|(i, at)| BareBuffer {
            group: at.group,
            binding: at.binding,
            bytes: job.inputs.get(i + 1).map_or(0, |b| b.len() as u64),
            from: Some(i + 1),
            written: false,
        });
        let written = spec.outputs.iter().map(|o| BareBuffer {
            group: o.at.group,
            binding: o.at.binding,
            bytes: u64::from(o.array_len()) * u64::from(o.stride) * 4,
            from: o.from.map(|blob| blob as usize),
            written: true,
        });
        Ok(BareJob {
            entry: spec.entry.clone(),
            groups: spec.groups,
            constants: spec.overrides.clone(),
            buffers: written.chain(read).collect(),
        })
    }
}

impl Gpu {
    /// Runs it twice, and gives the first output with the seconds of the second time: dispatch, and reading back.
    pub fn bare(
        &mut self,
        job: &BareJob,
        inputs: &[Vec<u8>],
    ) -> Result<(Vec<u8>, f64), RunnerError> {
        use wgpu::BufferUsages as Use;
        let text = inputs
            .first()
            .map(|t| String::from_utf8_lossy(t).into_owned());
        let module = self
            .device
            .create_shader_module(wgpu::ShaderModuleDescriptor {
                label: None,
                source: wgpu::ShaderSource::Wgsl(text.unwrap_or_default().into()),
            });
        let constants: Vec<(&str, f64)> = job
            .constants
            .iter()
            .map(|(n, v)| (n.as_str(), *v))
            .collect();
        let pipeline = self
            .device
            .create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
                label: None,
                layout: None,
                module: &module,
                entry_point: Some(&job.entry),
                compilation_options: wgpu::PipelineCompilationOptions {
                    constants: &constants,
                    ..Default::default()
                },
                cache: None,
            });
        self.check_faults()?;
        let buffers: Vec<wgpu::Buffer> = job
            .buffers
            .iter()
            .map(|b| {
                self.device.create_buffer(&wgpu::BufferDescriptor {
                    label: None,
                    // WebGPU wants whole structs, and none of size 0.
                    size: b.bytes.max(4).next_multiple_of(16),
                    usage: if b.written {
                        Use::STORAGE | Use::COPY_SRC | Use::COPY_DST
                    } else {
                        Use::STORAGE | Use::UNIFORM | Use::COPY_DST
                    },
                    mapped_at_creation: false,
                })
            })
            .collect();
        let mut groups: BTreeMap<u32, Vec<wgpu::BindGroupEntry<'_>>> = BTreeMap::new();
        for (b, buffer) in job.buffers.iter().zip(&buffers) {
            let resource = wgpu::BindingResource::Buffer(wgpu::BufferBinding {
                buffer,
                offset: 0,
                size: wgpu::BufferSize::new(b.bytes.max(4)),
            });
            groups
                .entry(b.group)
                .or_default()
                .push(wgpu::BindGroupEntry {
                    binding: b.binding,
                    resource,
                });
        }
        let groups: Vec<(u32, wgpu::BindGroup)> = groups
            .into_iter()
            .map(|(group, entries)| {
                let bound = self.device.create_bind_group(&wgpu::BindGroupDescriptor {
                    label: None,
                    layout: &pipeline.get_bind_group_layout(group),
                    entries: &entries,
                });
                (group, bound)
            })
            .collect();
        let (Some(first), Some(output)) = (job.buffers.first(), buffers.first()) else {
            return Err(RunnerError::NotLoaded);
        };
        let len = first.bytes.max(4);
        let readback = self.device.create_buffer(&wgpu::BufferDescriptor {
            label: None,
            size: len,
            usage: Use::MAP_READ | Use::COPY_DST,
            mapped_at_creation: false,
        });
        let once = || {
            for (b, buffer) in job.buffers.iter().zip(&buffers) {
                if let Some(input) = b.from.and_then(|i| inputs.get(i)) {
                    self.queue.write_buffer(buffer, 0, input);
                }
            }
            self.queue.submit([]);
            let waited = self.device.poll(wgpu::PollType::wait_indefinitely());
            waited.map_err(|e| RunnerError::Lost(e.to_string()))?;
            let start = Instant::now();
            let mut encoder = self.device.create_command_encoder(&Default::default());
            {
                let mut pass = encoder.begin_compute_pass(&Default::default());
                pass.set_pipeline(&pipeline);
                for (group, bound) in &groups {
                    pass.set_bind_group(*group, bound, &[]);
                }
                let [x, y, z] = job.groups;
                pass.dispatch_workgroups(x, y, z);
            }
            let bytes = self.read_back(encoder, (output, &readback), len)?;
            Ok((bytes, start.elapsed().as_secs_f64()))
        };
        once()?;
        once()
    }
}
