//! The core names a peer by its ed25519 public key, libp2p by a `PeerId`. For ed25519 the id is the key itself in an
//! identity multihash, so that both ways are exact and neither needs a table.

use libp2p::identity::{PeerId, PublicKey, ed25519};

/// An ed25519 public key: the name of a peer.
pub type PeerKey = [u8; 32];

/// The libp2p name of a peer; `None` if the bytes are no point of the curve.
pub fn peer_id(key: &PeerKey) -> Option<PeerId> {
    let key = ed25519::PublicKey::try_from_bytes(key).ok()?;
    Some(PublicKey::from(key).to_peer_id())
}

/// The key inside a libp2p name; `None` if it is not an ed25519 one.
pub fn peer_key(id: &PeerId) -> Option<PeerKey> {
    const IDENTITY: u64 = 0;
    let hash = id.as_ref();
    if hash.code() != IDENTITY {
        return None;
    }
    let key = PublicKey::try_decode_protobuf(hash.digest()).ok()?;
    Some(key.try_into_ed25519().ok()?.to_bytes())
}
