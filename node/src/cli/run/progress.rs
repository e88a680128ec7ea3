//! How far a job is: a bar on a terminal, elsewhere at most one plain line a second.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::cli::console::Console;
use crate::cli::text;
use crate::product::Grain;

/// Least time between two plain lines.
const EVERY: Duration = Duration::from_secs(1);

/// What is shown.
pub struct View {
    /// Tiles that are here.
    pub tiles: u32,
    /// Slices that are here, and all.
    pub slices: Option<(usize, usize)>,
    /// Who computes and audits.
    pub who: String,
}

/// Shows a job's progress on stderr.
pub struct Progress {
    console: Console,
    bar: Option<ProgressBar>,
    tiles: u32,
    grain: Grain,
    start: Instant,
    shown: Option<(Instant, u32)>,
}

impl Progress {
    /// Starts the clock.
    pub fn new(console: &Console, tiles: u32, grain: Grain) -> Self {
        let bar = (console.terminal && !console.quiet).then(|| {
            let bar = ProgressBar::with_draw_target(
                Some(u64::from(tiles)),
                ProgressDrawTarget::stderr_with_hz(8),
            );
            let template = if console.colour {
                "{bar:32.cyan/blue} {pos}/{len} tiles, {prefix}\n{wide_msg:.dim}"
            } else {
                "{bar:32} {pos}/{len} tiles, {prefix}\n{wide_msg}"
            };
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style.progress_chars("━╸─"));
            }
            bar
        });
        Self {
            console: *console,
            bar,
            tiles,
            grain,
            start: Instant::now(),
            shown: None,
        }
    }

    /// Shows the present state, unless it was shown a moment ago.
    pub fn show(&mut self, view: &View) {
        let rate = f64::from(view.tiles) / self.start.elapsed().as_secs_f64().max(1e-3);
        let speed = text::si(rate * self.grain.count as f64);
        let unit = self.grain.unit;
        let left = match view.tiles {
            0 => String::new(),
            done => {
                let seconds = f64::from(self.tiles.saturating_sub(done)) / rate;
                format!(
                    ", {} left",
                    text::duration(Duration::from_secs_f64(seconds.min(1e9)))
                )
            }
        };
        let slices = view.slices.map_or(String::new(), |(done, all)| {
            format!("{done}/{all} slices, ")
        });
        let prefix = format!("{slices}{speed} {unit}/s{left}");
        if let Some(bar) = &self.bar {
            bar.set_position(u64::from(view.tiles));
            bar.set_prefix(prefix);
            bar.set_message(view.who.clone());
            return;
        }
        let news = match self.shown {
            None => view.tiles > 0,
            Some((at, tiles)) => at.elapsed() >= EVERY && tiles != view.tiles,
        };
        if news {
            self.shown = Some((Instant::now(), view.tiles));
            let who = if view.who.is_empty() {
                String::new()
            } else {
                format!("; {}", view.who)
            };
            self.console.note(format!(
                "{}/{} tiles, {prefix}{who}",
                view.tiles, self.tiles
            ));
        }
    }

    /// A line that stays, above the bar.
    pub fn say(&self, line: impl AsRef<str>) {
        match &self.bar {
            Some(bar) => bar.suspend(|| self.console.note(line)),
            None => self.console.note(line),
        }
    }

    /// Takes the bar away.
    pub fn finish(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.finish();
    }
}
