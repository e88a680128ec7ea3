//! The device process: holds one adapter and answers frames on stdin and stdout.
//!
//! A node starts it as a hidden subcommand of its own executable and kills it at will; nothing here survives it.
//! Invariant: when stdin ends, which is also how the parent's death looks, the process exits at once, even in the
//! middle of a computation. (A death signal would be tied to the parent's thread, not to its process.)

use std::io::{self, Read, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use super::frame::{self, Request, Response};
use super::gpu::{self, Gpu};
use super::sandbox::SandboxError;
use super::{CpuRunner, DeviceInfo, Engine, RunnerError, admission, check_run, sandbox};
use crate::kernel::{JobSpec, Kernel, KernelError, Shape};
use crate::shader::survey::survey;
use crate::shader::{Program, Spec};

/// Serves requests until `input` ends or the device is lost. Call it from a process that does nothing else:
/// the end of `input` ends the process.
///
/// If it is to be `confined` and cannot be, it serves nothing, except on systems that have no sandbox: see [`sandbox`].
pub fn serve(input: impl Read + Send + 'static, output: impl Write, confined: bool) -> ExitCode {
    match confined.then(sandbox::enter) {
        None | Some(Ok(()) | Err(SandboxError::Unsupported)) => {}
        Some(Err(error)) => {
            eprintln!("device process: not confined: {error}");
            return ExitCode::FAILURE;
        }
    }
    match answer_all(&requests(input), output, confined) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("device process: {error}");
            ExitCode::FAILURE
        }
    }
}

type Frame = (Request, Vec<Vec<u8>>);

/// Reads on a thread of its own, so that the end of `input` is seen while the device computes.
fn requests(mut input: impl Read + Send + 'static) -> Receiver<Frame> {
    let (send, receive) = sync_channel(0);
    std::thread::spawn(move || {
        loop {
            match frame::read(&mut input) {
                Ok(frame) => {
                    if send.send(frame).is_err() {
                        return;
                    }
                }
                Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => std::process::exit(0),
                Err(e) => {
                    eprintln!("device process: bad frame: {e}");
                    std::process::exit(2);
                }
            }
        }
    });
    receive
}

fn answer_all(
    requests: &Receiver<Frame>,
    mut output: impl Write,
    confined: bool,
) -> io::Result<()> {
    let mut device = None;
    while let Ok((request, parts)) = requests.recv() {
        let mut computed = Vec::new();
        let response = answer(&mut device, request, parts, &mut computed, confined)
            .unwrap_or_else(Response::Failed);
        let lost = matches!(response, Response::Failed(RunnerError::Lost(_)));
        let parts: &[&[u8]] = match response {
            Response::Computed { .. }
            | Response::Timed { .. }
            | Response::Surveyed
            | Response::Admitted => &[&computed],
            _ => &[],
        };
        frame::write(&mut output, &response, parts)?;
        if lost {
            break;
        }
    }
    Ok(())
}

