//! An invitation as one word that people send each other: `STARLING1` and base 32, so that a QR code of it is small.

use super::{InvitationId, InvitationSecret};
use crate::config::{ENTRANCES_MAX, INVITATION_MAX};
use crate::genesis::{Genesis, GenesisError};
use crate::hash::{Hash, PeerKey};
use crate::{codec, text::Text};
use alloc::string::String;
use arrayvec::ArrayVec;
use data_encoding::BASE32_NOPAD;
use serde::{Deserialize, Serialize};

/// What each code begins with; the digit is its version.
const PREFIX: &str = "STARLING1";
/// Bytes of the check at its end.
const CHECK: usize = 4;

/// All that a newcomer needs: the swarm, whom to dial, and the proof of being invited.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invitation {
    /// The swarm.
    pub genesis: Genesis,
    /// Its name at the issuer.
    pub id: InvitationId,
    /// What opens it.
    pub secret: InvitationSecret,
    /// Seconds since 1970 when it ends; the issuer's clock counts.
    pub until_s: u64,
    /// Peers to dial: the issuer first, which alone can admit, then other members.
    pub entrances: ArrayVec<Entrance, ENTRANCES_MAX>,
}

/// A peer with its addresses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entrance {
    /// Its key.
    pub peer: PeerKey,
    /// Multiaddresses without the peer's name.
    pub addresses: ArrayVec<Text<128>, 4>,
}

/// Why a text is no invitation.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvitationError {
    /// It begins otherwise.
    #[error("this is no invitation: those begin with {PREFIX}")]
    Prefix,
    /// The check does not fit.
    #[error("the invitation is cut or mistyped")]
    Cut,
    /// Whole, and still not understood.
    #[error("the invitation is of another version")]
    Version,
    /// Its swarm is impossible.
    #[error("the invitation's swarm cannot be: {0}")]
    Genesis(GenesisError),
    /// Its swarm needs none.
    #[error("the invitation's swarm is open")]
    Open,
}

impl Invitation {
    /// As people send it.
    #[must_use]
    pub fn code(&self) -> String {
        let mut bytes = codec::encode(self);
        let check = check(&bytes);
        bytes.extend_from_slice(&check);
        let mut code = String::from(PREFIX);
        code.push_str(&BASE32_NOPAD.encode(&bytes));
        code
    }

    /// Reads what [`Invitation::code`] wrote; case and white space do not matter.
    ///
    /// # Errors
    /// [`InvitationError`].
    pub fn parse(text: &str) -> Result<Self, InvitationError> {
        // More would be refused below; who pastes a book waits no longer for it.
        let most = PREFIX.len() + 2 * INVITATION_MAX;
        let letters = text.chars().filter(|c| !c.is_whitespace() && *c != '-');
        let code: String = letters.take(most).map(|c| c.to_ascii_uppercase()).collect();
        let rest = code.strip_prefix(PREFIX).ok_or(InvitationError::Prefix)?;
        let bytes = BASE32_NOPAD
            .decode(rest.as_bytes())
            .map_err(|_| InvitationError::Cut)?;
        let (body, end) = bytes
            .split_last_chunk::<CHECK>()
            .ok_or(InvitationError::Cut)?;
        if *end != check(body) {
            return Err(InvitationError::Cut);
        }
        let invitation: Self =
            codec::decode(body, INVITATION_MAX).map_err(|_| InvitationError::Version)?;
        let genesis = &invitation.genesis;
        genesis.check().map_err(InvitationError::Genesis)?;
        if genesis.admission.is_none() {
            return Err(InvitationError::Open);
        }
        Ok(invitation)
    }
}

fn check(bytes: &[u8]) -> [u8; CHECK] {
    let Hash(digest) = Hash::derive("starling 2026-11 invitation check v1", &[bytes]);
    core::array::from_fn(|i| digest[i])
}
