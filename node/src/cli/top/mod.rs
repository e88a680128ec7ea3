//! `starling top`: the running peer at a glance, in a terminal.
//!
//! It asks the local API once a second and draws what it heard; `view` draws. Invariant: the terminal is as it was
//! before, however the command ends.

mod view;

use std::time::Duration;

use clap::Args;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use ratatui::{DefaultTerminal, Frame};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

use super::Context;
use super::exit::{Exit, Failure, Outcome};
use super::interrupt::Interrupt;
use crate::api::client::Client;
use crate::api::lending::{LendOrder, SwitchWord};
use crate::reason::Reason;
use view::{Snapshot, draw};

/// Between two looks at the peer.
const LOOK: Duration = Duration::from_secs(1);
/// How long a pause of one key press lasts, seconds.
const PAUSE_S: u64 = 3_600;

/// Watch the running peer: lending, device, slices, jobs and peers.
///
/// Keys: p pauses lending for an hour or goes on, q leaves.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  starling top
  starling top --home /tmp/second")]
pub struct Top {}

impl Top {
    pub(super) async fn run(self, context: &Context, interrupt: Interrupt) -> Outcome {
        if !std::io::IsTerminal::is_terminal(&std::io::stdout()) {
            let fix = "use `starling lend --json` or `starling peers --json` in scripts";
            return Err(Failure::new(Exit::Usage, "stdout is no terminal", fix));
        }
        let place = context.place()?;
        let client = Client::connect(&place.root).await?;
        let mut shown = Snapshot::ask(&client).await?;
        let mut terminal = ratatui::try_init().map_err(Failure::of)?;
        let outcome = watch(&mut terminal, &client, &mut shown, &interrupt).await;
        // A terminal that is gone needs no restoring.
        let _ = ratatui::try_restore();
        outcome
    }
}

async fn watch(
    terminal: &mut DefaultTerminal,
    client: &Client,
    shown: &mut Snapshot,
    interrupt: &Interrupt,
) -> Outcome {
    let mut keys = keys();
    let mut looks = interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let paint = |frame: &mut Frame<'_>| draw(frame, shown);
        terminal.draw(paint).map_err(Failure::of)?;
        tokio::select! {
            _ = looks.tick() => match Snapshot::ask(client).await {
                Ok(new) => *shown = new,
                Err(reason) => shown.lost = Some(reason),
            },
            key = keys.recv() => match key {
                Some(Key::Leave) | None => return Ok(Exit::Ok),
                Some(Key::Pause) => shown.lost = toggle(client, shown).await.err(),
                Some(Key::Redraw) => {}
            },
            _ = interrupt.signalled() => return Ok(Exit::Interrupted),
        }
    }
}

/// Pauses, or goes on.
async fn toggle(client: &Client, shown: &mut Snapshot) -> Result<(), Reason> {
    let order = match shown.lend.switch.as_str() {
        "on" => LendOrder {
            switch: SwitchWord::Pause,
            for_s: Some(PAUSE_S),
        },
        _ => LendOrder {
            switch: SwitchWord::On,
            for_s: None,
        },
    };
    shown.lend = client.set_lend(&order).await?;
    Ok(())
}

enum Key {
    Leave,
    Pause,
    /// The terminal has another size.
    Redraw,
}

/// Key presses. A thread of its own, because a read cannot be given up.
fn keys() -> mpsc::Receiver<Key> {
    let (pressed, keys) = mpsc::channel(8);
    std::thread::spawn(move || {
        while let Ok(event) = event::read() {
            let key = match event {
                Event::Key(key) if key.kind == KeyEventKind::Release => continue,
                Event::Key(key) => {
                    let control = key.modifiers.contains(KeyModifiers::CONTROL);
                    match key.code {
                        KeyCode::Char('q') | KeyCode::Esc => Key::Leave,
                        // In raw mode the terminal sends no signal.
                        KeyCode::Char('c') if control => Key::Leave,
                        KeyCode::Char('p') => Key::Pause,
                        _ => continue,
                    }
                }
                Event::Resize(..) => Key::Redraw,
                _ => continue,
            };
            if pressed.blocking_send(key).is_err() {
                return;
            }
        }
    });
    keys
}
