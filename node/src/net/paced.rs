//! A behaviour of libp2p's whose inbound streams and frames are counted by peer.
//!
//! libp2p's protocols limit how much goes on at once, not how often; most tell nobody that somebody asked. Here a
//! stream that is one too many is dropped before the protocol sees it, which resets it, and so is what a connection
//! reports: Kademlia reports each request and each answer, gossipsub each frame. All connections of a peer share its
//! buckets.
//!
//! Out of sight stay: frames that a protocol deals with inside a connection (pings on an open stream), streams that
//! speak no protocol of ours, and what the layers below do. The caps on streams and bytes in `transport` bound those.
//! A request that is dropped keeps its stream, so whoever floods Kademlia has used up its 32 soon.

use std::{
    ops::{Deref, DerefMut},
    task::{Context, Poll},
};

use libp2p::{
    Multiaddr, PeerId,
    core::{Endpoint, transport::PortUse},
    swarm::{
        ConnectionDenied, ConnectionHandler, ConnectionHandlerEvent, ConnectionId, FromSwarm,
        NetworkBehaviour, SubstreamProtocol, THandler, THandlerInEvent, THandlerOutEvent, ToSwarm,
        handler::ConnectionEvent,
    },
};

use super::{
    Rate,
    rate::{Floods, Gate},
};

/// A behaviour that strangers can use only so often.
pub(crate) struct Paced<B> {
    inner: B,
    streams: Gate<PeerId>,
    frames: Option<Gate<PeerId>>,
}

impl<B> Paced<B> {
    /// Takes so many streams of one peer.
    pub(crate) fn streams(inner: B, rate: Rate, floods: &Floods<PeerId>) -> Self {
        Paced {
            inner,
            streams: Gate::new(rate, floods),
            frames: None,
        }
    }

    /// Takes so many frames of one peer, too.
    pub(crate) fn frames(mut self, rate: Rate, floods: &Floods<PeerId>) -> Self {
        self.frames = Some(Gate::new(rate, floods));
        self
    }

    fn pace<H>(&self, peer: PeerId, inner: H) -> PacedHandler<H> {
        PacedHandler {
            inner,
            peer,
            streams: self.streams.clone(),
        }
    }
}

impl<B> Deref for Paced<B> {
    type Target = B;

    fn deref(&self) -> &B {
        &self.inner
    }
}

impl<B> DerefMut for Paced<B> {
    fn deref_mut(&mut self) -> &mut B {
        &mut self.inner
    }
}

impl<B: NetworkBehaviour> NetworkBehaviour for Paced<B> {
    type ConnectionHandler = PacedHandler<THandler<B>>;
    type ToSwarm = B::ToSwarm;

    fn handle_pending_inbound_connection(
        &mut self,
        connection: ConnectionId,
        local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<(), ConnectionDenied> {
        self.inner
            .handle_pending_inbound_connection(connection, local, remote)
    }

    fn handle_established_inbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        let handler = self
            .inner
            .handle_established_inbound_connection(connection, peer, local, remote)?;
        Ok(self.pace(peer, handler))
    }

    fn handle_pending_outbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: Option<PeerId>,
        addresses: &[Multiaddr],
        role: Endpoint,
    ) -> Result<Vec<Multiaddr>, ConnectionDenied> {
        self.inner
            .handle_pending_outbound_connection(connection, peer, addresses, role)
    }

    fn handle_established_outbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        address: &Multiaddr,
        role: Endpoint,
        port: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        let handler = self
            .inner
            .handle_established_outbound_connection(connection, peer, address, role, port)?;
        Ok(self.pace(peer, handler))
    }

    fn on_swarm_event(&mut self, event: FromSwarm) {
        self.inner.on_swarm_event(event);
    }

    fn on_connection_handler_event(
        &mut self,
        peer: PeerId,
        connection: ConnectionId,
        event: THandlerOutEvent<Self>,
    ) {
        if self.frames.as_ref().is_none_or(|gate| gate.pass(peer, 1.0)) {
            self.inner
                .on_connection_handler_event(peer, connection, event);
        }
    }

    fn poll(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        self.inner.poll(cx)
    }
}

/// One connection's half.
pub(crate) struct PacedHandler<H> {
    inner: H,
    peer: PeerId,
    streams: Gate<PeerId>,
}

impl<H: ConnectionHandler> ConnectionHandler for PacedHandler<H> {
    type FromBehaviour = H::FromBehaviour;
    type ToBehaviour = H::ToBehaviour;
    type InboundProtocol = H::InboundProtocol;
    type OutboundProtocol = H::OutboundProtocol;
    type InboundOpenInfo = H::InboundOpenInfo;
    type OutboundOpenInfo = H::OutboundOpenInfo;

    fn listen_protocol(&self) -> SubstreamProtocol<Self::InboundProtocol, Self::InboundOpenInfo> {
        self.inner.listen_protocol()
    }

    fn connection_keep_alive(&self) -> bool {
        self.inner.connection_keep_alive()
    }

    fn poll(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<
        ConnectionHandlerEvent<Self::OutboundProtocol, Self::OutboundOpenInfo, Self::ToBehaviour>,
    > {
        self.inner.poll(cx)
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<Option<Self::ToBehaviour>> {
        self.inner.poll_close(cx)
    }

    fn on_behaviour_event(&mut self, event: Self::FromBehaviour) {
        self.inner.on_behaviour_event(event);
    }

    fn on_connection_event(
        &mut self,
        event: ConnectionEvent<
            Self::InboundProtocol,
            Self::OutboundProtocol,
            Self::InboundOpenInfo,
            Self::OutboundOpenInfo,
        >,
    ) {
        let opened = matches!(event, ConnectionEvent::FullyNegotiatedInbound(_));
        if !opened || self.streams.pass(self.peer, 1.0) {
            self.inner.on_connection_event(event);
        }
    }
}
