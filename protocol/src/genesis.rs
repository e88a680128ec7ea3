//! A swarm's genesis: the few parameters that all its peers share. `SwarmId` is the digest of its canonical bytes,
//! and stands in every protocol name and under every signature, so two swarms can never mix.

use crate::hash::{Hash, PeerKey, SwarmId};
use crate::manifest::{Manifest, Roster};
use crate::{codec, config};
use alloc::string::String;
use serde::{Deserialize, Serialize};

/// How far the swarm reaches, and so which discovery services may run and which addresses count as confirmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Loopback only: demos and tests.
    Local,
    /// One local network.
    Lan,
    /// The internet.
    Public,
}

/// A swarm's parameters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Genesis {
    /// Version of the rules.
    pub version: u16,
    /// Name for people, 1 to 64 characters.
    pub name: String,
    /// How far the swarm reaches.
    pub scope: Scope,
    /// Target time of one slice on one device, ms (100 to 600,000).
    pub slice_ms: u32,
    /// Refresh interval of adverts, ms (1,000 to 600,000). An advert is forgotten after three of them.
    pub advert_ms: u32,
    /// Parts that the swarm's adverts and boards fall into, 1 to 4,096; see [`crate::board::home`].
    pub shards: u16,
    /// Random, so that two swarms of one name differ.
    pub salt: Hash,
    /// What its jobs may ask of a peer.
    pub limits: Limits,
    /// Whose certificates admit a peer; none in an open swarm. See [`crate::admission`].
    pub admission: Option<PeerKey>,
}

/// A swarm's own limits, at most those of the protocol. A peer takes up no job beyond them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Peers in a roster, 1 to [`config::ROSTER_MAX`].
    pub roster: u16,
    /// MiB of one input blob, 1 to 2048.
    pub input_mib: u32,
    /// Seconds until a job's deadline, 60 to [`config::DEADLINE_MAX_S`].
    pub deadline_s: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            roster: config::ROSTER_MAX as u16,
            input_mib: (config::INPUT_LEN_MAX >> 20) as u32,
            deadline_s: config::DEADLINE_MAX_S,
        }
    }
}

impl Limits {
    /// Whether a job with such a roster, and a deadline so far ahead, is within them.
    #[must_use]
    pub fn admit(&self, manifest: &Manifest, roster: &Roster, ahead_s: u64) -> bool {
        roster.peers().len() <= usize::from(self.roster)
            && manifest
                .inputs
                .iter()
                .all(|i| i.len <= u64::from(self.input_mib) << 20)
            && (1..=u64::from(self.deadline_s)).contains(&ahead_s)
    }
}

/// Why a genesis is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GenesisError {
    /// Not an encoding of a genesis.
    #[error(transparent)]
    Codec(#[from] codec::CodecError),
    /// Rules that this version does not know.
    #[error("genesis has rules version {0}, this build knows version {known}", known = config::RULES_VERSION)]
    Version(u16),
    /// A field out of its range.
    #[error("genesis field `{0}` is out of range")]
    Range(&'static str),
}

impl Genesis {
    /// A genesis with the defaults of its scope.
    #[must_use]
    pub fn new(name: impl Into<String>, scope: Scope, salt: Hash) -> Self {
        let slice_ms = if scope == Scope::Local { 1_000 } else { 20_000 };
        Self {
            version: config::RULES_VERSION,
            name: name.into(),
            scope,
            slice_ms,
            advert_ms: 10_000,
            shards: 1,
            salt,
            limits: Limits::default(),
            admission: None,
        }
    }

    /// The same, closed: certificates of `admission` admit.
    #[must_use]
    pub fn closed(self, admission: PeerKey) -> Self {
        Self {
            admission: Some(admission),
            ..self
        }
    }

    /// Checks every field's range.
    ///
    /// # Errors
    /// [`GenesisError`] naming the field.
    pub fn check(&self) -> Result<(), GenesisError> {
        let in_range = |ok, field| {
            if ok {
                Ok(())
            } else {
                Err(GenesisError::Range(field))
            }
        };
        if self.version != config::RULES_VERSION {
            return Err(GenesisError::Version(self.version));
        }
        in_range((1..=64).contains(&self.name.chars().count()), "name")?;
        in_range(!self.name.chars().any(char::is_control), "name")?;
        in_range((100..=600_000).contains(&self.slice_ms), "slice_ms")?;
        in_range((1_000..=600_000).contains(&self.advert_ms), "advert_ms")?;
        in_range((1..=4_096).contains(&self.shards), "shards")?;
        let Limits {
            roster,
            input_mib,
            deadline_s,
        } = self.limits;
        let most = Limits::default();
        in_range((1..=most.roster).contains(&roster), "limits.roster")?;
        in_range(
            (1..=most.input_mib).contains(&input_mib),
            "limits.input_mib",
        )?;
        in_range(
            (60..=most.deadline_s).contains(&deadline_s),
            "limits.deadline_s",
        )
    }

    /// The swarm's name in every protocol.
    #[must_use]
    pub fn swarm_id(&self) -> SwarmId {
        SwarmId(Hash::derive(
            "starling 2026-11 genesis v1",
            &[&codec::encode(self)],
        ))
    }

    /// Canonical bytes.
    #[must_use]
    pub fn to_bytes(&self) -> alloc::vec::Vec<u8> {
        codec::encode(self)
    }

    /// Decodes and checks.
    ///
    /// # Errors
    /// [`GenesisError`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, GenesisError> {
        let genesis: Self = codec::decode(bytes, config::GENESIS_MAX)?;
        genesis.check()?;
        Ok(genesis)
    }
}
