//! `--local`: the CPU reference on all cores of this process. No network, no receipts, the same file.

use std::time::Instant;

use serde_json::json;

use super::progress::{Progress, View};
use super::{How, Outputs};
use crate::cli::Context;
use crate::cli::exit::{Exit, Failure, Outcome};
use crate::cli::interrupt::Interrupt;
use crate::product::Work;

/// Tiles between two looks at the signal and the clock.
const PORTION: u32 = 64;

pub(super) async fn run(
    context: &Context,
    how: &How,
    work: Work,
    outputs: Outputs,
    interrupt: Interrupt,
) -> Outcome {
    let console = context.console;
    let limit = how.timeout;
    let start = Instant::now();
    let signal = interrupt.clone();
    let computing = tokio::task::spawn_blocking(move || {
        let Work { spec, mut product } = work;
        let prepared = spec.prepare().map_err(|e| super::refused(e.into()))?;
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
                .add_tiles(first, &prepared.run(&tiles))
                .map_err(super::refused)?;
            progress.show(&View {
                tiles: first + tiles.len() as u32,
                slices: None,
                who: "this process".into(),
            });
        }
        progress.finish();
        outputs.write(&product)?;
        Ok(Some(outputs))
    });
    let done = tokio::select! {
        done = computing => done.map_err(|e| Failure::of(format!("computing failed: {e}")))??,
        // Until the portion at hand is done, so that no half-written file is left.
        _ = interrupted(&interrupt) => None,
    };
    let Some(outputs) = done else {
        console.note("interrupted; nothing was written");
        return Ok(Exit::Interrupted);
    };
    let wall_s = start.elapsed().as_secs_f64();
    if console.json {
        console.json(&json!({ "output": outputs.result(), "local": true, "wall_s": wall_s }));
    } else {
        console.data(outputs.result().display().to_string());
        console.note(format!("computed here in {wall_s:.1} s"));
    }
    Ok(Exit::Ok)
}

/// A signal, and a moment for the work to see it.
async fn interrupted(interrupt: &Interrupt) {
    interrupt.signalled().await;
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
}
