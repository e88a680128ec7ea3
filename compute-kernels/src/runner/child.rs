//! The device process: holds one adapter and answers frames on stdin and stdout.
//!
//! A node starts it as a hidden subcommand of its own executable and kills it at will; nothing here survives it.
//! Invariant: when stdin ends, which is also how the parent's death looks, the process exits at once, even in the
//! middle of a computation. (A death signal would be tied to the parent's thread, not to its process.)

use std::io::{self, Read, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};

use super::frame::{self, Request, Response};
use super::gpu::{self, Gpu};
use super::{RunnerError, check_run};
use crate::kernel::JobSpec;

/// Serves requests until `input` ends or the device is lost. Call it from a process that does nothing else:
/// the end of `input` ends the process.
pub fn serve(input: impl Read + Send + 'static, output: impl Write) -> ExitCode {
    match answer_all(&requests(input), output) {
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

fn answer_all(requests: &Receiver<Frame>, mut output: impl Write) -> io::Result<()> {
    let mut device = None;
    while let Ok((request, parts)) = requests.recv() {
        let mut computed = Vec::new();
        let response =
            answer(&mut device, request, parts, &mut computed).unwrap_or_else(Response::Failed);
        let lost = matches!(response, Response::Failed(RunnerError::Lost(_)));
        let parts: &[&[u8]] = match response {
            Response::Computed => &[&computed],
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
    device: &mut Option<Gpu>,
    request: Request,
    parts: Vec<Vec<u8>>,
    computed: &mut Vec<u8>,
) -> Result<Response, RunnerError> {
    match request {
        Request::Adapters => Ok(Response::Adapters(gpu::adapters())),
        Request::Open(choice) => {
            let gpu = device.insert(Gpu::open(choice)?);
            Ok(Response::Opened(gpu.describe().clone()))
        }
        Request::Load(kernel) => {
            let gpu = device.as_mut().ok_or(RunnerError::NotLoaded)?;
            let mut parts = parts.into_iter();
            let job = JobSpec {
                kernel,
                params: parts.next().unwrap_or_default(),
                inputs: parts.map(Arc::from).collect(),
            };
            gpu.load(&job).map(Response::Loaded)
        }
        Request::Run => {
            let gpu = device.as_mut().ok_or(RunnerError::NotLoaded)?;
            let shape = gpu.shape().ok_or(RunnerError::NotLoaded)?;
            let tiles: Vec<u32> = parts
                .iter()
                .flat_map(|p| p.chunks_exact(4))
                .map(|w| u32::from_le_bytes([w[0], w[1], w[2], w[3]]))
                .collect();
            check_run(&shape, &tiles)?;
            *computed = gpu.run(&tiles)?;
            Ok(Response::Computed)
        }
    }
}
