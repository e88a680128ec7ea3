//! The modelled shell keeps the promises of the real one, shown with scripted cores.

use starling_protocol::io::{GossipId, Input, Output, Outputs, PersistSeq, Record, Verdict};
use starling_protocol::time::Deadline;
use starling_protocol::{Core, Hash, LeaseId, PeerKey, SwarmId, Time};
use starling_sim::adversary::Honest;
use starling_sim::engine::{Engine, Streams};
use starling_sim::host::{Event, Host, Surroundings, What};
use starling_sim::network::{Knobs, Network};
use starling_sim::observe::Observer;
use starling_sim::scenario::Devices;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

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
    let knobs = Knobs {
        base_ms: 10.0,
        pair_ms: 0.0,
        jitter_ms: 0.0,
        mesh_degree: 1,
        ..Knobs::default()
    };
    let devices = Devices {
        disk_ms: 40,
        ..Devices::default()
    };
    let mut network = Network::new(knobs, peers, &Streams::new(1));
    let mut observer = Observer::new(SwarmId::default(), false);
    let keys: BTreeMap<_, _> = (0..peers).map(|p| (key(p), p)).collect();
    let mut engine = Engine::default();
    let mut hosts = Vec::new();
    for peer in 0..peers {
        let core = Scripted {
            peer,
            script,
            log: log.clone(),
            outputs: Vec::new(),
        };
        hosts.push(Host::new(
            peer,
            key(peer),
            Box::new(core),
            Box::new(Honest),
            1,
            &devices,
        ));
        let at = if peer == 0 { Time(1_000_000) } else { Time(0) };
        engine.at(
            at,
            Event {
                peer,
                what: What::Start(Box::default()),
            },
        );
    }
    while let Some(event) = engine.next(Time(10_000_000)) {
        let (engine, network, observer) = (&mut engine, &mut network, &mut observer);
        let mut around = Surroundings {
            engine,
            network,
            observer,
            keys: &keys,
            devices: &devices,
        };
        hosts[event.peer as usize].on(&mut around, event.what);
    }
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

/// On a ring of seven. `beyond` is what the neighbours of the publisher make of the message.
fn ring(beyond: Verdict) -> Vec<(u32, u64, String)> {
    let script = move |peer: u32, input: &Input| match input {
        Input::Started { .. } if peer == 0 => vec![Output::Publish {
            data: "advert".into(),
        }],
        Input::Gossip {
            id: GossipId(id), ..
        } => {
            let verdict = if [1, 6].contains(&peer) {
                beyond
            } else {
                Verdict::Accept
            };
            vec![Output::Verdict {
                id: GossipId(*id),
                verdict,
            }]
        }
        _ => Vec::new(),
    };
    play(7, script)
}

#[test]
fn gossip_goes_hop_by_hop_and_once_to_everybody() {
    let heard: Vec<_> = ring(Verdict::Accept)
        .into_iter()
        .map(|(peer, ms, _)| (ms, peer))
        .collect();
    assert_eq!(
        heard,
        [
            (1_010, 1),
            (1_010, 6),
            (1_020, 2),
            (1_020, 5),
            (1_030, 3),
            (1_030, 4)
        ]
    );
}

#[test]
fn gossip_stops_where_it_is_not_accepted() {
    for verdict in [Verdict::Reject, Verdict::Ignore] {
        let heard: Vec<_> = ring(verdict).into_iter().map(|(peer, ..)| peer).collect();
        assert_eq!(heard, [1, 6], "{verdict:?}");
    }
}
