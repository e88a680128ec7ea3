//! Routes of a closed swarm: who belongs to it, invitations, and taking them back.

use std::sync::Arc;

use arrayvec::ArrayVec;
use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use starling_protocol::admission::{Entrance, InvitationId};
use starling_protocol::config::ENTRANCES_MAX;
use starling_protocol::{PeerKey, SwarmId, text};
use utoipa::ToSchema;

use super::Hosted;
use super::extract::{Sent, bad};
use super::handlers::{Answer, Shared};
use super::types::{Problem, SCHEMA};
use crate::driver::unix_s;
use crate::membership::{Gate, Member};
use crate::net::{Multiaddr, NetStatus, Scope, is_relayed, socket};
use crate::reason::Reason;

/// Homes that one invitation is for, at most.
const USES_MAX: u16 = 1_000;
/// How long an invitation is good, and a certificate: at most ten years.
const LONGEST_S: u64 = 10 * 365 * 86_400;
/// Addresses of one peer in an invitation.
const ADDRESSES: usize = 4;

/// The swarm, and this home's place in it.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct SwarmView {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Its name.
    pub name: String,
    /// Its id.
    #[schema(value_type = String)]
    pub swarm: SwarmId,
    /// Whether only members get in.
    pub closed: bool,
    /// Whether this home gives the certificates.
    pub issuer: bool,
    /// All of them at the issuer; elsewhere this home and whom it has met since it started.
    pub members: Vec<MemberView>,
    /// Invitations that somebody can still join by; at the issuer.
    pub invitations: Vec<InvitationView>,
}

/// A home with a certificate.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct MemberView {
    /// The certificate's name.
    pub id: String,
    /// What people call the home.
    pub name: String,
    /// Its lending peer.
    #[schema(value_type = String)]
    pub peer: PeerKey,
    /// Its requester.
    #[schema(value_type = Option<String>)]
    pub requester: Option<PeerKey>,
    /// When it joined, Unix seconds, as the issuer remembers.
    pub joined_s: Option<u64>,
    /// When the certificate ends, Unix seconds.
    pub until_s: u64,
    /// `member`, or the code of what is wrong with the certificate.
    pub standing: String,
    /// Whether it is this home.
    pub own: bool,
}

/// An open invitation.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct InvitationView {
    /// Its name.
    pub id: String,
    /// So many more may join by it.
    pub uses: u16,
    /// When it ends, Unix seconds.
    pub until_s: u64,
}

/// What an invitation shall be.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct InvitationOrder {
    /// For so many homes.
    pub uses: u16,
    /// Good for so many seconds.
    pub expires_s: u64,
    /// Its certificates are good for so many.
    pub member_s: u64,
}

/// An invitation, to be sent to whom it is for.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct InvitationCode {
    /// [`SCHEMA`].
    pub schema: u32,
    /// What `starling swarm join` takes. Whoever has it can join.
    pub code: String,
    /// Its name.
    pub id: String,
    /// For so many homes.
    pub uses: u16,
    /// When it ends, Unix seconds.
    pub until_s: u64,
    /// Where newcomers knock.
    pub addresses: Vec<String>,
}

/// Whom to take back.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct RevocationOrder {
    /// The home's name, or the beginning of its key, of the certificate's id, or of an invitation's.
    pub who: String,
}

/// What was taken back.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Revoked {
    /// [`SCHEMA`].
    pub schema: u32,
    /// For people.
    pub revoked: String,
}

fn gate(hosted: &Hosted) -> Result<&Arc<Gate>, Reason> {
    hosted.gate.as_ref().ok_or_else(|| {
        let what = format!("the swarm {:?} is open", hosted.swarm_name);
        let fix = "whoever has its file can join; `starling swarm create NAME` makes a closed one";
        Reason::new("swarm_open", what, fix)
    })
}

fn view(member: &Member, own: &PeerKey) -> MemberView {
    let body = &member.certificate;
    let standing = member
        .standing
        .map_or_else(|refusal| refusal.code(), |()| "member");
    MemberView {
        id: member.id.to_string(),
        name: body.name.to_string(),
        peer: body.peer,
        requester: body.requester,
        joined_s: member.at_s,
        until_s: body.until_s,
        standing: standing.into(),
        own: body.names(own),
    }
}

/// The swarm, and who belongs to it.
#[utoipa::path(get, path = "/swarm", responses((status = 200, body = SwarmView)))]
pub(super) async fn show(State(hosted): Shared) -> Answer<SwarmView> {
    let node = match &hosted.lender {
        Some(node) => node,
        None => hosted.desk().await?.node(),
    };
    let gate = hosted.gate.as_ref();
    let members = gate.map(|gate| gate.members()).unwrap_or_default();
    let open = gate.map(|gate| gate.invitations()).unwrap_or_default();
    let invitation = |(id, uses, until_s): (InvitationId, _, _)| InvitationView {
        id: InvitationId::to_string(&id),
        uses,
        until_s,
    };
    Ok(Json(SwarmView {
        schema: SCHEMA,
        name: hosted.swarm_name.clone(),
        swarm: node.swarm(),
        closed: gate.is_some(),
        issuer: gate.is_some_and(|gate| gate.issues()),
        members: members.iter().map(|m| view(m, &node.key())).collect(),
        invitations: open.into_iter().map(invitation).collect(),
    }))
}

