//! What must hold among light peers alone.

use crate::{experiment, near};
use starling_sim::churn::{Churn, Weibull};
use starling_sim::light;

#[test]
fn the_same_seed_gives_the_same_run() {
    let mut experiment = experiment(300, 100.0, "network.loss_share = 0.02\nswarm.shards = 3");
    experiment.churn = Churn::Weibull(Weibull {
        session_median_s: 60.0,
        absence_median_s: 30.0,
        ..Weibull::default()
    });
    let run = |seed| light::run(&experiment, seed).expect("no trace");
    let first = run(7);
    assert_eq!(first, run(7));
    assert_ne!(first.trace_hash, run(8).trace_hash);
}

const INTERVAL_S: f64 = 20.0;

/// Exponential sessions and absences, so that the rule has a formula: a departed peer is known for two to three
/// intervals, evenly, unless it comes back before.
fn churning(session_s: f64, absence_s: f64, more: &str) -> light::LightReport {
    let mut experiment = experiment(600, 2_000.0, more);
    experiment.swarm.shards = 3;
    experiment.churn = Churn::Weibull(Weibull {
        shape: 1.0,
        session_median_s: session_s * core::f64::consts::LN_2,
        absence_median_s: absence_s * core::f64::consts::LN_2,
    });
    light::run(&experiment, 3).expect("no trace")
}

#[test]
fn who_is_gone_is_known_for_as_long_as_the_three_intervals_say() {
    let (session_s, absence_s) = (600.0, 300.0);
    let report = churning(session_s, absence_s, "");
    // The mean of exp(-F / absence), F even between two intervals and three.
    let decay = |intervals: f64| libm::exp(-intervals * INTERVAL_S / absence_s);
    let not_back = (decay(2.0) - decay(3.0)) * absence_s / INTERVAL_S;
    // Seconds that a departure is remembered, by those who stay.
    let remembered_s = absence_s * (1.0 - not_back);
    let gone = remembered_s / session_s;
    let share = gone / (1.0 + gone);
    let knowledge = &report.knowledge;
    near(
        "gone of those known",
        knowledge.gone_share.expect("samples"),
        share,
        0.1,
    );
    // The later the memory would end, the likelier the peer is back: a little less than two and a half intervals.
    let forgotten = &report.forgotten_s;
    near(
        "s until forgotten",
        forgotten.mean.expect("leaves"),
        2.5 * INTERVAL_S,
        0.02,
    );
    near(
        "at the latest",
        forgotten.p95.expect("leaves"),
        2.95 * INTERVAL_S,
        0.02,
    );
    near("living", report.living, 600.0 * 2.0 / 3.0, 0.1);
    // A newcomer knows a part at once, the rest within an interval.
    let unknown = 1.0 - knowledge.known_share.expect("samples");
    assert!(
        (0.001..0.5 * INTERVAL_S / session_s + 0.01).contains(&unknown),
        "{unknown}"
    );
}

#[test]
fn a_goodbye_is_heard_at_once() {
    let report = churning(600.0, 300.0, "light.goodbye_share = 1.0");
    let gone = report.knowledge.gone_share.expect("samples");
    assert!(gone < 0.002, "{gone}");
    assert_eq!(report.forgotten_s.n, 0);
}

#[test]
fn with_loss_everybody_is_known() {
    let experiment = experiment(500, 200.0, "network.loss_share = 0.05");
    let report = light::run(&experiment, 1).expect("no trace");
    assert_eq!(report.knowledge.known_share_min, Some(1.0));
    assert!(report.adverts.lost > 0);
}

/// Bursts and partitions have the network asked for every copy; without either the two ways are one law.
#[test]
fn the_network_itself_delivers_as_the_walk_does() {
    let figures = |more: &str| {
        let report = light::run(&experiment(300, 100.0, more), 1).expect("no trace");
        let adverts = report.adverts;
        (
            adverts.delivery_ms.mean.expect("deliveries"),
            adverts.copies_per_delivery,
        )
    };
    // A window that touches nobody.
    let window = "[[network.partitions]]\na = { peers = [0, 0] }\nb = { peers = [0, 0] }\nstart_s = 1.0\nend_s = 2.0";
    let (walked, asked) = (figures(""), figures(window));
    near("ms to deliver", walked.0, asked.0, 0.1);
    near("copies per delivery", walked.1, asked.1, 0.05);
}

#[test]
fn a_peer_takes_less_than_four_kib() {
    let experiment = experiment(20_000, 60.0, "swarm.shards = 80");
    let report = light::run(&experiment, 1).expect("no trace");
    assert!(report.kib_per_peer < 4.0, "{}", report.kib_per_peer);
    assert!(report.knowledge.samples == 0 && report.lookups.walked > 0);
}

#[test]
fn sizes_and_shares_are_checked() {
    let check = |peers, shards, light| {
        let mut experiment = experiment(2, 60.0, "");
        (experiment.population.peers, experiment.swarm.shards) = (peers, shards);
        experiment.population.light = light;
        experiment.check().map_err(|error| error.to_string())
    };
    assert!(check(1_000_000, 4_096, true).is_ok());
    assert!(check(1_000_000, 1_000, true).is_err_and(|e| e.contains("light.peers")));
    assert!(check(1_000_001, 4_096, true).is_err_and(|e| e.contains("population.peers")));
    assert!(check(300_000, 4_096, false).is_err_and(|e| e.contains("light ones")));
}

#[test]
fn lookups_that_are_not_walked_are_counted_as_if_they_were() {
    let lookups = |watched| {
        let more = format!("light.watched = {watched}");
        let mut experiment = experiment(300, 400.0, &more);
        experiment.churn = Churn::Weibull(Weibull {
            session_median_s: 100.0,
            ..Weibull::default()
        });
        light::run(&experiment, 5).expect("no trace").lookups
    };
    let (all, none) = (lookups(300), lookups(0));
    assert_eq!((all.all, all.all), (all.walked, none.all));
    assert_eq!(none.walked, 0);
}
