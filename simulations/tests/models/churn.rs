use crate::secs;
use starling_protocol::Time;
use starling_sim::churn::{Churn, FOR_EVER, Session, Trace, Weibull, quantile, through};
use starling_sim::engine::Streams;
use std::path::Path;

const HORIZON: Time = Time(200_000_000_000);

fn sessions(churn: &Churn, peers: u32) -> Vec<Vec<Session>> {
    churn
        .sessions(peers, HORIZON, &Streams::new(3))
        .expect("no file")
}

#[test]
fn the_default_meets_both_measured_quantiles_of_ipfs() {
    let (shape, scale) = through((7_200.0, 0.5), (28_800.0, 0.8));
    assert!((shape - 0.6077).abs() < 1e-4 && (scale - 13_160.0).abs() < 5.0);
    assert!((quantile(shape, 7_200.0, 0.5) - 7_200.0).abs() < 1e-6);
    assert!((quantile(shape, 7_200.0, 0.8) - 28_800.0).abs() < 1e-6);
    // And so do the sessions that begin within the run; those under way at its start are longer than average.
    let churn = Churn::Weibull(Weibull::default());
    let all = sessions(&churn, 20_000);
    let begun = |s: &&Session| Time(0) < s.up && s.up < secs(100_000);
    let lengths = all.iter().flatten().filter(begun);
    let mut lengths: Vec<_> = lengths.map(|s| s.down.since(s.up).as_secs_f64()).collect();
    lengths.sort_by(f64::total_cmp);
    let at = |share: f64| lengths[(share * lengths.len() as f64) as usize];
    assert!((at(0.5) / 7_200.0 - 1.0).abs() < 0.03, "{}", at(0.5));
    assert!((at(0.8) / 28_800.0 - 1.0).abs() < 0.03, "{}", at(0.8));
    // What is left of a session under way has the median 20,964 s: its density is the share of sessions that are longer,
    // over their mean.
    let first = all.iter().filter_map(|peer| peer.first());
    let left = first.filter(|s| s.up == Time(0));
    let mut left: Vec<_> = left.map(|s| s.down.0 as f64 / 1e6).collect();
    left.sort_by(f64::total_cmp);
    let median = left[left.len() / 2];
    assert!((median / 20_964.0 - 1.0).abs() < 0.05, "{median}");
    // Half are there, at the start as well as later.
    for instant in [1, 100_000] {
        let there = |s: &Session| s.up <= secs(instant) && secs(instant) < s.down;
        let there = all.iter().filter(|s| s.iter().any(there)).count();
        assert!((9_600..10_400).contains(&there), "{there} at {instant} s");
    }
}

#[test]
fn sessions_ascend_and_depend_on_the_peer_alone() {
    let churn = Churn::Weibull(Weibull {
        shape: 0.34,
        session_median_s: 600.0,
        ..Weibull::default()
    });
    let many = sessions(&churn, 200);
    assert_eq!(sessions(&churn, 20), many[..20]);
    for peer in &many {
        assert!(peer.iter().all(|s| s.up < s.down));
        assert!(peer.windows(2).all(|w| w[0].down <= w[1].up));
    }
    let stays = [Session {
        up: Time(0),
        down: FOR_EVER,
    }];
    assert_eq!(sessions(&Churn::None, 2), [stays, stays]);
}

#[test]
fn both_kinds_of_trace_are_read() {
    let session = |up, down| Session {
        up: secs(up),
        down: secs(down),
    };
    let by_session = "peer,up_s,down_s\n1,0,4\n0,2,10\n\n# a remark\n1,4,9\n";
    let by_event = "time_s,peer,event\n0,1,up\n2,0,up\n4,1,down\n4,1,up\n9,1,down\n10,0,down\n";
    for text in [by_session, by_event] {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::write(dir.path().join("t.csv"), text).expect("written");
        let churn = Churn::Trace {
            file: dir.path().join("t.csv"),
        };
        let of = |peers| churn.sessions(peers, HORIZON, &Streams::new(1));
        let expected = [vec![session(2, 10)], vec![session(0, 4), session(4, 9)]];
        assert_eq!(of(2).expect("a good trace"), expected);
        let fault = of(3).expect_err("too few").to_string();
        assert!(
            fault.ends_with("t.csv: it has 2 peers, the scenario 3"),
            "{fault}"
        );
    }
}

#[test]
fn a_bad_trace_is_refused_with_file_line_and_reason() {
    let bad = [
        ("peer,up,down\n", ":1:", "times in seconds"),
        ("peer,up_ms,down_ms\n", ":1:", "times in seconds"),
        ("", ":1:", "the header is"),
        ("peer,up_s,down_s\n0,1\n", ":2:", "2 columns"),
        ("peer,up_s,down_s\n0,5,9\n0,1,2\n", ":3:", "sorted"),
        ("peer,up_s,down_s\n0,5,9\n0,8,12\n", ":3:", "overlap"),
        ("peer,up_s,down_s\n0,9,5\n", ":2:", "later than"),
        ("peer,up_s,down_s\n0,-1,5\n", ":2:", "negative"),
        ("peer,up_s,down_s\n0,NaN,5\n", ":2:", "not finite"),
        ("peer,up_s,down_s\n0,1,inf\n", ":2:", "not finite"),
        ("peer,up_s,down_s\n0,1ms,5\n", ":2:", "number of seconds"),
        ("peer,up_s,down_s\n0,1,1.7e12\n", ":2:", "unit is seconds"),
        (
            "peer,up_s,down_s\n4294967295,1,2\n",
            ":2:",
            "a number from 0",
        ),
        (
            "peer,up_s,down_s\n0,1,2\n2,1,2\n",
            ": ",
            "peer 1 has no line",
        ),
        (
            "time_s,peer,event\n5,0,up\n4,1,up\n",
            ":3:",
            "sorted by time",
        ),
        ("time_s,peer,event\n5,0,up\n6,0,up\n", ":3:", "missing"),
        ("time_s,peer,event\n5,0,down\n", ":2:", "missing"),
        ("time_s,peer,event\n5,0,gone\n", ":2:", "\"up\" or \"down\""),
    ];
    for (text, place, reason) in bad {
        let fault = Trace::parse(text, Path::new("t.csv"));
        let fault = fault.expect_err(text).to_string();
        let named = fault.starts_with(&format!("t.csv{place}"));
        assert!(named && fault.contains(reason), "{text:?}: {fault}");
    }
    let absent = Trace::read(Path::new("absent.csv")).expect_err("no such file");
    assert!(absent.to_string().starts_with("absent.csv: "));
}