/// Makes an invitation, which leads to this peer.
#[utoipa::path(post, path = "/swarm/invitations", request_body = InvitationOrder,
    responses((status = 200, body = InvitationCode), (status = 400, body = Problem, content_type = "application/problem+json")))]
pub(super) async fn invite(
    State(hosted): Shared,
    Sent(order): Sent<InvitationOrder>,
) -> Answer<InvitationCode> {
    if !(1..=USES_MAX).contains(&order.uses) {
        return Err(bad(format!("`uses` is 1 to {USES_MAX}")));
    }
    for (name, seconds) in [("expires_s", order.expires_s), ("member_s", order.member_s)] {
        if !(60..=LONGEST_S).contains(&seconds) {
            return Err(bad(format!("`{name}` is 60 to {LONGEST_S}")));
        }
    }
    let gate = gate(&hosted)?.clone();
    let node = hosted.lender.as_ref().ok_or_else(no_lender)?;
    let net = node.network().await.ok_or_else(no_lender)?;
    let entrances = entrances(&net, node.key());
    if entrances
        .first()
        .is_none_or(|first| first.addresses.is_empty())
    {
        let what = "nobody can dial this peer, so nobody could join by its invitation";
        return Err(Reason::new(
            "unreachable",
            what,
            "`starling net check` says why",
        ));
    }
    let until_s = unix_s() + order.expires_s;
    // It waits for the disk.
    let made =
        tokio::task::spawn_blocking(move || gate.invite(order.uses, until_s, order.member_s));
    let mut invitation = made.await.map_err(|e| Reason::of("error", e))??;
    let first = &entrances[0];
    let addresses = first.addresses.iter().map(ToString::to_string).collect();
    invitation.entrances = entrances.into_iter().collect();
    Ok(Json(InvitationCode {
        schema: SCHEMA,
        code: invitation.code(),
        id: invitation.id.to_string(),
        uses: order.uses,
        until_s,
        addresses,
    }))
}

fn no_lender() -> Reason {
    let what = "this is no lending peer, but one of a command, or it is leaving";
    Reason::new("no_daemon", what, "start one with `starling up`")
}

/// Whom a newcomer dials: this peer, then those that it is connected with and that say where they are.
fn entrances(net: &NetStatus, own: PeerKey) -> Vec<Entrance> {
    let local = net.scope == Scope::Local.name();
    let own = Entrance {
        peer: own,
        addresses: direct(net.reachable.iter().map(|r| &r.address), local, ADDRESSES),
    };
    let others = net.connections.iter().filter_map(|other| {
        // Only bootstrap addresses: one each keeps the code short.
        let addresses = direct(other.announced.iter(), local, 1);
        let peer = other.peer.parse().ok()?;
        (!addresses.is_empty()).then_some(Entrance { peer, addresses })
    });
    std::iter::once(own)
        .chain(others)
        .take(ENTRANCES_MAX)
        .collect()
}

/// Up to `most` addresses that a newcomer can dial, which has no relay yet; the likeliest first.
fn direct<'a>(
    addresses: impl Iterator<Item = &'a Multiaddr>,
    local: bool,
    most: usize,
) -> ArrayVec<text::Text<128>, ADDRESSES> {
    let plain = |address: &Multiaddr| {
        let (at, udp) = socket(address)?;
        let usable = at.ip().is_loopback() == local && !at.ip().is_unspecified();
        // Without the peer's name, which the code has once.
        let parts = address.iter().take(if udp { 3 } else { 2 });
        let text = parts.collect::<Multiaddr>().to_string();
        (usable && !is_relayed(address)).then(|| ((at.is_ipv6(), !udp), text::cut(&text)))
    };
    let mut all: Vec<_> = addresses.filter_map(plain).collect();
    all.sort();
    all.dedup();
    let likeliest = all.into_iter().map(|(_, address)| address);
    likeliest.take(most.min(ADDRESSES)).collect()
}

/// Takes back a certificate or an invitation; all members hear of it.
#[utoipa::path(post, path = "/swarm/revocations", request_body = RevocationOrder,
    responses((status = 200, body = Revoked), (status = 404, body = Problem, content_type = "application/problem+json")))]
pub(super) async fn revoke(
    State(hosted): Shared,
    Sent(order): Sent<RevocationOrder>,
) -> Answer<Revoked> {
    let gate = gate(&hosted)?.clone();
    // It waits for the disk.
    let revoked = tokio::task::spawn_blocking(move || gate.revoke(&order.who));
    let revoked = revoked.await.map_err(|e| Reason::of("error", e))??;
    Ok(Json(Revoked {
        schema: SCHEMA,
        revoked,
    }))
}
