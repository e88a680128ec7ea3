//! Whether somebody is at the machine: when a key was last pressed, and whether a window fills the screen.
//!
//! An X server tells both. Wayland tells neither to programs without a window: there D-Bus may know of keys, and programs
//! that fill the screen have to be listed, unless they are X's.

use super::bus::Buses;

/// The display that this session has.
#[derive(Default)]
pub(super) struct Screen {
    x11: x11::Display,
    buses: Buses,
}

impl Screen {
    pub(super) fn idle_s(&mut self) -> Option<u32> {
        let told = self.buses.mutter_idle_s().or_else(|| self.x11_idle_s());
        told.or_else(|| self.buses.logind_idle_s())
    }

    /// Under Wayland an X server sees only what goes to X's windows.
    fn x11_idle_s(&mut self) -> Option<u32> {
        let wayland = std::env::var_os("WAYLAND_DISPLAY").is_some();
        (!wayland).then(|| self.x11.ask(x11::idle_s)).flatten()
    }

    pub(super) fn is_full(&mut self) -> Option<bool> {
        self.x11.ask(x11::is_full)
    }
}

mod x11 {
    use std::time::{Duration, Instant};

    use x11rb::connection::Connection as _;
    use x11rb::errors::ReplyError;
    use x11rb::protocol::screensaver::ConnectionExt as _;
    use x11rb::protocol::xproto::{Atom, AtomEnum, ConnectionExt as _};
    use x11rb::rust_connection::RustConnection;

    /// Before the next attempt to reach a display that did not answer.
    const AGAIN: Duration = Duration::from_secs(60);
    /// Atoms of a window's state that are looked at.
    const STATES: u32 = 32;

    type Answer<T> = Result<Option<T>, ReplyError>;

    #[derive(Default)]
    pub(super) struct Display {
        open: Option<(RustConnection, u32)>,
        tried: Option<Instant>,
    }

    impl Display {
        pub(super) fn ask<T>(&mut self, what: fn(&RustConnection, u32) -> Answer<T>) -> Option<T> {
            if self.open.is_none() && self.tried.is_none_or(|at| at.elapsed() > AGAIN) {
                self.tried = Some(Instant::now());
                std::env::var_os("DISPLAY")?;
                self.open = connect();
            }
            let (connection, root) = self.open.as_ref()?;
            match what(connection, *root) {
                Ok(answer) => answer,
                Err(error) => {
                    tracing::debug!(%error, "the X server does not answer");
                    self.open = None;
                    None
                }
            }
        }
    }

    fn connect() -> Option<(RustConnection, u32)> {
        let (connection, screen) = RustConnection::connect(None).ok()?;
        let root = connection.setup().roots.get(screen)?.root;
        Some((connection, root))
    }

    pub(super) fn idle_s(connection: &RustConnection, root: u32) -> Answer<u32> {
        let info = connection.screensaver_query_info(root)?.reply()?;
        Ok(Some(info.ms_since_user_input / 1000))
    }

    /// Whether the window that has the keyboard says so, as window managers have agreed on.
    pub(super) fn is_full(connection: &RustConnection, root: u32) -> Answer<bool> {
        let atom = |name: &[u8]| -> Result<Atom, ReplyError> {
            Ok(connection.intern_atom(false, name)?.reply()?.atom)
        };
        let property = |window, name, most| -> Result<Vec<u32>, ReplyError> {
            let asked = connection.get_property(false, window, name, AtomEnum::ANY, 0, most)?;
            let values = asked.reply()?;
            Ok(values.value32().map(Iterator::collect).unwrap_or_default())
        };
        let active = property(root, atom(b"_NET_ACTIVE_WINDOW")?, 1)?;
        let Some(window) = active.first().copied().filter(|w| *w != 0) else {
            return Ok(Some(false));
        };
        let full = atom(b"_NET_WM_STATE_FULLSCREEN")?;
        let states = property(window, atom(b"_NET_WM_STATE")?, STATES);
        match states {
            Ok(states) => Ok(Some(states.contains(&full))),
            // It was closed meanwhile.
            Err(ReplyError::X11Error(_)) => Ok(Some(false)),
            Err(error) => Err(error),
        }
    }
}
