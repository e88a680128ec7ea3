//! `--local`: the CPU reference on all cores of this machine. No network, no receipts, the same file.

use std::time::Instant;

use serde_json::json;
use starling_kernels::Shape;
use starling_kernels::runner::RunnerError;
use starling_kernels::shader::Spec;

use super::progress::{Progress, View};
use super::{How, Outputs};
use crate::cli::Context;
use crate::cli::console::Console;
use crate::cli::exit::{Exit, Failure, Outcome};
use crate::cli::interrupt::Interrupt;
use crate::cli::text;
use crate::compute::Here;
use crate::home::config::Device;
use crate::product::Work;

/// Tiles between two looks at the signal and the clock.
const PORTION: u32 = 64;

/// How it went.
struct Timing {
    outputs: Outputs,
    /// Loading, which is where a shader is compiled.
    load_s: f64,
    compute_s: f64,
    shape: Shape,
    /// The most that the loops of one invocation have burnt of their fuel.
    burnt: Option<(u32, u32)>,
}

pub(super) async fn run(
    context: &Context,
    how: &How,
    work: Work,
    outputs: Outputs,
    interrupt: Interrupt,
) -> Outcome {
    let console = context.console;
    let limit = how.timeout;
    let device = how
        .device
        .device
        .is_some()
        .then(|| how.device.choice(&Device::Auto));
    let device = device.transpose()?;
    let start = Instant::now();
    let signal = interrupt.clone();
    let computing = tokio::task::spawn_blocking(move || {
        let Work { spec, mut product } = work;
        let fail = |e: RunnerError| super::refused(e.into());
        let mut here = match device {
            None => Here::load(&spec).map_err(fail)?,
            Some(device) => Here::load_on(&spec, &device).map_err(crate::reason::Reason::from)?,
        };
        let load_s = start.elapsed().as_secs_f64();
        let shape = product.shape;
        let mut progress = Progress::new(&console, shape.tiles, product.grain);
        for first in (0..shape.tiles).step_by(PORTION as usize) {
            if signal.is_set() {
                return Ok(None);
            }
            if limit.is_some_and(|limit| start.elapsed().as_secs_f64() > limit) {
                let what = format!("not finished after {} s", limit.unwrap_or_default());
                return Err(Failure::new(
                    Exit::Timeout,
                    what,
                    "allow more with --timeout, or ask for less",
                ));
            }
            let tiles: Vec<u32> = (first..(first + PORTION).min(shape.tiles)).collect();
            product
                .add_tiles(first, &here.run(&tiles).map_err(fail)?)
                .map_err(super::refused)?;
            progress.show(&View {
                tiles: first + tiles.len() as u32,
                slices: None,
                who: "this machine".into(),
            });
        }
        progress.finish();
        let compute_s = start.elapsed().as_secs_f64() - load_s;
        outputs.write(&product)?;
        let fuel = Spec::decode(&spec.params).ok();
        let fuel = fuel.map(|spec| spec.fuel.max(spec.fuel_together));
        Ok(Some(Timing {
            outputs,
            load_s,
            compute_s,
            shape,
            burnt: here.burnt().zip(fuel.filter(|_| here.burnt().is_some())),
        }))
    });
    let done = tokio::select! {
        done = computing => done.map_err(|e| Failure::of(format!("computing failed: {e}")))??,
        // Until the portion at hand is done, so that no half-written file is left.
        _ = interrupted(&interrupt) => None,
    };
    let Some(timing) = done else {
        console.note("interrupted; nothing was written");
        return Ok(Exit::Interrupted);
    };
    let wall_s = start.elapsed().as_secs_f64();
    let output = timing.outputs.result();
    if console.json {
        console.json(&json!({
            "output": output,
            "local": true,
            "wall_s": wall_s,
            "load_s": timing.load_s,
            "compute_s": timing.compute_s,
            "tiles": timing.shape.tiles,
            "units_per_tile": timing.shape.units_per_tile,
            "burnt": timing.burnt.map(|(burnt, _)| burnt),
            "fuel": timing.burnt.map(|(_, fuel)| fuel),
        }));
    } else {
        console.data(output.display().to_string());
        console.note(format!("computed here in {wall_s:.1} s"));
        timing.tell(&console);
    }
    Ok(Exit::Ok)
}

impl Timing {
    /// What the author of a shader wants to know of it.
    fn tell(&self, console: &Console) {
        let Some((burnt, fuel)) = self.burnt else {
            return;
        };
        let tiles = f64::from(self.shape.tiles);
        console.note(format!(
            "compiled in {:.0} ms; {:.1} ms for each of {}",
            self.load_s * 1e3,
            self.compute_s * 1e3 / tiles,
            text::count(self.shape.tiles as usize, "tile"),
        ));
        if fuel == 0 {
            return;
        }
        console.note(if burnt == fuel {
            format!("loops burnt all of their fuel of {fuel}: they may have ended early; give more with --fuel")
        } else if burnt < fuel / 4 {
            format!("loops burnt at most {burnt} of {fuel}: with --fuel {} the job costs less", burnt + burnt / 4)
        } else {
            format!("loops burnt at most {burnt} of their fuel of {fuel}")
        });
    }
}

/// A signal, and a moment for the work to see it.
async fn interrupted(interrupt: &Interrupt) {
    interrupt.signalled().await;
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
}
