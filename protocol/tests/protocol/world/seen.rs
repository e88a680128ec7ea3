//! What can be told of a world from its events and logs.

use super::World;
use starling_protocol::io::Record;
use starling_protocol::{Bundle, Event, PeerKey, Receipt};
use std::collections::BTreeSet;

impl World {
    pub fn over(&self) -> bool {
        self.events
            .iter()
            .any(|(i, e)| *i == 0 && matches!(e, Event::JobDone { .. } | Event::JobFailed { .. }))
    }

    pub fn is_done(&self) -> bool {
        self.events
            .iter()
            .any(|(i, e)| *i == 0 && matches!(e, Event::JobDone { .. }))
    }

    pub fn caught(&self) -> Vec<usize> {
        let mut caught: Vec<_> = self
            .events
            .iter()
            .filter_map(|(_, e)| {
                if let Event::CheatCaught { worker, .. } = e {
                    Some(*worker)
                } else {
                    None
                }
            })
            .map(|w| self.keys.iter().position(|k| *k == w).expect("known"))
            .collect();
        caught.sort_unstable();
        caught.dedup();
        caught
    }

    pub fn falsely_accused(&self) -> usize {
        self.events
            .iter()
            .filter(|(_, e)| matches!(e, Event::FalseAccusation { .. }))
            .count()
    }

    /// The stewards of the requester's first job beside itself.
    pub fn stewards(&self) -> BTreeSet<usize> {
        let record = self.logs[0].iter().find_map(|r| match r {
            Record::Submitted { record } => Some(record),
            _ => None,
        });
        let stewards = record.map(|r| &r.appointment.body.stewards);
        let place = |key: &PeerKey| self.keys.iter().position(|k| k == key);
        let all = stewards.into_iter().flatten().filter_map(place);
        all.filter(|i| *i != 0).collect()
    }

    /// The requester's receipts, the last one of each lease: the bytes may have come from another steward after all.
    pub fn receipts(&self) -> Vec<Receipt> {
        let swarm = self.genesis.swarm_id();
        let mut receipts: Vec<Receipt> = Vec::new();
        for record in &self.logs[0] {
            if let Record::Receipted { receipt, .. } = record {
                receipts.retain(|r| r.id(&swarm) != receipt.id(&swarm));
                receipts.push((**receipt).clone());
            }
        }
        receipts
    }

    pub fn bundle(&self) -> Bundle {
        let record = self.logs[0].iter().find_map(|r| match r {
            Record::Submitted { record } => Some((**record).clone()),
            _ => None,
        });
        Bundle {
            genesis: self.genesis.clone(),
            record: record.expect("a job was submitted"),
            receipts: self.receipts(),
        }
    }
}
