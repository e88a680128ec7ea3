//! What a peer says about itself, entered into Kademlia's routing table.
//!
//! Kademlia never drops an address that was added by hand, so a stranger that announces ever new ones would grow its
//! entry without end. Here the newest announcement replaces the one before.

use libp2p::{Multiaddr, PeerId, kad};

use super::provider_store::ProviderStore;

/// Addresses kept for one peer.
pub(crate) const ADDRESSES_PER_PEER: usize = 8;

/// Replaces what the table knows about `peer` by the first few of `announced`; with none, nothing changes.
pub(crate) fn learn(
    kad: &mut kad::Behaviour<ProviderStore>,
    peer: PeerId,
    announced: impl IntoIterator<Item = Multiaddr>,
) {
    let announced: Vec<Multiaddr> = announced
        .into_iter()
        .filter_map(|address| address.with_p2p(peer).ok())
        .take(ADDRESSES_PER_PEER)
        .collect();
    for address in &announced {
        kad.add_address(&peer, address.clone());
    }
    if !announced.is_empty() {
        for old in known(kad, peer) {
            if !announced.contains(&old) {
                kad.remove_address(&peer, &old);
            }
        }
    }
}

/// The addresses in the table.
fn known(kad: &mut kad::Behaviour<ProviderStore>, peer: PeerId) -> Vec<Multiaddr> {
    let Some(bucket) = kad.kbucket(peer) else {
        return Vec::new();
    };
    let entry = bucket
        .iter()
        .find(|entry| *entry.node.key.preimage() == peer);
    entry.map_or_else(Vec::new, |entry| entry.node.value.iter().cloned().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::ProviderCaps;

    #[test]
    fn ever_new_addresses_replace_each_other() {
        let local = PeerId::random();
        let store = ProviderStore::new(local, ProviderCaps::default());
        let mut kad = kad::Behaviour::new(local, store);
        let peer = PeerId::random();
        let address = |port: u16| format!("/ip4/127.0.0.1/tcp/{port}").parse::<Multiaddr>();
        for first in (1..5000u16).step_by(7) {
            learn(&mut kad, peer, (first..first + 20).flat_map(address));
            assert_eq!(known(&mut kad, peer).len(), ADDRESSES_PER_PEER);
        }
        learn(&mut kad, peer, None);
        assert_eq!(known(&mut kad, peer).len(), ADDRESSES_PER_PEER);
        learn(&mut kad, peer, address(9));
        let last = address(9).unwrap().with_p2p(peer).unwrap();
        assert_eq!(known(&mut kad, peer), [last]);
    }
}
