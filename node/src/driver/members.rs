//! What a closed swarm asks of the driver: revocations go round, and whose certificate has ended is let go.

use std::sync::Arc;
use std::time::{Duration, Instant};

use starling_protocol::io::Verdict;
use tokio::sync::watch;

use crate::membership::{Gate, TOPIC};
use crate::net::{GossipHandle, NetError, NetHandle};
use crate::reason::Reason;

/// Between two looks at whose certificate has expired.
const LOOK: Duration = Duration::from_secs(5);

/// Nothing in an open swarm.
pub(crate) struct Members(Option<Watch>);

struct Watch {
    gate: Arc<Gate>,
    news: watch::Receiver<u32>,
    looked: Instant,
}

impl Members {
    pub(crate) fn new(gate: Option<Arc<Gate>>) -> Self {
        Self(gate.map(|gate| {
            let mut news = gate.news();
            // A list that it has from its disk is told too: others may have been away.
            news.mark_changed();
            let looked = Instant::now();
            Watch { gate, news, looked }
        }))
    }

    /// Ends when there is a list to tell; never in an open swarm. Cancel-safe.
    pub(super) async fn news(&mut self) {
        let told = match &mut self.0 {
            Some(watch) => watch.news.changed().await.is_ok(),
            None => false,
        };
        if !told {
            std::future::pending().await
        }
    }

    /// Whether it is time to look again at who may stay; the core's clock ticks far more often.
    pub(super) fn is_due(&mut self) -> bool {
        let watch = self.0.as_mut().filter(|w| w.looked.elapsed() >= LOOK);
        watch.map(|w| w.looked = Instant::now()).is_some()
    }

    /// Why this peer is no member itself any more.
    pub(super) fn ended(&self, net: &NetHandle) -> Option<Reason> {
        let gate = &self.0.as_ref()?.gate;
        gate.check(&net.local().into()).err()
    }

    /// Tells the newest list, and acts upon it.
    pub(super) async fn tell(&self, net: &NetHandle) {
        let bulletin = self.0.as_ref().and_then(|watch| watch.gate.bulletin());
        if let Some(bulletin) = bulletin {
            quietly(net.publish(TOPIC, bulletin).await);
            self.expel(net).await;
        }
    }

    /// Judges a list that came by gossip.
    pub(super) async fn hear(&self, net: &NetHandle, data: &[u8], handle: GossipHandle) {
        let verdict = self.0.as_ref().map(|watch| watch.gate.learn(data));
        quietly(match verdict {
            Some(Verdict::Accept) => net.accept(handle).await,
            Some(Verdict::Ignore) => net.ignore(handle).await,
            Some(Verdict::Reject) | None => net.reject(handle).await,
        });
    }

    /// Hangs up on everybody whose certificate has ended. The transport does not let them in again.
    pub(super) async fn expel(&self, net: &NetHandle) {
        let Some(Watch { gate, .. }) = &self.0 else {
            return;
        };
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
