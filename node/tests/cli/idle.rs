//! Who is at the machine, as desktops say it on D-Bus: a real bus, and somebody on it who says what GNOME and the login
//! manager would.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::runtime::Runtime;
use zbus::connection::Builder;
use zbus::{Connection, interface};

use crate::lending::is_lending;
use crate::support::{Place, Process};

/// A bus of this test's own.
struct Bus {
    daemon: Child,
    address: String,
}

impl Bus {
    /// None where there is no `dbus-daemon`, and the tests are to go on without.
    fn start(place: &Place) -> Option<Self> {
        let listen = format!("--address=unix:path={}", place.text("bus"));
        let daemon = Command::new("dbus-daemon")
            .args(["--session", "--nofork", "--print-address=1", &listen])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let mut daemon = match daemon {
            Ok(daemon) => daemon,
            Err(error) => {
                let skip = std::env::var("STARLING_BUS_TESTS").is_ok_and(|v| v == "skip");
                assert!(
                    skip,
                    "dbus-daemon: {error}; scripts/setup --tests installs it, STARLING_BUS_TESTS=skip goes on without"
                );
                eprintln!("!! SKIPPED: no dbus-daemon, so nobody says who is at the machine");
                return None;
            }
        };
        let mut address = String::new();
        let mut said = BufReader::new(daemon.stdout.take().unwrap());
        said.read_line(&mut address).unwrap();
        let address = address.trim().to_owned();
        Some(Self { daemon, address })
    }

    fn serve(
        &self,
        path: &str,
        name: &str,
        speaker: impl zbus::object_server::Interface,
    ) -> Served {
        let runtime = Runtime::new().unwrap();
        let connection = runtime.block_on(async {
            let builder = Builder::address(self.address.as_str()).name(name);
            builder.serve_at(path, speaker).build().await.unwrap()
        });
        Served {
            _connection: connection,
            _runtime: runtime,
        }
    }
}

impl Drop for Bus {
    fn drop(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

/// Somebody who answers until it is dropped.
struct Served {
    _connection: Connection,
    _runtime: Runtime,
}

struct Gnome(Arc<AtomicU64>);

#[interface(name = "org.gnome.Mutter.IdleMonitor")]
impl Gnome {
    fn get_idletime(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

struct Session(Arc<AtomicU64>);

#[interface(name = "org.freedesktop.login1.Session")]
impl Session {
    #[zbus(property)]
    fn idle_hint(&self) -> bool {
        self.0.load(Ordering::Relaxed) > 0
    }

    /// When that was last said, microseconds since 1970.
    #[zbus(property)]
    fn idle_since_hint(&self) -> u64 {
        let idle_s = self.0.load(Ordering::Relaxed);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        (now.as_micros() as u64) - idle_s * 1_000_000
    }
}

/// A peer that lends after a minute without anybody, on this bus and without an X server.
fn up(place: &Place, bus: &Bus) -> Process {
    place
        .run("a", &["lend", "limits", "--idle", "60s"])
        .expect(0);
    let mut command = place.command("a", &["up", "--events", "--device", "cpu"]);
    command
        .env("DBUS_SESSION_BUS_ADDRESS", &bus.address)
        .env("DBUS_SYSTEM_BUS_ADDRESS", &bus.address)
        .env_remove("DISPLAY");
    Process::start(command)
}

#[test]
fn a_desktop_says_when_somebody_is_there() {
    let place = Place::new();
    let Some(bus) = Bus::start(&place) else {
        return;
    };
    let idle_ms = Arc::new(AtomicU64::new(3_000));
    let (path, name) = (
        "/org/gnome/Mutter/IdleMonitor/Core",
        "org.gnome.Mutter.IdleMonitor",
    );
    let _gnome = bus.serve(path, name, Gnome(idle_ms.clone()));
    let mut up = up(&place, &bus);
    let busy = up.until(|e| is_lending(e, false));
    assert_eq!(busy["why"]["code"], "machine_in_use");
    assert_eq!(busy["why"]["params"]["idle_s"], 3);
    idle_ms.store(61_000, Ordering::Relaxed);
    up.until(|e| is_lending(e, true));
    idle_ms.store(0, Ordering::Relaxed);
    up.until(|e| is_lending(e, false));
}

#[test]
fn the_login_manager_says_what_a_desktop_told_it() {
    let place = Place::new();
    let Some(bus) = Bus::start(&place) else {
        return;
    };
    let idle_s = Arc::new(AtomicU64::new(0));
    let (path, name) = (
        "/org/freedesktop/login1/session/auto",
        "org.freedesktop.login1",
    );
    let _logind = bus.serve(path, name, Session(idle_s.clone()));
    let mut up = up(&place, &bus);
    let busy = up.until(|e| is_lending(e, false));
    assert_eq!(busy["why"]["params"]["idle_s"], 0);
    idle_s.store(300, Ordering::Relaxed);
    up.until(|e| is_lending(e, true));
    let view = place.run("a", &["lend", "--json"]).expect(0).json();
    assert!(view["readings"]["idle_s"].as_u64().unwrap() >= 300);
}

#[test]
fn where_nobody_knows_the_rule_forbids_nothing() {
    let place = Place::new();
    let Some(bus) = Bus::start(&place) else {
        return;
    };
    let mut up = up(&place, &bus);
    up.until(|e| is_lending(e, true));
    let view = place.run("a", &["lend", "--json"]).expect(0).json();
    let idle = view["rules"]
        .as_array()
        .unwrap()
        .iter()
        .find(|r| r["key"] == "lend.idle_s");
    assert_eq!(idle.unwrap()["now"], "unknown");
}
