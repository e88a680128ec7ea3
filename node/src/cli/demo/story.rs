//! What the demo shows: who computes, who audits, who is caught; live, and once more at the end.

use std::collections::BTreeMap;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};

use super::ms;
use crate::cli::console::Console;
use crate::cli::exit::Exit;
use crate::cli::text;
use crate::stage::Line;

/// One process, as its own events and the requester's tell.
#[derive(Default)]
struct Actor {
    name: String,
    lies: bool,
    device: String,
    slices: u32,
    audits: u32,
    work_us: u64,
    audit_us: u64,
    caught: Option<String>,
}

/// The whole play.
pub(super) struct Story {
    console: Console,
    bar: Option<ProgressBar>,
    actors: Vec<Actor>,
    /// Keys of the swarm to indices of actors.
    keys: BTreeMap<String, usize>,
    slices: u64,
    tiles: u64,
    done: u64,
    submitted_ms: u64,
    first_slice_ms: Option<u64>,
    done_ms: u64,
    caught: Vec<Value>,
    false_accusations: usize,
}

impl Story {
    pub(super) fn new(console: Console) -> Self {
        Self {
            console,
            bar: None,
            actors: Vec::new(),
            keys: BTreeMap::new(),
            slices: 0,
            tiles: 0,
            done: 0,
            submitted_ms: 0,
            first_slice_ms: None,
            done_ms: 0,
            caught: Vec::new(),
            false_accusations: 0,
        }
    }

    /// A process joins the cast; they come in the order of their indices.
    pub(super) fn cast(&mut self, index: usize, name: &str, lies: bool) {
        self.actors.resize_with(index + 1, Actor::default);
        self.actors[index] = Actor {
            name: name.to_owned(),
            lies,
            ..Actor::default()
        };
    }

    pub(super) fn name(&self, index: usize) -> String {
        self.actors
            .get(index)
            .map_or_else(|| "a peer".into(), |a| a.name.clone())
    }

    /// A line that stays.
    pub(super) fn say(&self, line: impl AsRef<str>) {
        match &self.bar {
            Some(bar) => bar.suspend(|| self.console.note(line)),
            None => self.console.note(line),
        }
    }

    fn named(&self, key: &Value) -> String {
        let key = key.as_str().unwrap_or_default();
        self.keys.get(key).map_or_else(
            || key.chars().take(8).collect(),
            |i| self.actors[*i].name.clone(),
        )
    }

    fn actor(&mut self, key: &Value) -> Option<&mut Actor> {
        let index = *self.keys.get(key.as_str()?)?;
        self.actors.get_mut(index)
    }

    /// A line of one process, if it tells something.
    pub(super) fn take(&mut self, line: &Line) {
        if let Line::Json { child, value } = line {
            self.hear(*child, value);
        }
    }

    /// One event of one process.
    fn hear(&mut self, index: usize, value: &Value) {
        match value["happening"].as_str() {
            Some("started") => self.on_started(index, value),
            Some("usage") => {
                let us = |field: &str| value[field].as_u64().unwrap_or(0);
                let (work, audit) = (us("work_us"), us("audit_us"));
                if let Some(actor) = self.actors.get_mut(index) {
                    (actor.work_us, actor.audit_us) = (work, audit);
                }
            }
            Some("core") => self.on_core(value),
            Some(_) | None => {}
        }
    }

    fn on_started(&mut self, index: usize, value: &Value) {
        let Some(actor) = self.actors.get_mut(index) else {
            return;
        };
        if let Some(key) = value["peer"].as_str() {
            self.keys.insert(key.to_owned(), index);
        }
        actor.device = value["device"]["name"]
            .as_str()
            .unwrap_or("asks for the picture")
            .to_owned();
        let lies = if actor.lies {
            ", fakes all its work"
        } else {
            ""
        };
        let line = format!("{:<10} {}{lies}", actor.name, actor.device);
        self.say(line);
    }

    /// Only the requester's events reach the shared counts: it alone sees leases, audits and ends.
    fn on_core(&mut self, value: &Value) {
        match value["event"].as_str().unwrap_or_default() {
            "submitted" => {
                self.submitted_ms = ms(value);
                self.slices = value["slices"].as_u64().unwrap_or(0);
                self.tiles = value["tiles"].as_u64().unwrap_or(0);
                let roster = value["roster"].as_u64().unwrap_or(0);
                self.say(format!(
                    "submitted  {} slices, {} tiles, {roster} peers in the roster",
                    self.slices, self.tiles
                ));
                self.start_bar();
            }
            "leased" => {
                let since = ms(value).saturating_sub(self.submitted_ms);
                self.first_slice_ms.get_or_insert(since);
                self.tell(&format!(
                    "{} computes slice {}",
                    self.named(&value["worker"]),
                    value["slice"]
                ));
            }
            "auditing" => {
                let auditors = value["auditors"].as_array().cloned().unwrap_or_default();
                let names: Vec<_> = auditors.iter().map(|a| self.named(a)).collect();
                for auditor in &auditors {
                    if let Some(actor) = self.actor(auditor) {
                        actor.audits += 1;
                    }
                }
                self.tell(&format!(
                    "slice {} audited by {}",
                    value["slice"],
                    names.join(", ")
                ));
            }
            "slice_done" => {
                self.done += 1;
                if let Some(actor) = self.actor(&value["worker"]) {
                    actor.slices += 1;
                }
                if let Some(bar) = &self.bar {
                    bar.set_position(self.done);
                } else if self.done.is_multiple_of(8) || self.done == self.slices {
                    let took = ms(value).saturating_sub(self.submitted_ms);
                    let left = took * self.slices.saturating_sub(self.done) / self.done;
                    let left = text::duration(Duration::from_millis(left));
                    self.say(format!("{}/{} slices, {left} left", self.done, self.slices));
                }
            }
            "cheat_caught" => self.on_caught(value),
            "false_accusation" => self.false_accusations += 1,
            "job_done" => self.done_ms = ms(value),
            _ => {}
        }
    }

