//! Generations of questions, without a network: what the swarm would report is made up.

use libp2p::{
    core::ConnectedPoint,
    swarm::behaviour::{ConnectionClosed, ConnectionEstablished, ExternalAddrConfirmed},
};

use super::*;

fn address(n: usize) -> Multiaddr {
    format!("/ip4/203.0.113.9/tcp/{n}").parse().unwrap()
}

struct Line(ConnectionId, PeerId, ConnectedPoint);

impl Line {
    fn new(n: usize) -> Self {
        let endpoint = ConnectedPoint::Dialer {
            address: address(n),
            role_override: Endpoint::Dialer,
            port_use: PortUse::Reuse,
        };
        Line(ConnectionId::new_unchecked(n), PeerId::random(), endpoint)
    }

    fn begin(&self, asking: &mut Asking) {
        asking.on_swarm_event(FromSwarm::ConnectionEstablished(ConnectionEstablished {
            peer_id: self.1,
            connection_id: self.0,
            endpoint: &self.2,
            failed_addresses: &[],
            other_established: 0,
        }));
    }

    fn end(&self, asking: &mut Asking) {
        asking.on_swarm_event(FromSwarm::ConnectionClosed(ConnectionClosed {
            peer_id: self.1,
            connection_id: self.0,
            endpoint: &self.2,
            cause: None,
            remaining_established: 0,
        }));
    }
}

#[tokio::test]
async fn a_generation_lasts_as_long_as_its_connections() {
    let mut asking = Asking::new(Duration::from_secs(60));
    let (old, new) = (Line::new(1), Line::new(2));
    old.begin(&mut asking);
    asking.renew();
    new.begin(&mut asking);
    assert_eq!(asking.generations.len(), 2);
    old.end(&mut asking);
    assert_eq!(asking.generations.len(), 1);
    new.end(&mut asking);
    assert_eq!(asking.generations.len(), 1, "the newest stays");
    for _ in 0..5 {
        asking.renew();
    }
    assert_eq!(asking.generations.len(), 1);
    assert!(asking.began_in.is_empty());
}

#[tokio::test]
async fn what_is_held_for_true_is_asked_about_again() {
    let mut asking = Asking::new(Duration::from_secs(60));
    asking.propose(&address(1));
    let confirmed = ExternalAddrConfirmed { addr: &address(2) };
    asking.on_swarm_event(FromSwarm::ExternalAddrConfirmed(confirmed));
    asking.renew();
    assert_eq!(asking.candidates, BTreeSet::from([address(2)]));
}

#[tokio::test]
async fn strangers_cannot_fill_it_with_addresses() {
    let mut asking = Asking::new(Duration::from_secs(60));
    for n in 1..10 * CANDIDATES {
        let candidate = NewExternalAddrCandidate { addr: &address(n) };
        asking.on_swarm_event(FromSwarm::NewExternalAddrCandidate(candidate));
    }
    assert_eq!(asking.candidates.len(), CANDIDATES);
}
