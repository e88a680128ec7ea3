//! `starling swarm invite | members | revoke`: who belongs to a private swarm. The running peer does it.

use std::time::Duration;

use clap::Args;
use qrcode::QrCode;
use qrcode::render::unicode::Dense1x2;

use super::super::Context;
use super::super::exit::{Exit, Failure, Outcome};
use super::super::text;
use super::left;
use crate::api::client::Client;
use crate::api::members::{InvitationOrder, RevocationOrder};

/// Invite somebody into this private swarm: prints a code that `starling swarm join` takes.
///
/// Whoever has the code can join, so send it as you would send a password. It is redeemed at this machine, whose peer
/// must run then.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  starling swarm invite
  starling swarm invite --uses 20 --expires 1h          a classroom
  starling swarm invite --qr")]
pub(super) struct Invite {
    /// For so many machines.
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1_000))]
    uses: u16,
    /// Good for so long.
    #[arg(long, default_value = "7d", value_name = "TIME", value_parser = text::parse_duration)]
    expires: Duration,
    /// How long those who join by it are members.
    #[arg(long = "for", default_value = "365d", value_name = "TIME", value_parser = text::parse_duration)]
    membership: Duration,
    /// Draw it as a QR code, too.
    #[arg(long)]
    qr: bool,
}

/// List the members of this private swarm, and open invitations.
///
/// The issuer knows all of them; others list themselves and whom they have met since their peer started.
#[derive(Args, Debug)]
pub(super) struct Members {}

/// Take back a membership or an invitation: all members hear of it and let nobody in by it any more.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  starling swarm revoke anna
  starling swarm revoke 3fa91c     the beginning of a key or an id, as `starling swarm members` shows it")]
pub(super) struct Revoke {
    /// The member's name, or the beginning of its key or id; or of an invitation's.
    who: String,
}

impl Invite {
    pub(super) async fn run(self, context: &Context) -> Outcome {
        let client = Client::connect(&context.place()?.root).await?;
        let code = client
            .invite(&InvitationOrder {
                uses: self.uses,
                expires_s: self.expires.as_secs(),
                member_s: self.membership.as_secs(),
            })
            .await?;
        let out = context.console;
        if self.qr {
            // Letters and digits only, which a QR code packs densely.
            let drawn = QrCode::new(code.code.as_bytes()).map_err(Failure::of)?;
            let drawn = drawn.render::<Dense1x2>().build();
            // Beside the result, not in it.
            eprintln!("{drawn}");
        }
        if out.json {
            out.json(&code);
        } else {
            out.data(&code.code);
        }
        out.note(format!(
            "invitation {} is for {} and good for {}; it leads to {}",
            &code.id[..8.min(code.id.len())],
            text::count(usize::from(code.uses), "machine"),
            left(code.until_s),
            code.addresses.join(", ")
        ));
        Ok(Exit::Ok)
    }
}

impl Members {
    pub(super) async fn run(self, context: &Context) -> Outcome {
        let client = Client::connect(&context.place()?.root).await?;
        let swarm = client.swarm().await?;
        let out = context.console;
        if out.json {
            out.json(&swarm);
            return Ok(Exit::Ok);
        }
        if !swarm.closed {
            out.note("the swarm is open: whoever has its file can join");
        }
        for member in &swarm.members {
            let name: String = member.name.chars().filter(|c| !c.is_control()).collect();
            let own = if member.own { " (this machine)" } else { "" };
            let standing = match member.standing.as_str() {
                "member" => format!("for {}", left(member.until_s)),
                other => other.replace('_', " "),
            };
            out.data(format!(
                "{:.8}  {name:<24} {standing}{own}",
                member.peer.to_string()
            ));
        }
        for open in &swarm.invitations {
            let uses = text::count(usize::from(open.uses), "machine");
            out.data(format!(
                "{:.8}  invitation for {uses}, good for {}",
                open.id,
                left(open.until_s)
            ));
        }
        if swarm.closed && !swarm.issuer {
            out.note("only the issuer knows all members; these are the ones met since the start");
        }
        Ok(Exit::Ok)
    }
}

impl Revoke {
    pub(super) async fn run(self, context: &Context) -> Outcome {
        let client = Client::connect(&context.place()?.root).await?;
        let revoked = client.revoke(&RevocationOrder { who: self.who }).await?;
        let out = context.console;
        if out.json {
            out.json(&revoked);
        } else {
            out.data(format!("revoked: {}", revoked.revoked));
        }
        Ok(Exit::Ok)
    }
}
