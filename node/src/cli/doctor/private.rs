//! What others on this machine must not read, and what a private swarm asks of a home.

use std::path::Path;

use starling_protocol::PeerKey;
use starling_protocol::crypto::{Ed25519Signer, Signer as _};

use super::super::checks::Check;
use super::super::exit::Failure;
use super::super::place::Place;
use super::super::text;
use crate::api::client::TOKEN_FILE;
use crate::api::scopes::TOKENS_FILE;
use crate::driver::unix_s;
use crate::genesis;
use crate::key::Seed;
use crate::membership::{self, Gate};
use crate::reason::Reason;

/// Days of a certificate below which its owner should do something.
const FEW_DAYS: u64 = 7;
const DAY_S: u64 = 86_400;

/// Files of a home that only its owner may read, without its key, which has a check of its own.
pub fn files() -> impl Iterator<Item = &'static str> {
    let own = ["requester/identity.key", TOKEN_FILE, TOKENS_FILE];
    own.into_iter().chain(membership::FILES)
}

/// The permissions of a file or folder; none where there is none, or no such thing as permissions.
pub fn mode(path: &Path) -> Option<u32> {
    #[cfg(unix)]
    {
        let about = std::fs::metadata(path).ok()?;
        Some(std::os::unix::fs::PermissionsExt::mode(&about.permissions()) & 0o777)
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        None
    }
}

/// Whether all of them are private.
pub fn exposed(place: &Place) -> Vec<Check> {
    let open = files().filter_map(|name| {
        let path = place.root.join(name);
        let mode = mode(&path).filter(|mode| mode & 0o077 != 0)?;
        let path = path.display();
        let what = format!("others on this machine can touch {path} (mode {mode:03o})");
        let fix = format!("run: chmod 600 {path}, or `starling doctor --fix`");
        let reason = Reason::new("home_exposed", what, fix);
        Some(Check::finding("files", reason.into()))
    });
    let mut checks: Vec<_> = open.collect();
    if checks.is_empty() {
        checks.push(Check::ok(
            "files",
            "tokens and certificates are yours alone",
        ));
    }
    checks
}

/// What the home's certificate is worth; nothing if its swarm is open, or not known.
pub fn member(place: &Place) -> Option<Check> {
    let genesis = genesis::load(&place.genesis_file()).ok()?;
    genesis.admission?;
    let finding = |reason: Reason| Check::finding("membership", Failure::from(reason));
    let gate = match Gate::open(&place.root, &genesis) {
        Ok(gate) => gate?,
        // That has been told already.
        Err(reason) if reason.code == "home_exposed" => return None,
        Err(reason) => return Some(finding(reason)),
    };
    let certificate = gate.certificate().body;
    let key = |file: &str| -> Option<PeerKey> {
        let seed = Seed::load(&place.root.join(file)).ok()?;
        Some(Ed25519Signer::from_seed(seed.as_bytes()).key())
    };
    // Without its own key it is still worth knowing whether the certificate would do.
    let peer = key("identity.key").unwrap_or(certificate.peer);
    let requester = certificate.requester;
    let requester = requester.map(|named| key("requester/identity.key").unwrap_or(named));
    let mut keys = [Some(peer), requester].into_iter().flatten();
    if let Some(reason) = keys.find_map(|key| gate.check(&key).err()) {
        return Some(finding(reason));
    }
    let days = certificate.until_s.saturating_sub(unix_s()) / DAY_S;
    let issues = if gate.issues() {
        ", whose key is here"
    } else {
        ""
    };
    let what = format!(
        "certificate {:?} of {:?}{issues}, {} left",
        certificate.name.as_str(),
        genesis.name,
        text::count(usize::try_from(days).unwrap_or(usize::MAX), "day"),
    );
    Some(if days < FEW_DAYS {
        let fix =
            "ask the swarm's issuer for another invitation in time, and `starling swarm join CODE`";
        Check::note("membership", what, fix)
    } else {
        Check::ok("membership", what)
    })
}
