//! What `starling top` shows, drawn from what the peer said last.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::text::Line;
use ratatui::widgets::{Block, Paragraph, Row, Sparkline, Table};

use super::super::text;
use crate::api::client::Client;
use crate::api::lending::{LendView, WorkView};
use crate::api::types::{JobLine, PeerInfo, Status};
use crate::lend::Sample;
use crate::reason::Reason;

/// Smaller terminals show nothing of use.
const LEAST: (u16, u16) = (60, 16);

/// The peer at one time.
#[derive(Clone, Debug)]
pub(super) struct Snapshot {
    pub(super) status: Status,
    pub(super) lend: LendView,
    pub(super) work: WorkView,
    pub(super) samples: Vec<Sample>,
    pub(super) jobs: Vec<JobLine>,
    pub(super) peers: Vec<PeerInfo>,
    /// Why it could not be asked since.
    pub(super) lost: Option<Reason>,
}

impl Snapshot {
    /// Asks for everything.
    pub(super) async fn ask(client: &Client) -> Result<Self, Reason> {
        Ok(Self {
            status: client.status().await?,
            lend: client.lend().await?,
            work: client.work().await?,
            samples: client.sensors().await?.samples,
            jobs: client.jobs().await?.jobs,
            peers: client.peers().await?.peers,
            lost: None,
        })
    }
}

/// Draws it.
pub(super) fn draw(frame: &mut Frame<'_>, shown: &Snapshot) {
    let area = frame.area();
    if area.width < LEAST.0 || area.height < LEAST.1 {
        let (width, height) = LEAST;
        let text = format!("make the terminal larger: {width} x {height} at least");
        return frame.render_widget(Paragraph::new(text), area);
    }
    let [head, middle, jobs, peers, foot] = Layout::vertical([
        Constraint::Length(4),
        Constraint::Length(5),
        Constraint::Fill(1),
        Constraint::Fill(1),
        Constraint::Length(1),
    ])
    .areas(area);
    let [device, work] =
        Layout::horizontal([Constraint::Percentage(50), Constraint::Percentage(50)]).areas(middle);
    frame.render_widget(heading(shown), head);
    draw_device(frame, device, shown);
    frame.render_widget(working(shown), work);
    frame.render_widget(job_table(&shown.jobs), jobs);
    frame.render_widget(peer_table(&shown.peers), peers);
    frame.render_widget(footing(shown), foot);
}

fn bold(text: impl Into<String>) -> Line<'static> {
    Line::from(text.into()).style(Style::new().add_modifier(Modifier::BOLD))
}

fn heading(shown: &Snapshot) -> Paragraph<'static> {
    let status = &shown.status;
    let lending = match &shown.lend.reason {
        None => "lending".to_owned(),
        Some(reason) => format!("not lending: {}", reason.what),
    };
    let others = text::count(status.peers, "other peer");
    Paragraph::new(vec![
        bold(lending),
        Line::from(format!(
            "{}, {others} in swarm {:?}",
            status.device, status.swarm_name
        )),
    ])
    .block(Block::bordered().title(format!(" starling {} ", short(&status.peer.to_string()))))
}

fn short(key: &str) -> &str {
    key.get(..8).unwrap_or(key)
}

/// The load that there is a sensor for, as a line, with the other readings above it.
fn draw_device(frame: &mut Frame<'_>, area: Rect, shown: &Snapshot) {
    let last = shown.samples.last().map(|s| s.gauges).unwrap_or_default();
    let loads = shown
        .samples
        .iter()
        .map(|s| s.gauges.gpu_pct.or(s.gauges.cpu_pct));
    let loads: Vec<u64> = loads.map(|pct| pct.unwrap_or(0).into()).collect();
    let mut title = vec![match (last.gpu_pct, last.cpu_pct) {
        (Some(pct), _) => format!("GPU {pct} %"),
        (None, Some(pct)) => format!("CPU {pct} %"),
        (None, None) => "no sensor for the load".into(),
    }];
    title.extend(last.temperature_c.map(|t| format!("{t} \u{b0}C")));
    title.extend(last.watts.map(|w| format!("{w:.0} W")));
    if let (Some(used), Some(all)) = (last.memory_mib, last.memory_total_mib) {
        title.push(format!("{used} of {all} MiB"));
    }
    let block = Block::bordered().title(format!(" {} ", title.join(", ")));
    let width = usize::from(area.width.saturating_sub(2));
    let latest = &loads[loads.len().saturating_sub(width)..];
    let line = Sparkline::default().data(latest).max(100).block(block);
    frame.render_widget(line, area);
}

