//! How far a swarm reaches, and which addresses belong to it.
//!
//! The rule stands at the transport, below everything that a stranger may fill with addresses: Kademlia answers,
//! identify, provider records, requests to dial back. A swarm on loopback never dials beyond it, whatever it is told,
//! and a peer on the internet never knocks on the doors of its own home for a stranger. An address by way of a relay is
//! judged by the relay's.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    pin::Pin,
    task::{Context, Poll},
};

use libp2p::{
    Multiaddr, PeerId,
    core::{
        Transport,
        transport::{DialOpts, ListenerId, TransportError, TransportEvent},
    },
    multiaddr::Protocol,
};

/// Address and port, and whether it is UDP.
pub fn socket(address: &Multiaddr) -> Option<(SocketAddr, bool)> {
    let mut parts = address.iter();
    let ip: IpAddr = match parts.next()? {
        Protocol::Ip4(ip) => ip.into(),
        Protocol::Ip6(ip) => ip.into(),
        _ => return None,
    };
    match parts.next()? {
        Protocol::Tcp(port) => Some((SocketAddr::new(ip, port), false)),
        Protocol::Udp(port) => Some((SocketAddr::new(ip, port), true)),
        _ => None,
    }
}

/// The same address with a port that the system chooses.
pub fn any_port(address: &Multiaddr) -> Multiaddr {
    let free = |part| match part {
        Protocol::Tcp(_) => Protocol::Tcp(0),
        Protocol::Udp(_) => Protocol::Udp(0),
        other => other,
    };
    address.iter().map(free).collect()
}

/// How far a swarm reaches; stated in its genesis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// This machine only: loopback addresses.
    Local,
    /// One site: loopback, private and link-local addresses.
    Lan,
    /// The internet: any address.
    Public,
}

impl From<starling_protocol::Scope> for Scope {
    fn from(scope: starling_protocol::Scope) -> Self {
        match scope {
            starling_protocol::Scope::Local => Scope::Local,
            starling_protocol::Scope::Lan => Scope::Lan,
            starling_protocol::Scope::Public => Scope::Public,
        }
    }
}

impl Scope {
    /// Its name in the genesis.
    pub fn name(self) -> &'static str {
        match self {
            Scope::Local => "local",
            Scope::Lan => "lan",
            Scope::Public => "public",
        }
    }

    /// Whether a peer of the swarm may be dialled at this address.
    pub fn may_dial(self, address: &Multiaddr) -> bool {
        match ip(address) {
            Some(ip) => !ip.is_unspecified() && self.contains(ip),
            None => false,
        }
    }

    /// Whether this peer may listen there. The unspecified address means every interface, so it needs a wider scope.
    pub fn may_listen(self, address: &Multiaddr) -> bool {
        if is_relayed(address) {
            return self == Scope::Public && self.may_dial(address);
        }
        match ip(address) {
            Some(ip) if ip.is_unspecified() => self != Scope::Local,
            Some(ip) => self.contains(ip),
            None => false,
        }
    }

    /// Whether an address that `told_by` announces for itself is worth remembering. On the internet a private address
    /// is believed only from a peer that is itself on the private side, else strangers would make us knock on the
    /// neighbours' doors.
    pub fn may_learn(self, address: &Multiaddr, told_by: &Multiaddr) -> bool {
        self.may_dial(address)
            && match (ip(address), ip(told_by)) {
                (Some(announced), Some(remote)) => is_site(remote) || !is_site(announced),
                _ => false,
            }
    }

    /// Whether listen addresses count as reachable at once, without a stranger's confirmation.
    pub(crate) fn trusts_listeners(self) -> bool {
        self != Scope::Public
    }

    fn contains(self, ip: IpAddr) -> bool {
        match self {
            Scope::Local => ip.is_loopback(),
            Scope::Lan => is_site(ip),
            Scope::Public => true,
        }
    }
}

/// What a peer dials: the swarm's scope, and on the internet whether private addresses are meant, too.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) scope: Scope,
    site: bool,
}

