//! Whom a peer was connected with last: it dials them at its next start, so that any member serves as a bootstrap, and
//! nobody has to be up for ever.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::home::disk::write_atomically;
use crate::net::{Multiaddr, NetStatus, is_relayed, peer_id};
use crate::node::Node;

/// Where they are written down, within a home.
pub const NEIGHBOURS_FILE: &str = "neighbours.json";
/// So many are remembered.
const NEIGHBOURS: usize = 8;
/// Longest such file that is believed, in bytes.
const FILE_MAX: u64 = 16 * 1024;
/// Between two looks: the first comes soon, for peers that run for a moment only.
const LOOKS: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(60));

/// Those of a home; none if the file cannot be used.
pub fn load(home: &Path) -> Vec<Multiaddr> {
    let path = home.join(NEIGHBOURS_FILE);
    let small = std::fs::metadata(&path).is_ok_and(|about| about.len() <= FILE_MAX);
    let bytes = small.then(|| std::fs::read(&path).ok()).flatten();
    let texts: Vec<String> = bytes
        .and_then(|bytes| serde_json::from_slice(&bytes).ok())
        .unwrap_or_default();
    let all = texts.iter().filter_map(|text| text.parse().ok());
    all.take(NEIGHBOURS).collect()
}

/// Writes them down from time to time, until the peer leaves.
pub async fn remember(node: Arc<Node>, home: std::path::PathBuf) {
    let mut known = load(&home);
    let mut wait = LOOKS.0;
    loop {
        tokio::time::sleep(wait).await;
        wait = LOOKS.1;
        let Some(status) = node.network().await else {
            return;
        };
        let now = neighbours(&status);
        // Who is alone for the moment still knows whom it knew.
        if now.is_empty() || now == known {
            continue;
        }
        let texts: Vec<_> = now.iter().map(Multiaddr::to_string).collect();
        let bytes = serde_json::to_vec(&texts).unwrap_or_default();
        match write_atomically(&home.join(NEIGHBOURS_FILE), &bytes) {
            Ok(()) => known = now,
            Err(error) => tracing::warn!(%error, "whom this peer knows was not written down"),
        }
    }
}

/// One address of each of the first few that can be dialled directly.
fn neighbours(status: &NetStatus) -> Vec<Multiaddr> {
    let address = |peer: &str, announced: &[Multiaddr]| {
        let key: starling_protocol::PeerKey = peer.parse().ok()?;
        let id = peer_id(key.as_bytes())?;
        let direct = announced.iter().find(|a| !is_relayed(a))?;
        let bare = direct.to_string();
        let bare = bare.split("/p2p/").next()?;
        format!("{bare}/p2p/{id}").parse().ok()
    };
    let all = status.connections.iter();
    all.filter_map(|one| address(&one.peer, &one.announced))
        .take(NEIGHBOURS)
        .collect()
}