fn working(shown: &Snapshot) -> Paragraph<'static> {
    let work = &shown.work;
    let today = format!(
        "today {} with a receipt, {}",
        text::count(work.today.slices as usize, "slice"),
        text::count(work.today.tiles as usize, "tile")
    );
    let audits = format!(
        "audited {} since the start",
        text::count(work.usage.audit_tiles as usize, "tile")
    );
    let running = match work.running.as_slice() {
        [] => "computing nothing for others".to_owned(),
        [one] => format!(
            "computing slice {} of {}",
            one.slice,
            short(&one.job.to_string())
        ),
        all => format!("computing {}", text::count(all.len(), "slice")),
    };
    Paragraph::new(vec![
        Line::from(running),
        Line::from(today),
        Line::from(audits),
    ])
    .block(Block::bordered().title(" for others "))
}

fn job_table(jobs: &[JobLine]) -> Table<'static> {
    let rows = jobs.iter().take(64).map(|job| {
        let state = serde_json::json!(job.state);
        Row::new([
            short(&job.job).to_owned(),
            job.kernel.clone(),
            state.as_str().unwrap_or_default().to_owned(),
            format!("{} of {}", job.done, job.slices),
            format!("{:.0} s", job.wall_s),
        ])
    });
    let widths = [
        Constraint::Length(10),
        Constraint::Length(10),
        Constraint::Length(12),
        Constraint::Length(14),
        Constraint::Fill(1),
    ];
    Table::new(rows, widths)
        .header(Row::new(["job", "kernel", "state", "slices", "time"]))
        .block(Block::bordered().title(" own jobs "))
}

fn peer_table(peers: &[PeerInfo]) -> Table<'static> {
    let rows = peers.iter().take(256).map(|peer| {
        let advert = &peer.advert;
        let device = advert.devices.first();
        let speeds = advert.kernels.iter();
        let speeds = speeds.map(|k| format!("{} {}/s", k.class, text::si(k.units_per_s as f64)));
        Row::new([
            advert.peer.short().to_string(),
            device.map(|d| d.name.to_string()).unwrap_or_default(),
            if advert.free_slots > 0 { "lends" } else { "" }.to_owned(),
            speeds.collect::<Vec<_>>().join(", "),
        ])
    });
    let widths = [
        Constraint::Length(10),
        Constraint::Length(28),
        Constraint::Length(7),
        Constraint::Fill(1),
    ];
    Table::new(rows, widths)
        .header(Row::new(["peer", "device", "", "claims"]))
        .block(Block::bordered().title(" peers "))
}

fn footing(shown: &Snapshot) -> Line<'static> {
    match &shown.lost {
        Some(reason) => bold(format!("{}; trying again", reason.what)),
        None if shown.lend.switch == "on" => Line::from("p pause for an hour   q leave"),
        None => Line::from("p lend again   q leave"),
    }
}

#[cfg(test)]
mod tests {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;
    use serde_json::{Value, json};

    use super::*;
    use crate::jobs::JobState;

    fn key(digit: &str) -> String {
        digit.repeat(64)
    }

