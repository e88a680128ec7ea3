//! What a closed swarm asks of the driver: revocations go round, and whose certificate has ended is let go.

use std::sync::Arc;

use starling_protocol::io::Verdict;
use tokio::sync::watch;

use crate::membership::{Gate, TOPIC};
use crate::net::{GossipHandle, NetError, NetHandle};
use crate::reason::Reason;

/// Nothing in an open swarm.
pub(crate) struct Members(Option<(Arc<Gate>, watch::Receiver<u32>)>);

impl Members {
    pub(crate) fn new(gate: Option<Arc<Gate>>) -> Self {
        Self(gate.map(|gate| {
            let mut news = gate.news();
            // A list that it has from its disk is told too: others may have been away.
            news.mark_changed();
            (gate, news)
        }))
    }

    /// Ends when there is a list to tell; never in an open swarm. Cancel-safe.
    pub(super) async fn news(&mut self) {
        let told = match &mut self.0 {
            Some((_, news)) => news.changed().await.is_ok(),
            None => false,
        };
        if !told {
            std::future::pending().await
        }
    }

    /// Why this peer is no member itself any more.
    pub(super) fn ended(&self, net: &NetHandle) -> Option<Reason> {
        let (gate, _) = self.0.as_ref()?;
        gate.check(&net.local().into()).err()
    }

    /// Tells the newest list, and acts upon it.
    pub(super) async fn tell(&self, net: &NetHandle) {
        let bulletin = self.0.as_ref().and_then(|(gate, _)| gate.bulletin());
        if let Some(bulletin) = bulletin {
            quietly(net.publish(TOPIC, bulletin).await);
            self.expel(net).await;
        }
    }

    /// Judges a list that came by gossip.
    pub(super) async fn hear(&self, net: &NetHandle, data: &[u8], handle: GossipHandle) {
        let verdict = self.0.as_ref().map(|(gate, _)| gate.learn(data));
        quietly(match verdict {
            Some(Verdict::Accept) => net.accept(handle).await,
            Some(Verdict::Ignore) => net.ignore(handle).await,
            Some(Verdict::Reject) | None => net.reject(handle).await,
        });
    }

    /// Hangs up on everybody whose certificate has ended. The transport does not let them in again.
    pub(super) async fn expel(&self, net: &NetHandle) {
        let Some((gate, _)) = &self.0 else { return };
        for peer in net.connected().await.unwrap_or_default() {
            if !gate.welcomes(&peer.into()) {
                tracing::info!(peer = %starling_protocol::PeerKey::from(peer), "no member any more");
                quietly(net.disconnect(peer, false).await);
            }
        }
    }
}

/// A network that has closed means that the peer is leaving.
fn quietly(result: Result<(), NetError>) {
    if let Err(error) = result {
        tracing::debug!(%error, "the network did not take it");
    }
}
