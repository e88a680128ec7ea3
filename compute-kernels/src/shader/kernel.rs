//! The kernel whose shader comes with the job: input blob 0 is its text.

use std::borrow::Cow;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::program::Program;
use super::spec::Spec;
use crate::kernel::{Kernel, KernelError, Plan, Prepared, Shape};

/// See the module. Its CPU reference is the interpreter.
pub struct Wgsl;

impl Kernel for Wgsl {
    fn name(&self) -> &'static str {
        "wgsl"
    }

    fn wgsl(&self) -> &'static str {
        include_str!("prelude.wgsl")
    }

    /// From the parameters alone: the shader is not looked at in a process that matters.
    fn shape(&self, params: &[u8], inputs: &[Arc<[u8]>]) -> Result<Shape, KernelError> {
        let spec = Spec::decode(params)?;
        let given = inputs.len();
        if given != spec.inputs.len() + 1 {
            let index = given.min(spec.inputs.len() + 1);
            let reason = format!("{} inputs and a shader are needed", spec.inputs.len());
            return Err(KernelError::Input { index, reason });
        }
        Ok(spec.shape())
    }

    fn prepare(
        &self,
        params: &[u8],
        inputs: &[Arc<[u8]>],
    ) -> Result<Box<dyn Prepared>, KernelError> {
        let program = admit(params, inputs)?;
        let words = inputs[1..].iter().map(|i| words(i)).collect();
        Ok(Box::new(Interpreted {
            program,
            inputs: words,
            fault: Mutex::default(),
            burnt: AtomicU32::new(0),
        }))
    }

    fn plan(&self, params: &[u8], inputs: &[Arc<[u8]>]) -> Result<Plan, KernelError> {
        let program = admit(params, inputs)?;
        let buffers = program.bound.iter().map(|i| {
            let input = &inputs[1 + i];
            // Bindings may not be empty.
            Cow::Owned(if input.is_empty() {
                vec![0; 4]
            } else {
                input.to_vec()
            })
        });
        Ok(Plan {
            groups_per_tile: program.spec.tile.iter().product(),
            buffers: buffers.collect(),
            turns: program.turns,
            module: Some(Box::new(program.module)),
        })
    }
}

/// Admits the shader for this job, which must have become the program that the job names.
fn admit(params: &[u8], inputs: &[Arc<[u8]>]) -> Result<Program, KernelError> {
    Wgsl.shape(params, inputs)?;
    let spec = Spec::decode(params)?;
    let bad = |reason: String| KernelError::Input { index: 0, reason };
    let shader = std::str::from_utf8(&inputs[0]).map_err(|e| bad(e.to_string()))?;
    let bytes: Vec<usize> = inputs[1..].iter().map(|i| i.len()).collect();
    let named = spec.program.clone();
    let program = Program::build(spec, shader, &bytes).map_err(|r| bad(r.to_string()))?;
    if program.digest() != named {
        return Err(bad(
            "this version makes another program of the shader".into()
        ));
    }
    Ok(program)
}

fn words(bytes: &[u8]) -> Vec<u32> {
    let words = bytes.chunks_exact(4);
    words
        .map(|w| u32::from_le_bytes([w[0], w[1], w[2], w[3]]))
        .collect()
}

struct Interpreted {
    program: Program,
    inputs: Vec<Vec<u32>>,
    fault: Mutex<Option<KernelError>>,
    /// The most that the loops of an invocation have burnt.
    burnt: AtomicU32,
}

impl Prepared for Interpreted {
    fn shape(&self) -> Shape {
        self.program.spec.shape()
    }

    fn tile(&self, tile: u32, out: &mut [u8]) {
        let mut words = vec![0; out.len() / 4];
        match self.program.tile(tile, &self.inputs, &mut words) {
            Ok(burnt) => {
                self.burnt.fetch_max(burnt, Ordering::Relaxed);
                for (bytes, word) in out.chunks_exact_mut(4).zip(words) {
                    bytes.copy_from_slice(&word.to_le_bytes());
                }
            }
            Err(fault) => {
                let why = self.program.explain(&fault).to_string();
                let mut known = self.fault.lock().unwrap_or_else(PoisonError::into_inner);
                known.get_or_insert(KernelError::Fault { tile, why });
            }
        }
    }

    fn burnt(&self) -> Option<u32> {
        Some(self.burnt.load(Ordering::Relaxed))
    }

    fn fault(&self) -> Option<KernelError> {
        let known = self.fault.lock().unwrap_or_else(PoisonError::into_inner);
        known.clone()
    }
}
