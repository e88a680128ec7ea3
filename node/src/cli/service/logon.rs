//! The service as a task of the Task Scheduler that starts when its user logs on. Written from the manual: it has not
//! been tried on Windows. The Scheduler keeps the task, so there is no file that somebody could have changed; it ends a
//! task's process without asking, which a peer survives as any crash.

use std::io::Write as _;

use super::{Plan, State, moved, tool};
use crate::home::disk::DiskError;
use crate::reason::Reason;

/// The task's name.
const TASK: &str = "Starling";
const CTL: &str = "schtasks";
/// Where to look afterwards.
pub const MESSAGES: &str = "see whether it runs with: schtasks /Query /TN Starling";
/// What a person does after a task was only written.
pub const START: &str =
    "start it with: schtasks /Change /TN Starling /ENABLE & schtasks /Run /TN Starling";

/// Makes the task, in place of one of that name.
pub fn install(plan: &Plan, start: bool, _force: bool) -> Result<(), Reason> {
    let fail = |e| DiskError::new("write", &std::env::temp_dir(), e);
    let mut file = tempfile::Builder::new()
        .suffix(".xml")
        .tempfile()
        .map_err(fail)?;
    // As the Scheduler writes its own: UTF-16 with a byte order mark.
    let text = format!("\u{feff}{}", text(plan, start));
    let bytes: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    file.write_all(&bytes).map_err(fail)?;
    let file = file.into_temp_path();
    let path = file.display().to_string();
    tool::must(CTL, &["/Create", "/TN", TASK, "/XML", &path, "/F"])?;
    if start && let Err(reason) = tool::must(CTL, &["/Run", "/TN", TASK]) {
        let _ = tool::run(CTL, &["/Delete", "/TN", TASK, "/F"]);
        return Err(reason);
    }
    Ok(())
}

/// Stops and removes it; false if there is none.
pub fn uninstall(_force: bool) -> Result<bool, Reason> {
    if asked()?.is_none() {
        return Ok(false);
    }
    let _ = tool::run(CTL, &["/End", "/TN", TASK]);
    tool::must(CTL, &["/Delete", "/TN", TASK, "/F"])?;
    Ok(true)
}

/// What the Scheduler says of it. Whether it runs is told in the system's language only, and so is not read.
pub fn state() -> Result<State, Reason> {
    let mut state = State {
        path: format!("task {TASK}"),
        ..State::default()
    };
    let Some(text) = asked()? else {
        state.running = Some(false);
        state.enabled = Some(false);
        return Ok(state);
    };
    let of = |name: &str| {
        let (_, rest) = text.split_once(&format!("<{name}>"))?;
        let (value, _) = rest.split_once(&format!("</{name}>"))?;
        Some(
            value
                .replace("&gt;", ">")
                .replace("&lt;", "<")
                .replace("&amp;", "&"),
        )
    };
    state.installed = true;
    state.program = of("Command");
    state.program_moved = state.program.as_ref().is_some_and(|program| moved(program));
    let settings = text.split_once("<Settings>").map(|(_, rest)| rest);
    state.enabled = settings.map(|rest| !rest.contains("<Enabled>false</Enabled>"));
    let home = of("Arguments");
    let home = home.as_ref().and_then(|args| args.split_once("--home \""));
    state.home = home.and_then(|(_, rest)| Some(rest.split_once('"')?.0.to_owned()));
    Ok(state)
}

fn asked() -> Result<Option<String>, Reason> {
    let said = tool::run(CTL, &["/Query", "/TN", TASK, "/XML", "ONE"]);
    let said = said.ok_or_else(|| tool::absent(CTL))?;
    Ok(said.ok.then_some(said.stdout))
}

fn text(plan: &Plan, enabled: bool) -> String {
    // No path has a quotation mark in it on this system, but the last character may be a backslash.
    let word = |word: &String| match word.starts_with("--") || word == "up" {
        true => word.clone(),
        false => format!("\"{}\"", word.trim_end_matches('\\')),
    };
    let args: Vec<_> = plan.args.iter().map(word).collect();
    let escaped = |text: String| {
        let text = text.replace('&', "&amp;").replace('<', "&lt;");
        text.replace('>', "&gt;")
    };
    let variable = |name: &str| std::env::var(name).unwrap_or_default();
    let user = format!("{}\\{}", variable("USERDOMAIN"), variable("USERNAME"));
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-16\"?>
<Task version=\"1.2\" xmlns=\"http://schemas.microsoft.com/windows/2004/02/mit/task\">
  <Triggers><LogonTrigger><UserId>{user}</UserId></LogonTrigger></Triggers>
  <Principals><Principal id=\"Author\">
    <UserId>{user}</UserId><LogonType>InteractiveToken</LogonType><RunLevel>LeastPrivilege</RunLevel>
  </Principal></Principals>
  <Settings>
    <MultipleInstancesPolicy>IgnoreNew</MultipleInstancesPolicy>
    <DisallowStartIfOnBatteries>false</DisallowStartIfOnBatteries>
    <StopIfGoingOnBatteries>false</StopIfGoingOnBatteries>
    <ExecutionTimeLimit>PT0S</ExecutionTimeLimit>
    <RestartOnFailure><Interval>PT1M</Interval><Count>5</Count></RestartOnFailure>
    <Enabled>{enabled}</Enabled>
  </Settings>
  <Actions Context=\"Author\">
    <Exec><Command>{}</Command><Arguments>{}</Arguments></Exec>
  </Actions>
</Task>
",
        escaped(plan.program.display().to_string()),
        escaped(args.join(" ")),
        user = escaped(user),
    )
}