    fn snapshot(lend: Value) -> Snapshot {
        let mut view = json!({
            "schema": 1, "lends": true, "switch": "on", "paused_until_s": null, "reason": null, "against": [],
            "since_s": 0, "rules": [],
            "readings": { "idle_s": null, "full_screen": null, "apps": null, "foreign_gpu_pct": null,
                "on_battery": null, "temperature_c": null },
        });
        let fields = lend.as_object().cloned().unwrap_or_default();
        fields
            .into_iter()
            .for_each(|(name, value)| view[name] = value);
        let status = json!({
            "schema": 1, "pid": 1, "version": "0.1.0", "peer": key("a"), "swarm": key("b"), "swarm_name": "lab",
            "lends": true, "device": "A card", "note": null, "peers": 3, "requester": null, "blob_bytes": 0,
        });
        let work = json!({
            "schema": 1, "today": { "slices": 2, "tiles": 2048, "units": 9, "joules": null },
            "running": [{ "job": key("c"), "slice": 7, "since_s": 0 }],
            "usage": { "work_us": 0, "audit_us": 0, "own_us": 0, "work_tiles": 0, "audit_tiles": 31, "probe_us": 0,
                "probe_tiles": 0, "lost": 0 },
        });
        let sample = json!({
            "at_s": 0, "lends": true, "gpu_pct": 63, "temperature_c": 61, "watts": 120.0, "memory_mib": 900,
            "memory_total_mib": 8192, "cpu_pct": 9,
        });
        let of = |value: Value| serde_json::from_value(value).expect("as the API has it");
        Snapshot {
            status: serde_json::from_value(status).expect("a status"),
            lend: serde_json::from_value(view).expect("a view"),
            work: serde_json::from_value(work).expect("work"),
            samples: vec![of(sample)],
            jobs: vec![JobLine {
                job: key("d"),
                kernel: "render".into(),
                state: JobState::Running,
                started_s: 0,
                wall_s: 12.0,
                done: 3,
                slices: 8,
                receipts: 3,
                collected: false,
            }],
            peers: Vec::new(),
            lost: None,
        }
    }

    fn drawn(shown: &Snapshot, width: u16, height: u16) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a terminal");
        terminal.draw(|frame| draw(frame, shown)).expect("drawn");
        terminal.backend().to_string()
    }

    #[test]
    fn it_shows_what_the_peer_does() {
        let screen = drawn(&snapshot(json!({})), 100, 30);
        for text in [
            "starling aaaaaaaa",
            "lending",
            "A card, 3 other peers in swarm \"lab\"",
            "GPU 63 %, 61 \u{b0}C, 120 W, 900 of 8192 MiB",
            "computing slice 7 of cccccccc",
            "today 2 slices with a receipt, 2048 tiles",
            "dddddddd",
            "3 of 8",
            "p pause",
        ] {
            assert!(screen.contains(text), "{text:?} is not in\n{screen}");
        }
    }

    #[test]
    fn it_says_why_it_does_not_lend_and_that_the_peer_is_gone() {
        let reason = json!({ "code": "on_battery", "what": "the machine runs on battery" });
        let mut shown = snapshot(json!({ "lends": false, "switch": "paused", "reason": reason }));
        let screen = drawn(&shown, 100, 30);
        assert!(
            screen.contains("not lending: the machine runs on battery"),
            "{screen}"
        );
        assert!(screen.contains("p lend again"), "{screen}");
        shown.lost = Some(Reason::of("no_daemon", "no peer runs in this home"));
        let screen = drawn(&shown, 100, 30);
        assert!(
            screen.contains("no peer runs in this home; trying again"),
            "{screen}"
        );
    }

    #[test]
    fn a_terminal_that_is_too_small_is_told_how_large_it_has_to_be() {
        for (width, height) in [(59, 40), (200, 15), (10, 2)] {
            let screen = drawn(&snapshot(json!({})), width, height);
            assert!(!screen.contains("own jobs"), "{screen}");
        }
        let screen = drawn(&snapshot(json!({})), 59, 40);
        assert!(screen.contains("60 x 16 at least"), "{screen}");
    }
}
