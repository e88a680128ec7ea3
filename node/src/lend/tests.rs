use std::sync::mpsc;
use std::time::Instant;

use super::*;
use sensors::Gauges;
use starling_protocol::lending::Rules;

const SOON: Duration = Duration::from_secs(10);

/// Tells what it is told to tell.
struct Told(Arc<Mutex<Readings>>);

impl Sensors for Told {
    fn readings(&mut self, _: &Rules) -> Readings {
        self.0.lock().expect("nobody panics").clone()
    }

    fn gauges(&mut self) -> Gauges {
        Gauges {
            watts: Some(120.0),
            ..Gauges::default()
        }
    }
}

fn lend(rules: Rules) -> Lend {
    Lend {
        rules,
        ..Lend::default()
    }
}

fn home() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

fn until(keeper: &Keeper, what: impl Fn(&Standings) -> bool) -> Standings {
    let begun = Instant::now();
    loop {
        let now = keeper.standings();
        if what(&now) {
            return now;
        }
        assert!(begun.elapsed() < SOON, "{now:?}");
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn what_the_owner_says_counts_at_once_and_after_a_restart() {
    let home = home();
    let keeper = Keeper::new(home.path(), &lend(Rules::default()), false);
    let mut terms = keeper.terms();
    assert!(terms.borrow_and_update().lends());
    keeper.set(Switch::Off).expect("written");
    assert!(terms.has_changed().expect("it lives"));
    assert!(!terms.borrow_and_update().lends());
    let later = Keeper::new(home.path(), &lend(Rules::default()), false);
    assert_eq!(later.standings().switch, Switch::Off);
    later.set(Switch::On).expect("written");
    assert!(later.terms().borrow().lends());
}

#[test]
fn a_pause_that_is_over_ends_and_is_forgotten() {
    let home = home();
    let keeper = Keeper::new(home.path(), &lend(Rules::default()), false);
    let until_s = Some(unix_s().saturating_sub(1));
    keeper.set(Switch::Paused { until_s }).expect("written");
    assert!(keeper.terms().borrow().lends());
    assert_eq!(load(&home.path().join(SWITCH_FILE)), Switch::On);
}

#[test]
fn what_cannot_be_read_or_written_does_not_lend_more() {
    let home = home();
    let file = home.path().join(SWITCH_FILE);
    std::fs::write(&file, "{\"switch\": \"maybe\"}").expect("written");
    let keeper = Keeper::new(home.path(), &lend(Rules::default()), false);
    assert_eq!(keeper.standings().switch, Switch::Paused { until_s: None });
    std::fs::remove_file(&file).expect("removed");
    std::fs::create_dir(&file).expect("in its place");
    assert!(keeper.set(Switch::On).is_err());
    assert!(!keeper.terms().borrow().lends());
}

#[test]
fn sensors_are_watched_and_changes_are_told_once() {
    let home = home();
    let rules = Rules {
        idle_s: Some(60),
        ..Rules::default()
    };
    let keeper = Keeper::new(home.path(), &lend(rules), false);
    let readings = Arc::new(Mutex::new(Readings {
        idle_s: Some(5),
        ..Readings::default()
    }));
    let (rules_changed, changed) = mpsc::channel();
    let reread = move || changed.try_recv().ok();
    keeper.watch(Told(readings.clone()), Box::new(reread), Default::default());
    let busy = until(&keeper, |now| !now.against.is_empty());
    assert_eq!(busy.against[0].code(), "machine_in_use");
    assert!(busy.rules.contains(&(Rule::Idle, Standing::Forbids)));
    let mut terms = keeper.terms();
    terms.borrow_and_update();
    readings.lock().expect("nobody panics").idle_s = Some(6);
    until(&keeper, |now| now.readings.idle_s == Some(6));
    assert!(
        !terms.has_changed().expect("it lives"),
        "a second later is no news"
    );
    let longer = lend(Rules {
        idle_s: Some(3),
        ..Rules::default()
    });
    rules_changed.send(longer).expect("it is read");
    until(&keeper, |now| now.against.is_empty());
    assert!(terms.has_changed().expect("it lives"));
    assert_eq!(keeper.samples(Span::Hour)[0].gauges.watts, Some(120.0));
    keeper.stop();
}
