//! `starling run`: a job computed by the swarm, or here alone.
//!
//! `pictures`, `matmul` and `wgsl` turn arguments into a [`Work`]; `requester` has it computed by peers, `local` by this
//! process. Invariant: both write the same bytes.

pub(crate) mod collect;
mod estimate;
mod handover;
mod local;
mod matmul;
mod pictures;
pub(crate) mod progress;
mod requester;
mod wgsl;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use starling_kernels::runner::RunnerError;

use super::Context;
use super::exit::{Exit, Failure, Outcome};
use super::interrupt::Interrupt;
use super::node_options::{self, DeviceArgs};
use super::place::write_with;
use super::shader;
use crate::net::Multiaddr;
use crate::product::{Product, ProductError, Target, Work};

/// Compute with the swarm.
#[derive(Args, Debug)]
pub struct Run {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand, Debug)]
enum What {
    Render(pictures::Render),
    Fractal(pictures::Fractal),
    Matmul(matmul::Matmul),
    Wgsl(Box<wgsl::Wgsl>),
}

/// The file of a job that has one.
#[derive(Args, Debug)]
struct To {
    /// File to write.
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
}

/// Where, with whom and for how long.
#[derive(Args, Clone, Debug)]
struct How {
    /// Compute here alone, without a network: on the CPU, or on the --device that is named.
    #[arg(long, conflicts_with_all = ["bootstrap", "peers", "wait", "receipts", "require_gpu",
        "max_price", "stewards", "full_audits"])]
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
    /// Submit, hand the job to its stewards, and leave: `job get` collects it, also on another machine.
    #[arg(long, conflicts_with_all = ["receipts", "local", "dry_run"])]
    detach: bool,
    /// Say what it would take, from a probe of its tiles, and submit nothing.
    #[arg(long, conflicts_with = "local")]
    dry_run: bool,
    /// Ask only peers that charge at most so much per 10^9 work units.
    #[arg(long, value_name = "PRICE")]
    max_price: Option<u64>,
    /// Let at most so many other peers hold the job, so that it outlives this one [default: 3, if there are enough].
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(0..8))]
    stewards: Option<u16>,
    /// Audit every slice as a newcomer's, also those of workers that have proven themselves.
    #[arg(long)]
    full_audits: bool,
    /// Folder for the receipts, one file for each slice.
    #[arg(long, value_name = "DIR")]
    receipts: Option<PathBuf>,
    #[command(flatten)]
    device: DeviceArgs,
    /// One JSON object a line for everything that happens.
    #[arg(long, hide = true)]
    events: bool,
}

/// Makes the work and says where it goes; may take seconds, and memory of its inputs' size.
type Make = Box<dyn FnOnce() -> Result<(Work, Outputs), Failure> + Send>;

/// What a command asks for.
struct Asked {
    how: How,
    make: Make,
}

impl Asked {
    /// Work whose files are known before it is made.
    fn new(
        how: How,
        outputs: Vec<Target>,
        make: impl FnOnce() -> Result<Work, Failure> + Send + 'static,
    ) -> Self {
        let outputs = Outputs(outputs);
        let leaves = how.detach || how.dry_run;
        Self {
            how,
            make: Box::new(move || {
                if !leaves {
                    outputs.check()?;
                }
                Ok((make()?, outputs))
            }),
        }
    }
}

/// What to write, and where. The first is the result.
pub(crate) struct Outputs(pub(crate) Vec<Target>);

impl Run {
    pub(super) async fn run(self, context: &Context, interrupt: Interrupt) -> Outcome {
        let Asked { how, make } = match self.what {
            What::Render(render) => render.asked(),
            What::Fractal(fractal) => fractal.asked(),
            What::Matmul(matmul) => matmul.asked(),
            What::Wgsl(wgsl) => return wgsl.run(context, interrupt).await,
        };
        start(context, how, make, interrupt).await
    }
}

/// Makes the work and has it computed.
async fn start(context: &Context, how: How, make: Make, interrupt: Interrupt) -> Outcome {
    // Large inputs take seconds to load; Ctrl-C does not wait for them.
    let (work, outputs) = tokio::select! {
        made = tokio::task::spawn_blocking(make) => made.map_err(|e| Failure::of(format!("loading failed: {e}")))??,
        _ = interrupt.signalled() => return Ok(Exit::Interrupted),
    };
    if how.local {
        local::run(context, &how, work, outputs, interrupt).await
    } else {
        requester::run(context, &how, work, outputs, interrupt).await
    }
}

/// Work that cannot be: the arguments are to be changed.
pub(crate) fn refused(error: ProductError) -> Failure {
    let exit = match error {
        ProductError::Refused { file, text, all } => return shader::refused(&file, &text, &all),
        ProductError::Array { .. } => {
            let mut failure = Failure::of(error).exit(Exit::Usage);
            failure.code = "bad_input".into();
            return failure;
        }
        ProductError::Disk(error) => {
            return Failure::of(error).or_fix("check the name of the file");
        }
        ProductError::Runner(RunnerError::Job(_))
        | ProductError::Plan { .. }
        | ProductError::Job(_)
        | ProductError::Samples(_)
        | ProductError::Unequal { .. }
        | ProductError::Format { .. }
        | ProductError::Large(_) => Exit::Usage,
        ProductError::Film(_)
        | ProductError::Tile(_)
        | ProductError::Scene(_)
        | ProductError::Io(_)
        | ProductError::Runner(_) => Exit::Error,
    };
    Failure::of(error).exit(exit)
}

impl Outputs {
    /// Finds out before hours of computing, not after, that the result cannot be written.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        for Target { path: file, .. } in &self.0 {
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

    fn write(&self, product: &Product) -> Result<(), Failure> {
        self.0.iter().try_for_each(|target| {
            write_with(&target.path, |file| {
                let written = product.write_output(target.output, target.format, file);
                written.map_err(refused)
            })
        })
    }

    /// The file that the command is about.
    pub(crate) fn result(&self) -> &Path {
        self.0.first().map_or(Path::new(""), |target| &target.path)
    }
}