impl Bounds {
    /// The bounds of a peer that was given these addresses by its owner. On the internet, private ones are dialled only
    /// if the owner named one: a laboratory, or a test.
    pub(crate) fn new<'a>(scope: Scope, named: impl IntoIterator<Item = &'a Multiaddr>) -> Self {
        let private = |a: &Multiaddr| ip(a).is_some_and(is_site);
        let site = scope != Scope::Public || named.into_iter().any(private);
        Bounds { scope, site }
    }

    /// Whether a peer of the swarm may be dialled at this address.
    pub(crate) fn may_dial(self, address: &Multiaddr) -> bool {
        self.scope.may_dial(address) && (self.site || !ip(address).is_some_and(is_site))
    }

    /// As [`Scope::may_learn`], for an address that may be dialled.
    pub(crate) fn may_learn(self, address: &Multiaddr, told_by: &Multiaddr) -> bool {
        self.may_dial(address) && self.scope.may_learn(address, told_by)
    }

    /// Whether others may be told of this address of an own interface without having tried it.
    pub(crate) fn is_public(address: &Multiaddr) -> bool {
        ip(address).is_some_and(|ip| !ip.is_unspecified() && !is_site(ip))
    }
}

/// Whether an address leads over a relay.
pub(crate) fn is_relayed(address: &Multiaddr) -> bool {
    address.iter().any(|part| part == Protocol::P2pCircuit)
}

/// The relay that an address leads over.
pub(crate) fn relay_of(address: &Multiaddr) -> Option<PeerId> {
    let parts: Vec<_> = address.iter().collect();
    parts.windows(2).find_map(|pair| match pair {
        [Protocol::P2p(relay), Protocol::P2pCircuit] => Some(*relay),
        _ => None,
    })
}

/// The address's IP, if it is of a form that this network speaks: IP, then TCP or QUIC, then at most a peer id; or such
/// an address of a relay, then the circuit and at most the peer id of its other end.
pub(crate) fn ip(address: &Multiaddr) -> Option<IpAddr> {
    let mut parts = address.iter();
    let ip = match parts.next()? {
        Protocol::Ip4(ip) => IpAddr::V4(ip),
        Protocol::Ip6(ip) => match ip.to_ipv4_mapped() {
            Some(ip) => IpAddr::V4(ip),
            None => IpAddr::V6(ip),
        },
        _ => return None,
    };
    match parts.next()? {
        Protocol::Tcp(_) => {}
        Protocol::Udp(_) => matches!(parts.next()?, Protocol::QuicV1).then_some(())?,
        _ => return None,
    }
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (None, ..) | (Some(Protocol::P2p(_)), None, ..) => Some(ip),
        (Some(Protocol::P2p(_)), Some(Protocol::P2pCircuit), None, _)
        | (Some(Protocol::P2p(_)), Some(Protocol::P2pCircuit), Some(Protocol::P2p(_)), None) => {
            Some(ip)
        }
        _ => None,
    }
}

/// Loopback, private (RFC 1918, RFC 4193), shared (RFC 6598) or link-local.
fn is_site(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            ip.is_loopback() || ip.is_private() || ip.is_link_local() || is_shared(ip)
        }
        IpAddr::V6(ip) => ip.is_loopback() || is_unique_local(ip) || ip.is_unicast_link_local(),
    }
}

fn is_shared(ip: Ipv4Addr) -> bool {
    let [a, b, ..] = ip.octets();
    a == 100 && b & 0xc0 == 64
}

fn is_unique_local(ip: Ipv6Addr) -> bool {
    ip.segments()[0] & 0xfe00 == 0xfc00
}

/// A transport that refuses addresses outside its scope.
pub(crate) struct Scoped<T> {
    inner: T,
    bounds: Bounds,
}

impl<T> Scoped<T> {
    pub(crate) fn new(inner: T, bounds: Bounds) -> Self {
        Scoped { inner, bounds }
    }
}

impl<T: Transport + Unpin> Transport for Scoped<T> {
    type Output = T::Output;
    type Error = T::Error;
    type ListenerUpgrade = T::ListenerUpgrade;
    type Dial = T::Dial;

    fn listen_on(
        &mut self,
        id: ListenerId,
        address: Multiaddr,
    ) -> Result<(), TransportError<Self::Error>> {
        if self.bounds.scope.may_listen(&address) {
            self.inner.listen_on(id, address)
        } else {
            Err(TransportError::MultiaddrNotSupported(address))
        }
    }

    fn remove_listener(&mut self, id: ListenerId) -> bool {
        self.inner.remove_listener(id)
    }

    fn dial(
        &mut self,
        address: Multiaddr,
        options: DialOpts,
    ) -> Result<Self::Dial, TransportError<Self::Error>> {
        if self.bounds.may_dial(&address) {
            self.inner.dial(address, options)
        } else {
            Err(TransportError::MultiaddrNotSupported(address))
        }
    }

    fn poll(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<TransportEvent<Self::ListenerUpgrade, Self::Error>> {
        Pin::new(&mut self.inner).poll(cx)
    }
}
