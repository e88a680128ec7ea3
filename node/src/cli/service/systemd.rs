//! The service as a systemd user unit: `~/.config/systemd/user/starling.service`.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use etcetera::BaseStrategy as _;

use super::{Plan, State, changed, moved, tool, unit};
use crate::home::HomeError;
use crate::home::disk::{self, DiskError};
use crate::reason::Reason;

/// The unit's name.
const UNIT: &str = "starling.service";
/// Longest unit that is read, in bytes.
const UNIT_MAX: u64 = 64 << 10;
const CTL: &str = "systemctl";
/// Where to look afterwards.
pub const MESSAGES: &str = "see what it says with: journalctl --user -u starling";
/// What a person does after a unit was only written.
pub const START: &str =
    "start it with: systemctl --user daemon-reload; systemctl --user enable --now starling";

/// Writes the unit and, if it is to start, hands it to the manager; undoes it if that fails.
pub fn install(plan: &Plan, start: bool, force: bool) -> Result<(), Reason> {
    let path = unit_file()?;
    let old = read(&path)?;
    if old.as_ref().is_some_and(|old| !unit::ours(old)) && !force {
        return Err(changed(&path.display().to_string()));
    }
    if start {
        answers()?;
    }
    let new = unit::text(plan, unit::set_uid_driver());
    disk::create_private_dir(disk::folder_of(&path))?;
    disk::write_atomically(&path, new.as_bytes())?;
    if !start {
        return Ok(());
    }
    let handed = hand_over(old.as_ref().is_some_and(|old| *old != new));
    if handed.is_err() {
        // What went wrong is what is told; taking back is tried as far as it goes.
        let _ = match &old {
            Some(old) => disk::write_atomically(&path, old.as_bytes()),
            None => {
                let _ = tool::run(CTL, &["--user", "disable", "--now", UNIT]);
                remove(&path)
            }
        };
        let _ = tool::run(CTL, &["--user", "daemon-reload"]);
    }
    handed
}

fn hand_over(is_another: bool) -> Result<(), Reason> {
    tool::must(CTL, &["--user", "daemon-reload"])?;
    tool::must(CTL, &["--user", "enable", "--now", UNIT])?;
    if is_another {
        // One that ran before goes on with the old command until it is told.
        tool::must(CTL, &["--user", "restart", UNIT])?;
    }
    Ok(())
}

/// Stops, disables and removes it; false if there is none.
pub fn uninstall(force: bool) -> Result<bool, Reason> {
    let path = unit_file()?;
    let Some(old) = read(&path)? else {
        return Ok(false);
    };
    if !unit::ours(&old) && !force {
        return Err(changed(&path.display().to_string()));
    }
    match answers() {
        Ok(()) => {
            tool::must(CTL, &["--user", "disable", "--now", UNIT])?;
            remove(&path)?;
            tool::must(CTL, &["--user", "daemon-reload"])?;
            // A failed start would be remembered under the name; that it is not is no fault.
            let _ = tool::run(CTL, &["--user", "reset-failed", UNIT]);
        }
        // One that was only ever written runs nowhere.
        Err(_) if !wanted(&path) => remove(&path)?,
        Err(reason) => return Err(reason),
    }
    Ok(true)
}