    fn on_caught(&mut self, value: &Value) {
        let (who, by) = (self.named(&value["worker"]), &value["by"]);
        let how = match (value["reason"].as_str().unwrap_or_default(), by.is_null()) {
            ("no_opening", _) => "withheld its opening".to_owned(),
            (_, false) => format!("refuted by {}, which recomputed a tile", self.named(by)),
            (other, true) => other.replace('_', " "),
        };
        let line = format!("caught     {who} in slice {}: {how}", value["slice"]);
        let entry = json!({ "peer": who, "slice": value["slice"], "how": how });
        // It may have had several slices under audit; the first one excludes it.
        let fresh = self
            .actor(&value["worker"])
            .is_some_and(|actor| actor.caught.replace(how).is_none());
        if fresh {
            self.say(line);
            self.caught.push(entry);
        }
    }

    fn start_bar(&mut self) {
        if !self.console.terminal || self.console.quiet {
            return;
        }
        let bar =
            ProgressBar::with_draw_target(Some(self.slices), ProgressDrawTarget::stderr_with_hz(8));
        let template =
            "{bar:32.cyan/blue} {pos}/{len} slices, {elapsed} gone, {eta} left\n{wide_msg}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("━╸─"));
        }
        bar.enable_steady_tick(Duration::from_millis(250));
        self.bar = Some(bar);
    }

    fn tell(&self, line: &str) {
        if let Some(bar) = &self.bar {
            bar.set_message(line.to_owned());
        }
    }

    /// Takes the bar away.
    pub(super) fn finish(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }

    /// Seconds from submission to the last slice.
    pub(super) fn job_s(&self) -> f64 {
        self.done_ms.saturating_sub(self.submitted_ms) as f64 / 1000.0
    }

    /// Honest peers that were blamed, by a verdict or by a false accusation that was believed.
    fn wronged(&self) -> usize {
        self.actors
            .iter()
            .filter(|a| !a.lies && a.caught.is_some())
            .count()
    }

    /// The summary, and how the demo ends.
    pub(super) fn conclude(&self, numbers: Value, equal: bool, cheats: usize) -> Exit {
        let caught = self
            .actors
            .iter()
            .filter(|a| a.lies && a.caught.is_some())
            .count();
        let total = |f: fn(&Actor) -> u64| self.actors.iter().map(f).sum::<u64>();
        let audit_share = total(|a| a.audit_us) as f64 / total(|a| a.work_us).max(1) as f64;
        let false_accusations = self.false_accusations + self.wronged();
        let mut all = numbers;
        all["slices"] = json!(self.slices);
        all["first_slice_ms"] = json!(self.first_slice_ms);
        all["cheats_caught"] = json!(caught);
        all["cheats"] = json!(self.caught);
        all["false_accusations"] = json!(false_accusations);
        all["audit_share"] = json!(audit_share);
        all["equal"] = json!(equal);
        if self.console.json {
            self.console.json(&all);
        } else {
            self.table(&all, equal);
        }
        let sound = all["receipts_invalid"] == 0 && all["receipts"] != 0;
        if !equal {
            Exit::JobFailed
        } else if caught < cheats || false_accusations > 0 || !sound {
            Exit::Error
        } else {
            Exit::Ok
        }
    }

    fn table(&self, all: &Value, equal: bool) {
        let say = |line: String| self.console.data(line);
        for actor in self
            .actors
            .iter()
            .filter(|a| !matches!(a.name.as_str(), "alone" | "requester"))
        {
            let caught = actor
                .caught
                .as_ref()
                .map_or(String::new(), |how| format!(", caught: {how}"));
            let (slices, audits) = (
                text::count(actor.slices as usize, "slice"),
                text::count(actor.audits as usize, "audit"),
            );
            say(format!(
                "{:<10} {slices:>9}, {audits:>10}   {}{caught}",
                actor.name, actor.device
            ));
        }
        let seconds = |field: &str| all[field].as_f64().unwrap_or(0.0);
        say(format!(
            "time       {:.1} s in the swarm, {:.1} s alone; first slice after {} ms; audits {:.1} % of the work",
            seconds("wall_s"),
            seconds("local_s"),
            all["first_slice_ms"],
            100.0 * seconds("audit_share"),
        ));
        say(format!(
            "receipts   {} valid, {} invalid",
            all["receipts"], all["receipts_invalid"]
        ));
        let same = if equal {
            "equal, byte for byte, to the local run"
        } else {
            "NOT equal to the local run"
        };
        say(format!(
            "picture    {} ({same})",
            all["output"].as_str().unwrap_or_default()
        ));
    }
}
