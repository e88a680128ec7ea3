//! `run wgsl`: any compute shader, on files of one's own.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use clap::Args;

use super::{How, Make, Outputs, refused};
use crate::cli::Context;
use crate::cli::exit::{Exit, Failure, Outcome};
use crate::cli::interrupt::Interrupt;
use crate::cli::shader::assignment;
use crate::compute::device_process;
use crate::product::shader::{Plan, Source, Wanted};

/// Between two looks at the files that `--watch` watches.
const LOOK_EVERY: Duration = Duration::from_millis(150);

/// Run a compute shader of your own.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  starling shader new squares && cd squares         a shader and its job, to begin with
  starling run wgsl job.toml --local --watch        compute it here whenever a file changes
  starling run wgsl job.toml                        compute it with the swarm
  starling run wgsl blur.wgsl --input picture=in.png --output soft=640x360 -o soft.png

Every invocation writes its own slot of an output: the slot of invocation (x, y, z) begins at element
((z * height + y) * width + x) * ELEMENTS. With /group the first invocation of a workgroup writes the workgroup's.
Files are read and written by their names: .png (a u32 a pixel, red lowest), .npy, .txt (out only), else plain words.

The shader and its inputs are visible to the swarm's peers: they need them to compute and to check.")]
pub(super) struct Wgsl {
    #[command(flatten)]
    given: Given,
    /// With --local: again whenever one of the files changes, until Ctrl-C.
    #[arg(long, requires = "local")]
    watch: bool,
    #[command(flatten)]
    how: How,
}

/// What is to be run.
#[derive(Args, Clone, Debug)]
struct Given {
    /// The shader, or a job's file with all that follows in it.
    #[arg(value_name = "SHADER.wgsl|JOB.toml")]
    file: PathBuf,
    /// A variable that the shader reads: a file, or numbers (u32:1,2,3, i32:..., f32:...); again for more.
    #[arg(long, value_name = "NAME=FILE", value_parser = input)]
    input: Vec<(String, Source)>,
    /// A variable that it writes: its size in slots, then *ELEMENTS of a slot, then /group; again for more.
    #[arg(long, value_name = "NAME=WxHxD", value_parser = Wanted::parse)]
    output: Vec<Wanted>,
    /// File of the first output; the others are written beside it, under their names [default: as the job's file says].
    #[arg(short = 'o', long = "to", value_name = "FILE")]
    to: Option<PathBuf>,
    /// Workgroups of the dispatch [default: enough for the largest output].
    #[arg(long, value_name = "X,Y,Z", value_parser = axes)]
    dispatch: Option<[u32; 3]>,
    /// Workgroups of a tile, the piece that others recompute [default: some thousand tiles].
    #[arg(long, value_name = "X,Y,Z", value_parser = axes)]
    tile: Option<[u32; 3]>,
    /// Operations that the loops of one invocation may cost; then they end [default: 65536].
    #[arg(long, value_name = "OPERATIONS")]
    fuel: Option<u32>,
    /// The entry point, if there are several.
    #[arg(long, value_name = "NAME")]
    entry: Option<String>,
    /// Value of an `override` declaration; again for more.
    #[arg(long = "override", value_name = "NAME=VALUE", value_parser = assignment)]
    overrides: Vec<(String, f64)>,
}

/// `NAME=FILE` or `NAME=u32:1,2,3`.
fn input(text: &str) -> Result<(String, Source), String> {
    let (name, source) = text.split_once('=').ok_or("write NAME=FILE")?;
    Ok((name.to_owned(), Source::parse(source)?))
}

/// One to three numbers, the rest ones.
fn axes(text: &str) -> Result<[u32; 3], String> {
    let wrong = || "write one to three numbers separated by commas".to_owned();
    let all: Result<Vec<u32>, _> = text.split(',').map(|n| n.trim().parse()).collect();
    let all = all.map_err(|_| wrong())?;
    if all.len() > 3 {
        return Err(wrong());
    }
    Ok(std::array::from_fn(|i| all.get(i).copied().unwrap_or(1)))
}

impl Wgsl {
    pub(super) async fn run(self, context: &Context, interrupt: Interrupt) -> Outcome {
        let Self { given, watch, how } = self;
        let leaves = how.detach || how.dry_run;
        if !watch {
            return super::start(context, how, given.make(leaves), interrupt).await;
        }
        loop {
            let seen = given.times();
            let make = given.clone().make(leaves);
            match super::start(context, how.clone(), make, interrupt.clone()).await {
                Ok(Exit::Interrupted) => return Ok(Exit::Interrupted),
                Ok(_) => {}
                Err(failure) => context.console.failure(&failure),
            }
            context.console.note("watching; Ctrl-C ends it");
            while given.times() == seen {
                tokio::select! {
                    _ = interrupt.signalled() => return Ok(Exit::Interrupted),
                    () = tokio::time::sleep(LOOK_EVERY) => {}
                }
            }
        }
    }
}

impl Given {
    /// Whoever `leaves` before the job is done needs no file.
    fn make(self, leaves: bool) -> Make {
        Box::new(move || {
            let command = device_process().map_err(Failure::of)?;
            let to = self.to.clone();
            let (work, named) = self.plan()?.work(&command).map_err(refused)?;
            let outputs = match (to, named.is_empty()) {
                (Some(path), _) => work.product.targets(path),
                (None, false) => named,
                // `job get` may name one.
                (None, true) if leaves => Vec::new(),
                (None, true) => {
                    let what = "no file to write is named";
                    return Err(Failure::new(Exit::Usage, what, "name one with -o FILE"));
                }
            };
            let outputs = Outputs(outputs);
            if !leaves {
                outputs.check()?;
            }
            Ok((work, outputs))
        })
    }

    /// The job's file, and what the command line says on top of it.
    fn plan(self) -> Result<Plan, Failure> {
        let mut plan = Plan::open(&self.file).map_err(refused)?;
        // Its own inputs are beside it; those of the command line are where the person is.
        let here = std::env::current_dir().unwrap_or_default();
        for (name, source) in self.input {
            let source = match source {
                Source::File(file) => Source::File(here.join(file)),
                numbers @ Source::Numbers(_) => numbers,
            };
            plan.inputs.retain(|(n, _)| *n != name);
            plan.inputs.push((name, source));
        }
        for mut wanted in self.output {
            if let Some(known) = plan.outputs.iter_mut().find(|o| o.name == wanted.name) {
                wanted.file = known.file.take();
                *known = wanted;
            } else {
                plan.outputs.push(wanted);
            }
        }
        for (name, value) in self.overrides {
            plan.overrides.retain(|(n, _)| *n != name);
            plan.overrides.push((name, value));
        }
        plan.groups = self.dispatch.or(plan.groups);
        plan.tile = self.tile.or(plan.tile);
        plan.fuel = self.fuel.or(plan.fuel);
        plan.entry = self.entry.or(plan.entry);
        Ok(plan)
    }

    /// When the files were last written, as far as they can be found.
    fn times(&self) -> Vec<Option<SystemTime>> {
        let mut files = vec![self.file.clone()];
        if let Ok(plan) = self.clone().plan() {
            files.push(plan.shader);
            files.extend(
                plan.inputs
                    .into_iter()
                    .filter_map(|(_, source)| match source {
                        Source::File(file) => Some(plan.folder.join(file)),
                        Source::Numbers(_) => None,
                    }),
            );
        }
        let written = |file: &PathBuf| std::fs::metadata(file).and_then(|m| m.modified()).ok();
        files.iter().map(written).collect()
    }
}
