//! The modelled shell keeps the promises of the real one, shown with scripted cores.

use starling_protocol::io::{
    Capacity, GossipId, Input, Output, Outputs, PersistSeq, Record, Topic, Verdict,
};
use starling_protocol::time::Deadline;
use starling_protocol::{Core, Hash, LeaseId, PeerKey, SwarmId, Time};
use starling_sim::engine::{Engine, Streams};
use starling_sim::event::{ANY_LIFE, Event, What};
use starling_sim::gossip::{Mesh, MeshKnobs};
use starling_sim::host::{Disk, Host, Parts};
use starling_sim::kademlia::{self, Kademlia};
use starling_sim::net::{Knobs, Network, places};
use starling_sim::observe::Observer;
use starling_sim::shared::{LookupTally, Shared};
use starling_sim::truth::Truth;
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

/// What arrived where, and when in ms.
type Log = Rc<RefCell<Vec<(u32, u64, String)>>>;

/// A core that follows a script and writes down what it is told.
struct Scripted<F> {
    peer: u32,
    script: F,
    log: Log,
    outputs: Vec<Output>,
}

impl<F: Fn(u32, &Input) -> Vec<Output>> Core for Scripted<F> {
    fn handle(&mut self, now: Time, input: Input) -> Outputs<'_> {
        let told = match &input {
            Input::Message { bytes, .. } => Some(String::from_utf8_lossy(bytes).into_owned()),
            Input::Gossip { data, .. } => Some(String::from_utf8_lossy(data).into_owned()),
            _ => None,
        };
        self.log
            .borrow_mut()
            .extend(told.map(|text| (self.peer, now.0 / 1000, text)));
        self.outputs.extend((self.script)(self.peer, &input));
        Outputs::from(&mut self.outputs)
    }

    fn next_deadline(&self) -> Option<Deadline> {
        None
    }
}

fn key(peer: u32) -> PeerKey {
    PeerKey::from([peer as u8; 32])
}

/// Starts `peers` of them, the first one last, on links of 10 ms and disks of 40 ms, for ten seconds.
fn play(
    peers: u32,
    script: impl Fn(u32, &Input) -> Vec<Output> + Copy + 'static,
) -> Vec<(u32, u64, String)> {
    let log = Log::default();
    let mut knobs = Knobs {
        one_way_ms: Some(10.0),
        access_ms: 0.0,
        jitter_ms: 0.0,
        limit_bandwidth: false,
        ssd_ms: 40.0,
        ..Knobs::default()
    };
    knobs.mix.slow_disk_share = 0.0;
    let streams = Streams::new(1);
    let mesh = MeshKnobs {
        degree: 2,
        low: 2,
        high: 3,
        lazy: 0,
    };
    let names: Vec<_> = (0..peers).map(key).collect();
    let mut shared = Shared {
        engine: Engine::default(),
        network: Network::new(&knobs, places(&knobs.mix, peers, &streams), &streams),
        gossip: Box::new(Mesh::new(mesh, peers, 1, &streams)),
        dht: Box::new(Kademlia::new(&kademlia::Knobs::default(), &streams)),
        lookups: LookupTally::default(),
        observer: Observer::new(SwarmId::default(), peers, false),
        keys: names.iter().copied().zip(0..).collect(),
        names,
        copies: Vec::new(),
        outputs: Vec::new(),
    };
    let host = |peer| {
        let log = log.clone();
        let outputs = Vec::new();
        let core = Scripted {
            peer,
            script,
            log,
            outputs,
        };
        let parts = Parts {
            disk: Disk::default(),
            keeps_log: false,
            core: Box::new(core),
            backend: Box::new(Truth),
            capacity: Capacity::default(),
            units_per_s: 1,
            reference_units_per_s: 1,
            prepare: Duration::ZERO,
            topic: 0,
        };
        Host::new(peer, 1, parts)
    };
    let mut hosts: Vec<_> = (0..peers).map(host).collect();
    for peer in 0..peers {
        let at = if peer == 0 { Time(1_000_000) } else { Time(0) };
        let (life, what) = (ANY_LIFE, What::Start);
        shared.engine.at(at, Event::Peer { peer, life, what });
    }
    while let Some(event) = shared.engine.next(Time(10_000_000)) {
        if let Event::Peer { peer, what, .. } = event {
            hosts[peer as usize].on(&mut shared, what);
        }
    }
    assert_eq!(
        shared.gossip.tally().recovered,
        0,
        "nobody offers lazily here"
    );
    log.take()
}

#[test]
fn a_send_that_names_a_record_waits_until_it_is_durable() {
    let heard = play(2, |peer, input| match input {
        Input::Started { .. } if peer == 0 => {
            let seq = PersistSeq(1);
            let record = Box::new(Record::Revealed {
                lease: LeaseId(Hash::default()),
                lock_set: Hash::default(),
            });
            let send = |text: &str, after| Output::Send {
                to: key(1),
                bytes: text.into(),
                after,
            };
            vec![
                Output::Persist { seq, record },
                send("after", Some(seq)),
                send("before", None),
            ]
        }
        _ => Vec::new(),
    });
    assert_eq!(
        heard,
        [(1, 1_010, "before".into()), (1, 1_050, "after".into())]
    );
}

/// In a mesh of seven. `beyond` is what all but the publisher make of the message.
fn mesh(beyond: Verdict) -> Vec<(u32, u64, String)> {
    let script = move |peer: u32, input: &Input| match input {
        Input::Started { .. } if peer == 0 => Vec::new(),
        // The first one is connected: it publishes.
        Input::PeerConnected { .. } if peer == 0 => vec![Output::Publish {
            topic: Topic::Capacity,
            data: "advert".into(),
        }],
        Input::Gossip {
            id: GossipId(id), ..
        } => vec![Output::Verdict {
            id: GossipId(*id),
            verdict: beyond,
        }],
        _ => Vec::new(),
    };
    play(7, script)
}

#[test]
fn gossip_goes_hop_by_hop_and_once_to_everybody() {
    let heard = mesh(Verdict::Accept);
    // The publisher has one to three neighbours and publishes once for each: every message reaches all others once.
    let first = heard.iter().filter(|(_, ms, _)| *ms == 1_010).count();
    assert!(first >= 1 && heard.len().is_multiple_of(6), "{heard:?}");
    for peer in 1..7 {
        let times = heard.iter().filter(|(p, ..)| *p == peer).count();
        assert_eq!(times, heard.len() / 6, "{heard:?}");
    }
    assert!(
        heard
            .iter()
            .all(|(_, ms, _)| (1_010..=1_050).contains(ms) && ms % 10 == 0),
        "{heard:?}"
    );
}

#[test]
fn gossip_stops_where_it_is_not_accepted() {
    for verdict in [Verdict::Reject, Verdict::Ignore] {
        let heard = mesh(verdict);
        let neighbours: std::collections::BTreeSet<_> =
            heard.iter().map(|(peer, ..)| *peer).collect();
        assert!(
            (1..=3).contains(&neighbours.len()),
            "{verdict:?}: {heard:?}"
        );
        assert!(
            heard.iter().all(|(_, ms, _)| *ms == 1_010),
            "{verdict:?}: {heard:?}"
        );
    }
}
