//! When somebody was last at the machine, by those on D-Bus who know: GNOME's compositor and the login manager.
//!
//! GNOME counts, under Wayland too. The login manager knows only what a desktop tells it once nobody has been there for a
//! while; what it was never told, it does not know.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;
use zbus::{Connection, DynamicType, Message, OwnedVariant};

use crate::driver::unix_s;

/// Before the next question to one that did not answer.
const AGAIN: Duration = Duration::from_secs(60);
/// For an answer.
const PATIENCE: Duration = Duration::from_millis(500);

/// Something on a bus that can be asked.
struct Asked {
    on: On,
    name: &'static str,
    path: &'static str,
    interface: &'static str,
    method: &'static str,
}

#[derive(Clone, Copy)]
enum On {
    Session,
    System,
}

const MUTTER: Asked = Asked {
    on: On::Session,
    name: "org.gnome.Mutter.IdleMonitor",
    path: "/org/gnome/Mutter/IdleMonitor/Core",
    interface: "org.gnome.Mutter.IdleMonitor",
    method: "GetIdletime",
};

/// "auto" is the caller's session, or the one that its user sees.
const LOGIND: Asked = Asked {
    on: On::System,
    name: "org.freedesktop.login1",
    path: "/org/freedesktop/login1/session/auto",
    interface: "org.freedesktop.DBus.Properties",
    method: "GetAll",
};

/// Both buses, as far as somebody there answers.
#[derive(Default)]
pub(super) struct Buses {
    /// Only while it is asked do its connections do anything.
    runtime: Option<Runtime>,
    mutter: Link,
    logind: Link,
}

#[derive(Default)]
struct Link {
    open: Option<Connection>,
    failed: Option<Instant>,
}

impl Buses {
    /// By GNOME's compositor.
    pub(super) fn mutter_idle_s(&mut self) -> Option<u32> {
        let answer = self.ask(&MUTTER, &())?;
        let idle_ms: u64 = answer.body().deserialize().ok()?;
        Some(seconds(idle_ms / 1000))
    }

    /// By the login manager.
    pub(super) fn logind_idle_s(&mut self) -> Option<u32> {
        let answer = self.ask(&LOGIND, &"org.freedesktop.login1.Session")?;
        let body = answer.body();
        let session: HashMap<String, OwnedVariant> = body.deserialize().ok()?;
        let is_idle = bool::try_from(session.get("IdleHint")?).ok()?;
        let since_us = u64::try_from(session.get("IdleSinceHint")?).ok()?;
        match (is_idle, since_us) {
            (_, 0) => None,
            (false, _) => Some(0),
            (true, since_us) => Some(seconds(unix_s().saturating_sub(since_us / 1_000_000))),
        }
    }

    fn ask<B>(&mut self, asked: &Asked, body: &B) -> Option<Message>
    where
        B: serde::Serialize + DynamicType,
    {
        let link = match asked.on {
            On::Session => &mut self.mutter,
            On::System => &mut self.logind,
        };
        if link.failed.is_some_and(|at| at.elapsed() < AGAIN) {
            return None;
        }
        if self.runtime.is_none() {
            self.runtime = Builder::new_current_thread().enable_all().build().ok();
        }
        let answer = self.runtime.as_ref()?.block_on(async {
            let answer = timeout(PATIENCE, link.ask(asked, body));
            answer.await.map_err(|_| "no answer in time".to_owned())?
        });
        match answer {
            Ok(answer) => Some(answer),
            Err(error) => {
                tracing::debug!(%error, name = asked.name, "nobody on D-Bus tells who is at the machine");
                *link = Link {
                    open: None,
                    failed: Some(Instant::now()),
                };
                None
            }
        }
    }
}

impl Link {
    async fn ask<B>(&mut self, asked: &Asked, body: &B) -> Result<Message, String>
    where
        B: serde::Serialize + DynamicType,
    {
        let open = match &self.open {
            Some(open) => open,
            None => {
                let open = match asked.on {
                    On::Session => Connection::session().await,
                    On::System => Connection::system().await,
                };
                self.open.insert(open.map_err(|e| e.to_string())?)
            }
        };
        let Asked {
            name,
            path,
            interface,
            method,
            ..
        } = *asked;
        let answer = open.call_method(Some(name), path, Some(interface), method, body);
        answer.await.map_err(|e| e.to_string())
    }
}

/// As many as fit.
fn seconds(s: u64) -> u32 {
    s.try_into().unwrap_or(u32::MAX)
}
