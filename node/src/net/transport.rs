//! The way from an address to an authenticated connection: TCP or another peer's relay with Noise and yamux, or QUIC;
//! then admission.
//!
//! Order matters: scope is checked before a socket is touched, admission after the remote has proven its key and
//! before the swarm sees the connection.

use std::{
    net::{IpAddr, TcpListener},
    sync::Arc,
    time::Duration,
};

use futures::{future::Either, io::BufReader};
use libp2p::{
    Multiaddr, PeerId, Transport,
    core::{
        ConnectedPoint, Endpoint,
        muxing::StreamMuxerBox,
        transport::{
            Boxed, DialOpts, OptionalTransport, OrTransport, PortUse, timeout::TransportTimeout,
        },
        upgrade::Version,
    },
    identity::Keypair,
    multiaddr::Protocol,
    noise, quic, relay, tcp, yamux,
};

use super::{
    NetError, NetLimits, Rate,
    admission::{Admission, AdmissionError, Handshake},
    metered::Metered,
    peer_key::peer_key,
    scope::{Bounds, Scoped},
};

/// Longest that a connection may take from the first packet to admission.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(15);
/// Streams open at once on one connection. The busiest protocol, control, takes at most a third of them.
const STREAMS_PER_CONNECTION: usize = 128;
/// Read from a TCP socket at once: Noise asks for 8 KiB at a time, which makes four times as many system calls.
const TCP_READ_BYTES: usize = 32 * 1024;
/// Unread bytes that a stranger may make a QUIC connection hold; libp2p's default is 15 MB.
const QUIC_CONNECTION_BYTES: u32 = 4 << 20;
/// Of these, on one stream: a little more than a fast link needs to stay busy (256 Mbit/s over 30 ms).
const QUIC_STREAM_BYTES: u32 = 1 << 20;

/// Builds the transport; `circuits` leads over relays, where the swarm has them. A connection takes so many `streams`.
pub(crate) fn build(
    keypair: &Keypair,
    bounds: Bounds,
    admission: Option<Arc<dyn Admission>>,
    circuits: Option<relay::client::Transport>,
    streams: Rate,
) -> Result<Boxed<(PeerId, StreamMuxerBox)>, NetError> {
    let noise = noise::Config::new(keypair).map_err(|e| NetError::Key(e.to_string()))?;
    let mut yamux = yamux::Config::default();
    yamux.set_max_num_streams(STREAMS_PER_CONNECTION);
    let circuits = circuits.map_or_else(OptionalTransport::none, OptionalTransport::some);
    let tcp = tcp::tokio::Transport::new(tcp::Config::new().nodelay(true))
        .map(|socket, _| BufReader::with_capacity(TCP_READ_BYTES, socket));
    // Circuits first: TCP takes the relay's address for the peer's.
    let tcp = OrTransport::new(circuits, tcp)
        .upgrade(Version::V1Lazy)
        .authenticate(noise)
        .multiplex(yamux)
        .map(move |(peer, muxer), _| (peer, StreamMuxerBox::new(Metered::new(muxer, streams))));

    let mut config = quic::Config::new(keypair);
    config.max_concurrent_stream_limit = STREAMS_PER_CONNECTION as u32;
    config.max_connection_data = QUIC_CONNECTION_BYTES;
    config.max_stream_data = QUIC_STREAM_BYTES;
    let quic = quic::tokio::Transport::new(config)
        .map(move |(peer, muxer), _| (peer, StreamMuxerBox::new(Metered::new(muxer, streams))));

    let admitted = OrTransport::new(quic, tcp)
        .map(|either, _| match either {
            Either::Left(connection) | Either::Right(connection) => connection,
        })
        .and_then(move |(peer, muxer), endpoint| {
            admit(admission.clone(), peer, speaks_first(&endpoint), muxer)
        });
    let timed = TransportTimeout::new(admitted, HANDSHAKE_TIMEOUT);
    Ok(Scoped::new(timed, bounds).boxed())
}

/// Dials an address for `admission` alone: whatever it says, the connection ends.
///
/// # Errors
/// Why there was no connection; `admission`'s own refusals too.
pub(crate) async fn knock(
    keypair: &Keypair,
    bounds: Bounds,
    admission: Arc<dyn Admission>,
    address: Multiaddr,
) -> Result<(), NetError> {
    let dial = DialOpts {
        role: Endpoint::Dialer,
        port_use: PortUse::New,
    };
    let unreachable = |e: String| NetError::Unreachable {
        address: address.clone(),
        reason: e,
    };
    let streams = NetLimits::default().connection_streams;
    let mut transport = build(keypair, bounds, Some(admission), None, streams)?;
    let dialed = transport.dial(address.clone(), dial);
    let connected = dialed.map_err(|e| unreachable(e.to_string()))?.await;
    connected.map(drop).map_err(|e| unreachable(e.to_string()))
}

/// Whether this side speaks first. Where two peers punch a hole both have dialled, and have agreed on who is which.
fn speaks_first(endpoint: &ConnectedPoint) -> bool {
    match endpoint {
        ConnectedPoint::Dialer { role_override, .. } => role_override.is_dialer(),
        ConnectedPoint::Listener { .. } => false,
    }
}

/// Refuses a TCP port that another process listens on. libp2p shares ports (hole punching needs that), so two peers
/// started with the same one would silently steal each other's connections.
pub(crate) fn check_port_free(address: &Multiaddr) -> Result<(), NetError> {
    let mut parts = address.iter();
    let ip = match parts.next() {
        Some(Protocol::Ip4(ip)) => IpAddr::V4(ip),
        Some(Protocol::Ip6(ip)) => IpAddr::V6(ip),
        _ => return Ok(()),
    };
    let Some(Protocol::Tcp(port @ 1..)) = parts.next() else {
        return Ok(());
    };
    TcpListener::bind((ip, port))
        .map(drop)
        .map_err(|e| NetError::Listen {
            address: address.clone(),
            reason: e.to_string(),
        })
}

async fn admit(
    admission: Option<Arc<dyn Admission>>,
    peer: PeerId,
    dialed: bool,
    mut muxer: StreamMuxerBox,
) -> Result<(PeerId, StreamMuxerBox), AdmissionError> {
    let remote = peer_key(&peer).ok_or(AdmissionError::Key)?;
    if let Some(admission) = admission {
        admission
            .admit(Handshake::new(remote, dialed, &mut muxer))
            .await
            .inspect_err(|error| tracing::debug!(%peer, %error, "connection refused"))?;
    }
    Ok((peer, muxer))
}
