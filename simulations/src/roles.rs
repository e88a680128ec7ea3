//! Who misbehaves in a run, and how: draws the members of each group of adversaries, gives them their identities, and
//! wraps them. Everybody else gets the core as it is.

use crate::engine::{Purpose, Streams};
use crate::experiment::{Adversaries, CLASS, Experiment};
use crate::signer::Scheme;
use starling_adversaries::{
    Backend, Forfeits, Means, SignerFactory, backend, forfeits, grind, wrap,
};
use starling_protocol::{Core, Genesis, Hash, Peer, PeerKey, SwarmId, board};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The parts that peers play.
pub struct Roles {
    groups: Vec<Adversaries>,
    members: Vec<Vec<u32>>,
    group_of: BTreeMap<u32, usize>,
    /// Which of its possible identities a peer has taken; the first, unless it has looked for a better one.
    identities: BTreeMap<u32, u32>,
    scheme: Scheme,
    streams: Streams,
    swarm: SwarmId,
}

impl Roles {
    /// Draws them. The experiment has passed its check.
    #[must_use]
    pub fn draw(experiment: &Experiment, genesis: &Genesis, streams: &Streams) -> Self {
        let population = &experiment.population;
        let mut free: Vec<u32> = (population.clients..population.peers).collect();
        let mut stream = streams.stream(Purpose::Adversary, 0);
        let mut roles = Self {
            groups: experiment.adversaries.clone(),
            members: Vec::new(),
            group_of: BTreeMap::new(),
            identities: BTreeMap::new(),
            scheme: population.signatures,
            streams: streams.clone(),
            swarm: genesis.swarm_id(),
        };
        for (at, group) in experiment.adversaries.iter().enumerate() {
            let of_share = (group.share * f64::from(population.peers)).round() as u32;
            let mut members: Vec<u32> = group.requester.then_some(0).into_iter().collect();
            for _ in 0..group.count.max(of_share) {
                if free.is_empty() {
                    break;
                }
                members.push(free.swap_remove(stream.below(free.len() as u32) as usize));
            }
            for &member in &members {
                roles.group_of.insert(member, at);
                if group.eclipse_tries > 0 {
                    let target = board::key(&roles.swarm, CLASS, 0);
                    let key = |i| roles.identity(member, i).key();
                    let (found, _) = grind(&target, group.eclipse_tries, key);
                    roles.identities.insert(member, found);
                }
            }
            roles.members.push(members);
        }
        roles
    }

    fn identity(&self, peer: u32, number: u32) -> starling_protocol::crypto::BoxedSigner {
        self.scheme
            .signer(&self.streams.bytes(Purpose::Identity, peer, number))
    }

    fn group(&self, peer: u32) -> Option<(usize, &Adversaries)> {
        let at = *self.group_of.get(&peer)?;
        Some((at, &self.groups[at]))
    }

    /// Makes `peer`'s identity.
    #[must_use]
    pub fn signer(&self, peer: u32) -> SignerFactory {
        let number = self.identities.get(&peer).copied().unwrap_or(0);
        let secret = self.streams.bytes(Purpose::Identity, peer, number);
        let scheme = self.scheme;
        Arc::new(move || scheme.signer(&secret))
    }

    /// Which guarantees `peer` has given up, if it is dishonest.
    #[must_use]
    pub fn forfeits(&self, peer: u32) -> Option<Forfeits> {
        let (_, group) = self.group(peer)?;
        Some(forfeits(&group.strategies)).filter(|f| f.dishonest())
    }

    /// Whether it is in any group, be it only faulty.
    #[must_use]
    pub fn misbehaves(&self, peer: u32) -> bool {
        self.group_of.contains_key(&peer)
    }

    /// Whether it answers no lookup with what it stores.
    #[must_use]
    pub fn denies_records(&self, peer: u32) -> bool {
        self.group(peer).is_some_and(|(_, g)| g.eclipse_tries > 0)
    }

    /// `peer`'s core and device: as they are, or with its strategies around them.
    #[must_use]
    pub fn wrap(
        &self,
        peer: u32,
        core: Peer,
        truth: impl Backend + 'static,
        names: &[PeerKey],
    ) -> (Box<dyn Core>, Box<dyn Backend>) {
        let Some((at, group)) = self.group(peer) else {
            return (Box::new(core), Box::new(truth));
        };
        let hash = |a, b| Hash(self.streams.bytes(Purpose::Adversary, a, b));
        let friends = self.members[at].iter().map(|m| names[*m as usize]);
        let means = Means::new(self.signer(peer), self.swarm, hash(peer, 1))
            .among(friends, hash(at as u32, 2));
        let device = backend(truth, &group.strategies, &means);
        match wrap(core, &group.strategies, &means) {
            Ok(wrapped) => (wrapped, device),
            Err(error) => unreachable!("strategies were checked with the experiment: {error}"),
        }
    }
}