fn answer(
    device: &mut Option<Held>,
    request: Request,
    parts: Vec<Vec<u8>>,
    computed: &mut Vec<u8>,
    confined: bool,
) -> Result<Response, RunnerError> {
    // A parser, a compiler and an interpreter could all be made to ask for any amount.
    if confined && matches!(request, Request::Load(_) | Request::Survey | Request::Admit) {
        sandbox::cap_memory(parts.iter().map(|p| p.len() as u64).sum());
    }
    match request {
        Request::Adapters => Ok(Response::Adapters(gpu::adapters())),
        Request::Open(engine) => {
            let held = device.insert(Held::open(engine)?);
            Ok(Response::Opened(held.describe().clone()))
        }
        Request::Load(kernel) => {
            let held = device.as_mut().ok_or(RunnerError::NotLoaded)?;
            let mut parts = parts.into_iter();
            let job = JobSpec {
                kernel,
                params: parts.next().unwrap_or_default(),
                inputs: parts.map(Arc::from).collect(),
            };
            // Code of strangers runs where it can do no harm, or not at all.
            let kernel = if confined {
                job.kernel()
            } else {
                job.trusted()
            };
            held.load(&job, kernel?).map(Response::Loaded)
        }
        Request::Run | Request::RunFor(_) => {
            let held = device.as_mut().ok_or(RunnerError::NotLoaded)?;
            let shape = held.shape().ok_or(RunnerError::NotLoaded)?;
            let tiles: Vec<u32> = parts
                .iter()
                .flat_map(|p| p.chunks_exact(4))
                .map(|w| u32::from_le_bytes([w[0], w[1], w[2], w[3]]))
                .collect();
            check_run(&shape, &tiles)?;
            let span = match request {
                Request::RunFor(ms) => Some(Duration::from_millis(ms)),
                _ => None,
            };
            *computed = held.run(&tiles, span)?;
            let burnt = held.burnt();
            Ok(Response::Computed { burnt })
        }
        Request::Bare => {
            let Some(Held::Gpu(gpu)) = device else {
                return Err(RunnerError::NotLoaded);
            };
            let (job, inputs) = parts.split_first().ok_or(RunnerError::NotLoaded)?;
            let (output, seconds) = gpu.bare(&admission::parsed(job)?, inputs)?;
            *computed = output;
            Ok(Response::Timed { seconds })
        }
        Request::Survey | Request::Admit if !confined => Err(KernelError::Guest.into()),
        Request::Survey => {
            let (text, entry, overrides): (_, Option<String>, Vec<_>) = admission::asked(&parts)?;
            let result = survey(text, entry.as_deref(), &overrides);
            *computed = admission::json(&result)?;
            Ok(Response::Surveyed)
        }
        Request::Admit => {
            let (text, spec, bytes): (_, Spec, Vec<usize>) = admission::asked(&parts)?;
            let program = spec.check().map(|()| Program::build(spec, text, &bytes))?;
            *computed = admission::json(&program.map(|p| p.digest()))?;
            Ok(Response::Admitted)
        }
    }
}

/// What this process computes with.
enum Held {
    Gpu(Box<Gpu>),
    Cpu(CpuRunner),
}

impl Held {
    fn open(engine: Engine) -> Result<Self, RunnerError> {
        Ok(match engine {
            Engine::Adapter(choice) => Held::Gpu(Box::new(Gpu::open(choice)?)),
            Engine::Cpu => Held::Cpu(CpuRunner::new()),
        })
    }

    fn describe(&self) -> &DeviceInfo {
        match self {
            Held::Gpu(gpu) => gpu.describe(),
            Held::Cpu(cpu) => cpu.describe(),
        }
    }

    fn load(&mut self, job: &JobSpec, kernel: &dyn Kernel) -> Result<Shape, RunnerError> {
        match self {
            Held::Gpu(gpu) => gpu.load(job, kernel),
            Held::Cpu(cpu) => cpu.load_with(job, kernel),
        }
    }

    fn shape(&self) -> Option<Shape> {
        match self {
            Held::Gpu(gpu) => gpu.shape(),
            Held::Cpu(cpu) => cpu.shape(),
        }
    }

    fn burnt(&self) -> Option<u32> {
        match self {
            Held::Gpu(_) => None,
            Held::Cpu(cpu) => cpu.burnt(),
        }
    }

    /// All of them, or those that begin within `span`.
    fn run(&mut self, tiles: &[u32], span: Option<Duration>) -> Result<Vec<u8>, RunnerError> {
        // Whoever waits kills this process at the deadline.
        match (self, span) {
            (Held::Gpu(gpu), _) => gpu.run(tiles),
            (Held::Cpu(cpu), None) => cpu.run(tiles, Duration::MAX),
            (Held::Cpu(cpu), Some(span)) => cpu.run_for(tiles, span, Duration::MAX),
        }
    }
}
