//! The service as a LaunchAgent: `~/Library/LaunchAgents/dev.starling.plist`. Written from the manual: it has not been
//! tried on a Mac.

use std::path::PathBuf;

use super::{Plan, State, changed, moved, tool};
use crate::home::HomeError;
use crate::home::disk::{self, DiskError};
use crate::reason::Reason;

/// The agent's name.
const LABEL: &str = "dev.starling";
const CTL: &str = "launchctl";
/// Begins what this program has written.
const MARK: &str = "<!-- Written by `starling service install`; check ";
/// Where to look afterwards.
pub const MESSAGES: &str = "see whether it runs with: starling service status";
/// What a person does after an agent was only written.
pub const START: &str =
    "start it with: launchctl bootstrap gui/$UID ~/Library/LaunchAgents/dev.starling.plist";

/// Writes the agent and, if it is to start, hands it to launchd; undoes it if that fails.
pub fn install(plan: &Plan, start: bool, force: bool) -> Result<(), Reason> {
    let path = agent_file()?;
    let old = read(&path)?;
    if old.as_ref().is_some_and(|old| !ours(old)) && !force {
        return Err(changed(&path.display().to_string()));
    }
    disk::create_private_dir(disk::folder_of(&path))?;
    disk::write_atomically(&path, text(plan).as_bytes())?;
    if !start {
        return Ok(());
    }
    // One that is loaded keeps its old text.
    let _ = tool::run(CTL, &["bootout", &service()]);
    let file = path.display().to_string();
    let started = tool::must(CTL, &["bootstrap", &domain(), &file]);
    if started.is_err() {
        let _ = match &old {
            Some(old) => disk::write_atomically(&path, old.as_bytes()),
            None => std::fs::remove_file(&path).map_err(|e| DiskError::new("remove", &path, e)),
        };
    }
    started.map(drop)
}

/// Stops and removes it; false if there is none.
pub fn uninstall(force: bool) -> Result<bool, Reason> {
    let path = agent_file()?;
    let Some(old) = read(&path)? else {
        return Ok(false);
    };
    if !ours(&old) && !force {
        return Err(changed(&path.display().to_string()));
    }
    if tool::run(CTL, &["print", &service()]).is_some_and(|said| said.ok) {
        tool::must(CTL, &["bootout", &service()])?;
    }
    std::fs::remove_file(&path).map_err(DiskError::on("remove", &path))?;
    Ok(true)
}

/// What stands there, and what launchd says of it.
pub fn state() -> Result<State, Reason> {
    let path = agent_file()?;
    let text = read(&path)?;
    let said = tool::run(CTL, &["print", &service()]);
    let mut words = text.iter().flat_map(|text| words(text));
    let program = words.next();
    let rest: Vec<_> = words.collect();
    let home = rest.iter().position(|word| word == "--home");
    Ok(State {
        path: path.display().to_string(),
        installed: text.is_some(),
        changed: text.as_ref().is_some_and(|text| !ours(text)),
        enabled: said.as_ref().map(|said| said.ok),
        running: said.map(|said| said.stdout.contains("state = running")),
        program_moved: program.as_ref().is_some_and(|program| moved(program)),
        program,
        home: home.and_then(|at| rest.get(at + 1).cloned()),
        ..State::default()
    })
}

fn agent_file() -> Result<PathBuf, Reason> {
    let home = etcetera::home_dir().map_err(|_| HomeError::Nowhere)?;
    let folder = home.join("Library/LaunchAgents");
    Ok(folder.join(LABEL).with_added_extension("plist"))
}

fn domain() -> String {
    format!("gui/{}", rustix::process::getuid().as_raw())
}

fn service() -> String {
    format!("{}/{LABEL}", domain())
}

fn read(path: &std::path::Path) -> Result<Option<String>, Reason> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(DiskError::new("read", path, e).into()),
    }
}

fn text(plan: &Plan) -> String {
    let program = plan.program.display().to_string();
    let words = std::iter::once(&program).chain(&plan.args);
    let words: String = words
        .map(|word| format!("    <string>{}</string>\n", escaped(word)))
        .collect();
    let body = format!(
        "<!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" \"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">
<plist version=\"1.0\">
<dict>
  <key>Label</key><string>{LABEL}</string>
  <key>ProgramArguments</key>
  <array>
{words}  </array>
  <key>RunAtLoad</key><true/>
  <key>KeepAlive</key><dict><key>SuccessfulExit</key><false/></dict>
  <key>ThrottleInterval</key><integer>30</integer>
  <key>ExitTimeOut</key><integer>30</integer>
  <key>ProcessType</key><string>Background</string>
  <key>Umask</key><integer>63</integer>
</dict>
</plist>
"
    );
    let head = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>";
    format!("{head}\n{MARK}{} -->\n{body}", check(&body))
}

fn ours(text: &str) -> bool {
    let marked = text
        .split_once(MARK)
        .and_then(|(_, t)| t.split_once(" -->\n"));
    marked.is_some_and(|(given, body)| given == check(body))
}

fn check(body: &str) -> String {
    blake3::hash(body.as_bytes()).to_hex()[..16].to_owned()
}

fn escaped(word: &str) -> String {
    let word = word.replace('&', "&amp;").replace('<', "&lt;");
    word.replace('>', "&gt;")
}

/// The words of the agent's command.
fn words(text: &str) -> Vec<String> {
    let lines = text.lines().filter_map(|line| {
        let word = line.trim().strip_prefix("<string>")?;
        let word = word.strip_suffix("</string>")?;
        Some(
            word.replace("&gt;", ">")
                .replace("&lt;", "<")
                .replace("&amp;", "&"),
        )
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back_and_a_change_is_seen() {
        let plan = Plan {
            program: "/Applications/A & B/starling".into(),
            args: ["up", "--home", "/h/<x> y"].map(String::from).into(),
        };
        let agent = text(&plan);
        assert!(ours(&agent));
        assert!(!ours(&agent.replace("30", "31")));
        assert_eq!(words(&agent)[0], "/Applications/A & B/starling");
        assert_eq!(words(&agent)[1..], plan.args);
    }
}
