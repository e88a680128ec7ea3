//! Windows and macOS, as other people's libraries read them: type-checked, never run by this project.

use starship_battery::{Manager, State};
use user_idle2::UserIdle;

/// Whatever the user sees. Nothing tells whether an application fills it.
#[derive(Default)]
pub(super) struct Screen;

impl Screen {
    pub(super) fn idle_s(&mut self) -> Option<u32> {
        UserIdle::get_time().ok()?.as_seconds().try_into().ok()
    }

    pub(super) fn is_full(&mut self) -> Option<bool> {
        None
    }
}

/// The machine's batteries.
#[derive(Default)]
pub(super) struct Battery;

impl Battery {
    /// Whether one is being drained; nothing if there is none.
    pub(super) fn is_used(&self) -> Option<bool> {
        let batteries = Manager::new().ok()?.batteries().ok()?.flatten();
        let drained = batteries.map(|battery| battery.state() == State::Discharging);
        drained.reduce(|any, this| any || this)
    }
}
