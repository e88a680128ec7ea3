//! Connections that come from one place, and from many; no sockets.

use libp2p::swarm::{
    ConnectionError, ListenError,
    behaviour::{ConnectionClosed, ConnectionEstablished, ListenFailure},
};

use super::*;

const CAPS: PrefixCaps = PrefixCaps {
    per_address: 3,
    per_network: 5,
    pending: 2,
    handshakes: Rate {
        per_s: 0.0,
        burst: 1000.0,
    },
};

fn address(text: &str) -> Multiaddr {
    text.parse().unwrap()
}

fn here() -> Multiaddr {
    address("/ip4/203.0.113.1/tcp/4001")
}

/// A connection from there up to the handshake's end.
fn knock(prefixes: &mut Prefixes, local: &Multiaddr, from: &str) -> Option<ConnectionId> {
    let connection = ConnectionId::new_unchecked(next());
    let remote = address(from);
    prefixes
        .handle_pending_inbound_connection(connection, local, &remote)
        .ok()?;
    Some(connection)
}

fn next() -> usize {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static NEXT: AtomicUsize = AtomicUsize::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// The whole way; whether it stands.
fn connect(prefixes: &mut Prefixes, local: &Multiaddr, from: &str) -> Option<ConnectionId> {
    let connection = knock(prefixes, local, from)?;
    let (peer, remote) = (PeerId::random(), address(from));
    let endpoint = ConnectedPoint::Listener {
        local_addr: local.clone(),
        send_back_addr: remote.clone(),
    };
    if let Err(denied) =
        prefixes.handle_established_inbound_connection(connection, peer, local, &remote)
    {
        let error = ListenError::Denied { cause: denied };
        prefixes.on_swarm_event(FromSwarm::ListenFailure(ListenFailure {
            local_addr: local,
            send_back_addr: &remote,
            error: &error,
            connection_id: connection,
            peer_id: Some(peer),
        }));
        return None;
    }
    prefixes.on_swarm_event(FromSwarm::ConnectionEstablished(ConnectionEstablished {
        peer_id: peer,
        connection_id: connection,
        endpoint: &endpoint,
        failed_addresses: &[],
        other_established: 0,
    }));
    Some(connection)
}

fn close(prefixes: &mut Prefixes, connection: ConnectionId, from: &str) {
    let endpoint = ConnectedPoint::Listener {
        local_addr: here(),
        send_back_addr: address(from),
    };
    prefixes.on_swarm_event(FromSwarm::ConnectionClosed(ConnectionClosed {
        peer_id: PeerId::random(),
        connection_id: connection,
        endpoint: &endpoint,
        cause: None::<&ConnectionError>,
        remaining_established: 0,
    }));
}

/// How many of so many stand.
fn stand(prefixes: &mut Prefixes, n: u16, from: impl Fn(u16) -> String) -> usize {
    (0..n)
        .filter(|i| connect(prefixes, &here(), &from(*i)).is_some())
        .count()
}

#[test]
fn an_address_and_its_network_have_their_share() {
    let mut prefixes = Prefixes::new(Scope::Public, CAPS);
    let home = |port: u16| format!("/ip4/198.51.100.7/tcp/{}", 1000 + port);
    assert_eq!(stand(&mut prefixes, 50, home), CAPS.per_address);
    let neighbours = |i: u16| format!("/ip4/198.51.100.{}/udp/9/quic-v1", i + 100);
    let rest = CAPS.per_network - CAPS.per_address;
    assert_eq!(stand(&mut prefixes, 50, neighbours), rest);
    let elsewhere = |i: u16| format!("/ip4/198.51.{i}.7/tcp/1");
    assert_eq!(stand(&mut prefixes, 50, elsewhere), 50);
}

#[test]
fn a_slash_64_is_one_home_and_a_slash_48_one_network() {
    let mut prefixes = Prefixes::new(Scope::Public, CAPS);
    let home = |i: u16| format!("/ip6/2001:db8:1:2::{i:x}/tcp/1");
    assert_eq!(stand(&mut prefixes, 50, home), CAPS.per_address);
    let neighbours = |i: u16| format!("/ip6/2001:db8:1:{:x}::1/tcp/1", i + 0x100);
    let rest = CAPS.per_network - CAPS.per_address;
    assert_eq!(stand(&mut prefixes, 50, neighbours), rest);
    let elsewhere = |i: u16| format!("/ip6/2001:db8:{:x}::1/tcp/1", i + 0x100);
    assert_eq!(stand(&mut prefixes, 50, elsewhere), 50);
    // The same IPv4 address, however it is written.
    let mapped = |i: u16| match i % 2 {
        0 => "/ip6/::ffff:192.0.2.1/tcp/1".to_owned(),
        _ => "/ip4/192.0.2.1/tcp/1".to_owned(),
    };
    assert_eq!(stand(&mut prefixes, 50, mapped), CAPS.per_address);
}

#[test]
fn a_relay_answers_for_those_whom_it_brings() {
    let mut prefixes = Prefixes::new(Scope::Public, CAPS);
    let relay = PeerId::random();
    let over = address(&format!("/ip4/192.0.2.9/tcp/1/p2p/{relay}/p2p-circuit"));
    let guests = (0..20).filter(|_| {
        let guest = format!("/p2p/{}", PeerId::random());
        connect(&mut prefixes, &over, &guest).is_some()
    });
    assert_eq!(guests.count(), CAPS.per_address);
}

#[test]
fn room_comes_back_when_connections_end() {
    let mut prefixes = Prefixes::new(Scope::Public, CAPS);
    let from = "/ip4/198.51.100.7/tcp/1";
    let standing: Vec<_> = (0..CAPS.per_address)
        .map(|_| connect(&mut prefixes, &here(), from).unwrap())
        .collect();
    assert!(connect(&mut prefixes, &here(), from).is_none());
    close(&mut prefixes, standing[0], from);
    assert!(connect(&mut prefixes, &here(), from).is_some());
    for connection in standing {
        close(&mut prefixes, connection, from);
    }
    assert_eq!(prefixes.established.len(), 1);
    assert!(prefixes.pending.is_empty());
}

#[test]
fn handshakes_are_counted_at_once_and_in_time() {
    let mut prefixes = Prefixes::new(Scope::Public, CAPS);
    let from = |i: usize| format!("/ip4/198.51.100.{i}/tcp/1");
    let opened = (0..20).filter_map(|i| knock(&mut prefixes, &here(), &from(i)));
    let opened: Vec<_> = opened.collect();
    assert_eq!(opened.len(), CAPS.pending);
    assert!(knock(&mut prefixes, &here(), "/ip4/192.0.2.1/tcp/1").is_some());

    let few = PrefixCaps {
        handshakes: Rate {
            per_s: 0.0,
            burst: 4.0,
        },
        ..CAPS
    };
    let mut prefixes = Prefixes::new(Scope::Public, few);
    // Each of them ends at once, and the next one is still one too many.
    let begun = (0..20).filter(|i| {
        let connection = connect(&mut prefixes, &here(), &from(*i));
        connection
            .inspect(|c| close(&mut prefixes, *c, &from(*i)))
            .is_some()
    });
    assert_eq!(begun.count(), 4);
}

#[test]
fn forged_addresses_fill_no_memory() {
    let mut prefixes = Prefixes::new(Scope::Public, CAPS);
    for i in 0..20_000_u32 {
        let [_, a, b, c] = i.to_be_bytes();
        let from = format!("/ip4/{}.{b}.{c}.1/udp/9/quic-v1", a + 1);
        if let Some(connection) = connect(&mut prefixes, &here(), &from) {
            close(&mut prefixes, connection, &from);
        }
    }
    assert!(prefixes.established.is_empty() && prefixes.pending.is_empty());
    assert_eq!(prefixes.handshakes.len(), BUCKETS);
}

#[test]
fn where_all_share_a_prefix_nobody_counts() {
    for scope in [Scope::Local, Scope::Lan] {
        let mut prefixes = Prefixes::new(scope, CAPS);
        let from = |_| "/ip4/192.168.1.2/tcp/1".to_owned();
        assert_eq!(stand(&mut prefixes, 50, from), 50);
        assert!(prefixes.established.is_empty());
    }
}
