//! One file per side of the protocol: what a strategy does to inputs and outputs there. Lies of devices are in
//! `backend`.

mod auditing;
mod gaming;
mod hearing;
mod talking;
mod working;

use crate::backend::Lies;
use crate::means::Means;
use crate::strategy::Strategy;
use crate::wrap::Trick;
use starling_protocol::advert::Advert;
use starling_protocol::io::Input;
use starling_protocol::signed::Signed;
use starling_protocol::{Message, codec, config};

/// The layer of a strategy; `None` where the device alone misbehaves. `index` tells layers of one peer apart, `lies` what
/// its device says.
pub(crate) fn of(
    strategy: &Strategy,
    lies: &Lies,
    means: &Means,
    index: usize,
) -> Option<Box<dyn Trick>> {
    Some(match strategy {
        Strategy::FakeAll | Strategy::FakeShare(_) | Strategy::BehaveUntil { .. } => return None,
        Strategy::Ring { .. } => Box::new(auditing::Loyal::new(means)),
        Strategy::Copy => Box::new(auditing::Shirk::copying(means)),
        Strategy::AuditLazily => Box::new(auditing::Shirk::lazily(means)),
        Strategy::AccuseFalsely(how) => Box::new(auditing::Accuse::new(*how, means)),
        Strategy::IdleOnLeases => Box::new(working::Idle::new(means)),
        Strategy::WithholdOpenings => Box::new(working::Withhold::new(means)),
        Strategy::OpenWhenLucky => Box::new(gaming::Lucky::new(lies.clone(), means)),
        Strategy::SlowWalk { delay_s } => Box::new(gaming::Slow::new(*delay_s)),
        Strategy::WithholdNonces => Box::new(gaming::Miser::new(means)),
        Strategy::AbandonUnlucky => Box::new(gaming::Abandon::new(lies.clone(), means)),
        Strategy::Usurp => Box::new(gaming::Usurp::new(means)),
        Strategy::Spoil(what) => Box::new(working::Spoil::new(*what, means)),
        Strategy::Equivocate => Box::new(working::Equivocate::new(means)),
        Strategy::LieAboutCapacity(factor) => Box::new(hearing::Boast::new(*factor)),
        Strategy::SkewClock(seconds) => Box::new(hearing::Skew(*seconds)),
        Strategy::StuffRoster => Box::new(hearing::Clique::new(means)),
        Strategy::CensorAuditors => Box::new(auditing::Censor::new(means)),
        Strategy::Silent => Box::new(talking::Silent),
        Strategy::Flood { messages_per_s } => {
            Box::new(talking::Flood::new(*messages_per_s, means, index))
        }
        Strategy::Replay { messages_per_s } => {
            Box::new(talking::Replay::new(*messages_per_s, means, index))
        }
    })
}

/// What `input` says, if it is a message.
fn message(input: &Input) -> Option<Message> {
    if let Input::Message { bytes, .. } = input {
        Message::from_bytes(bytes).ok()
    } else {
        None
    }
}

fn advert(data: &[u8]) -> Option<Signed<Advert>> {
    codec::decode(data, config::ADVERT_MAX).ok()
}
