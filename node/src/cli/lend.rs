//! `starling lend`: whether this machine is lent, why not, and on what conditions.
//!
//! The switch is the running peer's; conditions are settings, which it reads again when they change.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::{Args, Subcommand, ValueEnum};
use starling_protocol::lending::{Hours, Standing};

use super::Context;
use super::config;
use super::exit::{Exit, Failure, Outcome};
use super::place::Place;
use super::text;
use crate::api::client::Client;
use crate::api::lending::{LendOrder, LendView, SwitchWord};
use crate::home::config::{Key, Value};

/// Lend this machine, or keep it: the switch, and the owner's rules.
///
/// Without a command: whether it is lent, why not, and what each rule does now. A pause takes effect at once: slices
/// that are being computed are handed back, and others go on with them.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  starling lend
  starling lend pause --for 2h
  starling lend limits --idle 10m --temperature 80 --gpu 20
  starling lend schedule \"mon-fri 22:00-08:00\" sat,sun
  starling lend apps add blender game.exe")]
pub struct Lend {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Lend, as far as the rules allow; ends a pause.
    On,
    /// Lend nothing, until `lend on`; also after a restart.
    Off,
    /// Lend nothing for a while.
    Pause {
        /// For how long, such as 90s, 30m, 2h or 1d; until `lend on`, if it is not said.
        #[arg(long = "for", value_name = "TIME", value_parser = text::parse_duration)]
        duration: Option<Duration>,
    },
    /// Say why it is not lent.
    Why,
    Limits(Limits),
    Schedule(Schedule),
    Apps(Apps),
}

/// Show or set the rules; a running peer follows within a second.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  starling lend limits
  starling lend limits --idle 10m --full-screen pause
  starling lend limits --temperature 0      no ceiling any more")]
