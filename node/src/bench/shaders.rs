//! What it costs to run a shader so that it can do no harm, beside the same shader straight through wgpu.

use std::time::{Duration, Instant};

use serde::Serialize;
use starling_kernels::runner::{
    AdapterChoice, DeviceInfo, DeviceKind, Engine, GpuProcess, GuestRunner, RunnerCommand,
};
use starling_kernels::shader::gallery::{self, Example};
use starling_kernels::shader::{Spec, arrays};
use starling_kernels::{JobSpec, Tier};

use crate::product::ProductError;
use crate::product::shader::Plan;

const DEADLINE: Duration = Duration::from_secs(300);
/// Rounds of either side, in turns; the quickest count.
const ROUNDS: u32 = 5;
/// So many times as much work for a real GPU, where it can be asked for: else it is done before it has begun.
const LARGER: u32 = 64;

/// One of the examples on one device.
#[derive(Clone, Debug, Serialize)]
pub struct ShaderRatio {
    /// The device's name.
    pub device: String,
    /// The example.
    pub shader: String,
    /// How its results compare.
    pub tier: Tier,
    /// Straight through wgpu, in one dispatch, with reading back.
    pub bare_ms: f64,
    /// Admitted, fuelled, clamped, in tiles, from a confined process.
    pub guarded_ms: f64,
    /// The second over the first.
    pub ratio: f64,
    /// Until that process was there, had the device open and the shader compiled: once a job.
    pub start_ms: f64,
    /// Whether both gave the same bytes; canonical floats differ from native ones.
    pub equal: bool,
}

/// All examples that compute for a while, on one adapter.
///
/// # Errors
/// The first that does not run.
pub(super) fn on(
    command: &RunnerCommand,
    info: &DeviceInfo,
    say: &dyn Fn(&str),
) -> Result<Vec<ShaderRatio>, ProductError> {
    let choice = AdapterChoice::Nth(info.index);
    let mut all = Vec::new();
    for example in gallery::ALL.iter().filter(|e| e.name != "hello") {
        say(&format!(
            "{} bare and guarded on {}",
            example.name, info.name
        ));
        let times = if info.kind == DeviceKind::Cpu {
            1
        } else {
            LARGER
        };
        let job = job_of(example, times, command)?;
        all.push(ratio(&job, example.name, command, choice, info)?);
    }
    Ok(all)
}

/// The job of an example, by way of the files that a person has. Of those whose invocations stand alone, `times` as many
/// invocations.
fn job_of(example: &Example, times: u32, command: &RunnerCommand) -> Result<JobSpec, ProductError> {
    let folder = tempfile::tempdir()?;
    for (name, bytes) in example.files {
        std::fs::write(folder.path().join(name), bytes)?;
    }
    let mut plan = Plan::open(&folder.path().join("job.toml"))?;
    if ["hash", "montecarlo"].contains(&example.name) {
        plan.outputs.iter_mut().for_each(|o| o.size[0] *= times);
    }
    Ok(plan.work(command)?.0.spec)
}

fn ratio(
    job: &JobSpec,
    name: &str,
    command: &RunnerCommand,
    choice: AdapterChoice,
    info: &DeviceInfo,
) -> Result<ShaderRatio, ProductError> {
    let shape = job.shape()?;
    let spec = Spec::decode(&job.params)?;
    let tiles: Vec<u32> = (0..shape.tiles).collect();
    let mut bare = GpuProcess::spawn(command.clone(), choice, DEADLINE)?;
    let begun = Instant::now();
    let mut guest = GuestRunner::new(command, Engine::Adapter(choice));
    guest.load(job, DEADLINE)?;
    let start_ms = begun.elapsed().as_secs_f64() * 1e3;
    let mut computed = guest.run(&tiles, DEADLINE)?;
    let (mut bare_s, mut guarded_s) = (f64::INFINITY, f64::INFINITY);
    let mut output = Vec::new();
    for _ in 0..ROUNDS {
        let (bytes, seconds) = bare.bare(job, DEADLINE)?;
        (output, bare_s) = (bytes, bare_s.min(seconds));
        let begun = Instant::now();
        computed = guest.run(&tiles, DEADLINE)?;
        guarded_s = guarded_s.min(begun.elapsed().as_secs_f64());
    }
    let mut whole = vec![0; output.len()];
    for (tile, bytes) in (0..).zip(computed.chunks_exact(shape.tile_bytes as usize)) {
        arrays::place(&spec, 0, tile, bytes, &mut whole);
    }
    Ok(ShaderRatio {
        device: info.name.clone(),
        shader: name.to_owned(),
        tier: shape.tier,
        bare_ms: bare_s * 1e3,
        guarded_ms: guarded_s * 1e3,
        ratio: guarded_s / bare_s,
        start_ms,
        equal: whole == output,
    })
}