/// What stands there, and what the manager says of it.
pub fn state() -> Result<State, Reason> {
    let path = unit_file()?;
    let mut state = State {
        path: path.display().to_string(),
        ..State::default()
    };
    let Some(text) = read(&path)? else {
        state.enabled = Some(false);
        state.running = Some(false);
        return Ok(state);
    };
    state.installed = true;
    state.changed = !unit::ours(&text);
    let words = unit::words(&text);
    state.program = words.first().cloned();
    state.program_moved = words.first().is_some_and(|program| moved(program));
    state.home = unit::after(&words, "--home").map(str::to_owned);
    state.enabled = Some(wanted(&path));
    if let Err(reason) = answers() {
        state.reason = Some(reason);
        return Ok(state);
    }
    let what = "--property=ActiveState,UnitFileState,ActiveEnterTimestampMonotonic,\
                InactiveEnterTimestampMonotonic,ExecMainCode,ExecMainStatus";
    let said = tool::must(CTL, &["--user", "show", UNIT, what])?;
    let of = |name: &str| {
        let mut values = said.lines().filter_map(|l| l.split_once('='));
        values.find(|(key, _)| *key == name).map(|(_, value)| value)
    };
    state.enabled = Some(of("UnitFileState").is_some_and(|s| s.starts_with("enabled")));
    let active = of("ActiveState") == Some("active");
    state.running = Some(active);
    let edge = match active {
        true => "ActiveEnterTimestampMonotonic",
        false => "InactiveEnterTimestampMonotonic",
    };
    state.since_s = of(edge).and_then(|us| unix_of(us.parse().ok()?));
    // CLD_EXITED: by itself, and not by a signal.
    let exited = !active && of("ExecMainCode") == Some("1");
    state.exit = of("ExecMainStatus")
        .filter(|_| exited)
        .and_then(|code| code.parse().ok());
    state.lingers = lingers();
    Ok(state)
}

/// Unix time of a moment that is given in µs since the machine started; none for 0, which is never.
fn unix_of(monotonic_us: u64) -> Option<u64> {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let now_s = u64::try_from(now.tv_sec).ok()?;
    let ago = now_s.checked_sub(monotonic_us / 1_000_000)?;
    let unix = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
    (monotonic_us > 0).then(|| unix.as_secs().saturating_sub(ago))
}

/// Whether the user's services run without a login.
fn lingers() -> Option<bool> {
    // Without a name it is the caller's session that is shown, and over SSH or in a service there may be none.
    let user = rustix::process::getuid().as_raw().to_string();
    let said = tool::run("loginctl", &["show-user", &user, "--property=Linger"])?;
    match said.stdout.strip_prefix("Linger=")? {
        "yes" => Some(true),
        "no" => Some(false),
        _ => None,
    }
}

/// Whether there is a manager of this user's services.
fn answers() -> Result<(), Reason> {
    let said = tool::run(CTL, &["--user", "show", "--property=Version"]);
    let said = said.ok_or_else(|| tool::absent(CTL))?;
    if said.ok {
        return Ok(());
    }
    let what = format!("systemd has no manager for this user here: {}", said.stderr);
    let fix = "log in as this user, rather than by `su` or `sudo` (or `loginctl enable-linger USER` first); \
               without systemd, have whatever starts programs here run `starling up --quiet`";
    Err(Reason::new("no_service_manager", what, fix))
}

fn unit_file() -> Result<PathBuf, Reason> {
    let strategy = etcetera::choose_base_strategy().map_err(|_| HomeError::Nowhere)?;
    Ok(strategy.config_dir().join("systemd/user").join(UNIT))
}

/// Whether the unit is started with the user's session, as the file system says it.
fn wanted(path: &Path) -> bool {
    let folder = disk::folder_of(path).join("default.target.wants");
    folder.join(UNIT).symlink_metadata().is_ok()
}

/// The text of a unit; that of something unreadable, which nobody here has written, is empty.
fn read(path: &Path) -> Result<Option<String>, Reason> {
    match path.symlink_metadata() {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(DiskError::new("read", path, e).into()),
        // A link is how a unit is masked, or kept elsewhere.
        Ok(about) if !about.is_file() || about.len() > UNIT_MAX => Ok(Some(String::new())),
        Ok(_) => {
            let bytes = std::fs::read(path).map_err(DiskError::on("read", path))?;
            Ok(Some(String::from_utf8(bytes).unwrap_or_default()))
        }
    }
}

fn remove(path: &Path) -> Result<(), DiskError> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            Err(DiskError::new("remove", path, e))
        }
        _ => Ok(()),
    }
}
