//! Lends the device, or not: reads sensors every second, asks the core's rules, and says when that changes.
//!
//! It decides nothing; [`starling_protocol::lending`] does. Invariant: what the owner says is on disk before it counts,
//! and a file of that kind which cannot be read counts as a pause.

mod history;
mod ledger;
pub mod sensors;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use starling_protocol::lending::{Lending, Objection, Readings, Rule, Shares, Standing, Switch};
use tokio::sync::watch;

pub use history::{History, Sample, Span};
pub use ledger::{Earnings, Ledger, Running};

use crate::driver::unix_s;
use crate::home::config::Lend;
use crate::home::disk::{DiskError, write_atomically};
use crate::reason::Reason;
use sensors::Sensors;

/// What the owner has said, within a home.
pub const SWITCH_FILE: &str = "lending.json";
/// Between two looks at the sensors.
const LOOK: Duration = Duration::from_secs(1);

/// Reads the owner's terms again, if they have changed.
pub type Reread = Box<dyn FnMut() -> Option<Lend> + Send>;

/// On what terms the device is lent at the moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// What speaks against lending most; it lends if nothing does.
    pub against: Option<Objection>,
    /// How much of the machine it takes.
    pub shares: Shares,
}

impl Terms {
    /// Whether it lends.
    pub fn lends(&self) -> bool {
        self.against.is_none()
    }

    /// Whether people would call it the same: seconds and degrees pass all the time.
    fn is_like(&self, other: &Self) -> bool {
        let code = |terms: &Self| terms.against.as_ref().map(Objection::code);
        code(self) == code(other) && self.shares == other.shares
    }
}

/// What stands at the moment.
#[derive(Clone, Debug)]
pub struct Standings {
    /// What the owner says.
    pub switch: Switch,
    /// All that speaks against lending, the weightiest first.
    pub against: Vec<Objection>,
    /// Since when it lends, or does not, Unix seconds.
    pub since_s: u64,
    /// What it was judged by.
    pub readings: Readings,
    /// What each rule does.
    pub rules: Vec<(Rule, Standing)>,
}

struct State {
    lending: Lending,
    readings: Readings,
    against: Vec<Objection>,
    since_s: u64,
    history: History,
    stopped: bool,
}

/// Handle of the service; clones are one.
#[derive(Clone)]
pub struct Keeper(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    wake: Condvar,
    file: PathBuf,
    terms: watch::Sender<Terms>,
}

impl Keeper {
    /// Judges by what the owner has said and by the clock; there are no sensors yet. `never` lends nothing until its
    /// owner says otherwise.
    pub fn new(home: &Path, lend: &Lend, never: bool) -> Self {
        let file = home.join(SWITCH_FILE);
        let switch = if never { Switch::Off } else { load(&file) };
        let state = State {
            lending: Lending::new(switch, lend.rules.clone()),
            readings: Readings {
                minute: sensors::minute_of_week(),
                ..Readings::default()
            },
            against: Vec::new(),
            since_s: unix_s(),
            history: History::default(),
            stopped: false,
        };
        let (terms, _) = watch::channel(Terms {
            against: None,
            shares: lend.rules.shares,
        });
        let keeper = Self(Arc::new(Shared {
            state: Mutex::new(state),
            wake: Condvar::new(),
            file,
            terms,
        }));
        keeper.0.judge(&mut keeper.0.lock());
        keeper
    }

    /// Looks at `sensors` from now on, in a thread that ends with [`Keeper::stop`]. What the device draws goes to `ledger`.
    pub fn watch(&self, sensors: impl Sensors + 'static, reread: Reread, ledger: Arc<Ledger>) {
        let shared = self.0.clone();
        let run = move || shared.run(sensors, reread, &ledger);
        if let Err(error) = thread::Builder::new().name("lending".into()).spawn(run) {
            tracing::error!(%error, "the machine's sensors cannot be watched");
        }
    }

    /// The terms, and every change of them.
    pub fn terms(&self) -> watch::Receiver<Terms> {
        self.0.terms.subscribe()
    }

    /// What stands.
    pub fn standings(&self) -> Standings {
        let state = self.0.lock();
        let standing = |rule| (rule, state.lending.standing(rule, &state.readings));
        Standings {
            switch: state.lending.switch,
            against: state.against.clone(),
            since_s: state.since_s,
            readings: state.readings.clone(),
            rules: Rule::ALL.map(standing).to_vec(),
        }
    }

    /// The owner says so. It counts at once.
    ///
    /// # Errors
    /// `disk_failed`: then nothing changes.
    pub fn set(&self, switch: Switch) -> Result<(), Reason> {
        let mut state = self.0.lock();
        save(&self.0.file, switch)?;
        state.lending.switch = switch;
        self.0.judge(&mut state);
        Ok(())
    }

    /// How the device was lately.
    pub fn samples(&self, span: Span) -> Vec<Sample> {
        self.0.lock().history.samples(span)
    }

    /// Looks at nothing any more.
    pub fn stop(&self) {
        self.0.lock().stopped = true;
        self.0.wake.notify_all();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self, mut sensors: impl Sensors, mut reread: Reread, ledger: &Ledger) {
        let mut drawn = Instant::now();
        loop {
            // Sensors may take their time: nobody waits for them.
            let rules = self.lock().lending.rules.clone();
            let readings = sensors.readings(&rules);
            let gauges = self
                .lock()
                .history
                .wants(unix_s())
                .then(|| sensors.gauges());
            let terms = reread();
            let mut state = self.lock();
            if let Some(lend) = terms {
                state.lending.rules = lend.rules;
            }
            state.readings = readings;
            self.judge(&mut state);
            if let Some(gauges) = gauges {
                let since = std::mem::replace(&mut drawn, Instant::now()).elapsed();
                gauges
                    .watts
                    .inspect(|watts| ledger.draw(*watts, since.as_secs_f64()));
                let lends = state.against.is_empty();
                state.history.take(unix_s(), lends, gauges);
            }
            if state.stopped {
                return;
            }
            let waited = self.wake.wait_timeout(state, LOOK);
            if waited.unwrap_or_else(PoisonError::into_inner).0.stopped {
                return;
            }
        }
    }

    fn judge(&self, state: &mut State) {
        let (now, before) = (unix_s(), state.lending.switch);
        let against = state.lending.judge(now, &state.readings);
        if state.lending.switch != before
            && let Err(error) = save(&self.file, state.lending.switch)
        {
            tracing::warn!(%error, "the end of a pause could not be written down");
        }
        if against.is_empty() != state.against.is_empty() {
            state.since_s = now;
        }
        state.against = against;
        let terms = Terms {
            against: state.against.first().cloned(),
            shares: state.lending.rules.shares,
        };
        self.terms.send_if_modified(|old| {
            let news = !old.is_like(&terms);
            *old = terms;
            news
        });
    }
}

fn load(file: &Path) -> Switch {
    let read = match std::fs::read(file) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Switch::On,
        read => read.map_err(|e| e.to_string()),
    };
    let switch = read.and_then(|bytes| serde_json::from_slice(&bytes).map_err(|e| e.to_string()));
    switch.unwrap_or_else(|error| {
        tracing::warn!(%error, file = %file.display(), "what was said of lending cannot be read: paused");
        Switch::Paused { until_s: None }
    })
}

fn save(file: &Path, switch: Switch) -> Result<(), DiskError> {
    let text = serde_json::to_vec(&switch).unwrap_or_default();
    write_atomically(file, &text)
}

#[cfg(test)]
mod tests;