struct Limits {
    /// Lend only after so long without keyboard and mouse; 0s lends at once.
    #[arg(long, value_name = "TIME", value_parser = text::parse_duration)]
    idle: Option<Duration>,
    /// While an application fills the screen.
    #[arg(long, value_name = "WHAT")]
    full_screen: Option<Then>,
    /// On battery.
    #[arg(long, value_name = "WHAT")]
    battery: Option<Then>,
    /// Pause while other programs use more of the GPU than so many percent; 100 never does.
    #[arg(long, value_name = "PERCENT")]
    gpu: Option<u64>,
    /// Pause above so many degrees Celsius; 0 never does.
    #[arg(long, value_name = "CELSIUS")]
    temperature: Option<u64>,
    /// Pause while more of the machine's memory is taken than so many percent; 100 never does.
    #[arg(long, value_name = "PERCENT")]
    memory: Option<u64>,
    /// Compute for others so much of the time, percent.
    #[arg(long, value_name = "PERCENT")]
    duty: Option<u64>,
    /// For others, send inputs and outputs at most so fast; 0 as fast as the line goes.
    #[arg(long, value_name = "MBIT/S")]
    upload: Option<u64>,
    /// For others, fetch inputs and outputs at most so fast; 0 as fast as the line goes.
    #[arg(long, value_name = "MBIT/S")]
    download: Option<u64>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Then {
    /// Go on.
    Lend,
    /// Stop meanwhile.
    Pause,
}

/// Show or set the hours at which it lends, in local time.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  starling lend schedule
  starling lend schedule \"mon-fri 22:00-08:00\" sat,sun
  starling lend schedule --always")]
struct Schedule {
    /// Spans such as `22:00-08:00`, `sat,sun` or `mon-fri 18:00-23:30`.
    #[arg(value_name = "SPAN")]
    spans: Vec<Hours>,
    /// Lend at any time.
    #[arg(long, conflicts_with = "spans")]
    always: bool,
}

/// Show or set the programs beside which it does not lend.
#[derive(Args, Debug)]
struct Apps {
    #[command(subcommand)]
    command: Option<AppsCommand>,
}

#[derive(Subcommand, Debug)]
enum AppsCommand {
    /// Pause while one of these runs, too.
    Add {
        /// Names, as the system shows them.
        #[arg(value_name = "NAME", required = true)]
        names: Vec<String>,
    },
    /// Go on while one of these runs.
    Remove {
        /// Names, as they were added.
        #[arg(value_name = "NAME", required = true)]
        names: Vec<String>,
    },
}

impl Lend {
    pub(super) async fn run(self, context: &Context) -> Outcome {
        let place = context.place()?;
        let order = |switch, for_s| LendOrder { switch, for_s };
        match self.command {
            None => show(context, &asked(&place).await?, true),
            Some(Command::Why) => show(context, &asked(&place).await?, false),
            Some(Command::On) => set(context, &place, order(SwitchWord::On, None)).await?,
            Some(Command::Off) => set(context, &place, order(SwitchWord::Off, None)).await?,
            Some(Command::Pause { duration }) => {
                let for_s = duration.map(|d| d.as_secs());
                set(context, &place, order(SwitchWord::Pause, for_s)).await?;
            }
            Some(Command::Limits(limits)) => limits.run(context, &place)?,
            Some(Command::Schedule(schedule)) => schedule.run(context, &place)?,
            Some(Command::Apps(apps)) => apps.run(context, &place)?,
        }
        Ok(Exit::Ok)
    }
}

async fn asked(place: &Place) -> Result<LendView, Failure> {
    let client = Client::connect(&place.root).await?;
    Ok(client.lend().await?)
}

async fn set(context: &Context, place: &Place, order: LendOrder) -> Result<(), Failure> {
    let client = Client::connect(&place.root).await?;
    show(context, &client.set_lend(&order).await?, false);
    Ok(())
}

fn show(context: &Context, view: &LendView, with_rules: bool) {
    let out = context.console;
    if out.json {
        return out.json(view);
    }
    if view.lends {
        out.data("lending");
    }
    for (n, reason) in view.against.iter().enumerate() {
        let first = if n == 0 {
            "not lending:"
        } else {
            "        also:"
        };
        out.data(format!("{first} {}", reason.what));
    }
    if let Some(left) = view.paused_until_s.and_then(seconds_until) {
        out.data(format!("it goes on in {}", text::duration(left)));
    }
    if let Some(fix) = view.reason.as_ref().and_then(|r| r.fix.as_ref()) {
        out.note(fix);
    }
    for rule in view.rules.iter().filter(|_| with_rules) {
        let now = match rule.now {
            Standing::Off => "not set",
            Standing::Unknown => "no sensor for it: it forbids nothing",
            Standing::Allows => "allows",
            Standing::Forbids => "forbids",
            Standing::Limits => "limits",
        };
        out.data(format!("{:<22} {now}", rule.key));
    }
}

fn seconds_until(unix_s: u64) -> Option<Duration> {
    let at = UNIX_EPOCH + Duration::from_secs(unix_s);
    at.duration_since(SystemTime::now()).ok()
}

impl Limits {
    fn run(self, context: &Context, place: &Place) -> Result<(), Failure> {
        let word = |then: Then| {
            Value::Text(match then {
                Then::Lend => "lend".into(),
                Then::Pause => "pause".into(),
            })
        };
        let changes = [
            ("lend.idle_s", self.idle.map(|d| Value::Number(d.as_secs()))),
            ("lend.full_screen", self.full_screen.map(word)),
            ("lend.battery", self.battery.map(word)),
            ("lend.foreign_gpu_pct", self.gpu.map(Value::Number)),
            ("lend.temperature_c", self.temperature.map(Value::Number)),
            ("lend.memory_pct", self.memory.map(Value::Number)),
            ("lend.duty_pct", self.duty.map(Value::Number)),
            ("lend.upload_mbit_s", self.upload.map(Value::Number)),
            ("lend.download_mbit_s", self.download.map(Value::Number)),
        ];
        for (name, value) in &changes {
            if let Some(value) = value {
                config::put(context, place, name, value)?;
            }
        }
        let shown = changes.map(|(name, _)| name);
        list(context, place, &shown)
    }
}

impl Schedule {
    fn run(self, context: &Context, place: &Place) -> Result<(), Failure> {
        if self.always || !self.spans.is_empty() {
            let spans = self.spans.iter().map(Hours::to_string).collect();
            config::put(context, place, "lend.hours", &Value::List(spans))?;
        }
        list(context, place, &["lend.hours"])
    }
}

impl Apps {
    fn run(self, context: &Context, place: &Place) -> Result<(), Failure> {
        let mut apps = place.config()?.lend.rules.apps;
        match self.command {
            None => return list(context, place, &["lend.apps"]),
            Some(AppsCommand::Add { names }) => {
                for name in names {
                    if !apps.contains(&name) {
                        apps.push(name);
                    }
                }
            }
            Some(AppsCommand::Remove { names }) => {
                if let Some(unknown) = names.iter().find(|name| !apps.contains(name)) {
                    let what = format!("{unknown:?} is not on the list");
                    let fix = "`starling lend apps` shows it";
                    return Err(Failure::new(Exit::Usage, what, fix));
                }
                apps.retain(|app| !names.contains(app));
            }
        }
        config::put(context, place, "lend.apps", &Value::List(apps))?;
        list(context, place, &["lend.apps"])
    }
}

/// Settings as they count.
fn list(context: &Context, place: &Place, names: &[&str]) -> Result<(), Failure> {
    let settings = place.settings()?;
    let keys = names.iter().filter_map(|name| Key::find(name));
    let values = keys.map(|key| (key.name, key.get(&settings.config)));
    if context.console.json {
        let all: std::collections::BTreeMap<_, _> = values.collect();
        context.console.json(&serde_json::json!(all));
        return Ok(());
    }
    values.for_each(|(name, value)| context.console.data(format!("{name} = {value}")));
    Ok(())
}
