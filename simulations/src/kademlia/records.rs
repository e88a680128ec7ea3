//! Who provides what, as the holders of each key know it.
//!
//! A record lives at one holder, from its arrival until it expires, and no longer than that holder's session. Nothing
//! is cleaned up in between: a record that is not valid is not seen, and goes when its key is next written to.

use super::table::Table;
use super::{Knobs, s};
use crate::net::room;
use core::time::Duration;
use starling_protocol::{Hash, Time};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Clone, Copy)]
struct Record {
    provider: u32,
    from: Time,
    until: Time,
}

struct Holder {
    peer: u32,
    records: Vec<Record>,
}

pub(super) struct Records {
    boards: BTreeMap<Hash, Vec<Holder>>,
    ttl: Duration,
    most: usize,
    /// Holders that acknowledge records and never name them.
    denying: BTreeSet<u32>,
}

impl Holder {
    /// When `self`'s session began; records from before are gone.
    fn since(&self, table: &Table) -> Option<Time> {
        table.since(self.peer)
    }
}

/// The holders of one key.
#[derive(Clone, Copy)]
pub(super) struct Board<'a>(&'a [Holder]);

impl Board<'_> {
    /// The providers that `holder` names at `now`.
    pub fn providers(&self, table: &Table, holder: u32, now: Time) -> impl Iterator<Item = u32> {
        let found = self.0.binary_search_by_key(&holder, |h| h.peer).ok();
        let held = found.map(|at| &self.0[at]);
        let since = held.and_then(|h| h.since(table));
        let records = held.map_or(&[][..], |h| &h.records);
        let valid =
            move |r: &&Record| since.is_some_and(|s| s <= r.from) && r.from <= now && now < r.until;
        records.iter().filter(valid).map(|r| r.provider)
    }
}

impl Records {
    pub fn new(knobs: &Knobs) -> Self {
        Self {
            boards: BTreeMap::new(),
            ttl: s(knobs.record_ttl_s),
            most: knobs.providers_per_key as usize,
            denying: BTreeSet::new(),
        }
    }

    pub fn deny(&mut self, holder: u32) {
        self.denying.insert(holder);
    }

    /// Memory, bytes; the map's own slack aside.
    pub fn heap_bytes(&self) -> usize {
        let board = |holders: &Vec<Holder>| {
            let records: usize = holders.iter().map(|h| room(&h.records)).sum();
            size_of::<(Hash, Vec<Holder>)>() + room(holders) + records
        };
        self.boards.values().map(board).sum()
    }

    pub fn board(&self, key: &Hash) -> Board<'_> {
        Board(self.boards.get(key).map_or(&[], Vec::as_slice))
    }

    /// `holder` learns at `at` that `provider` provides `key`; a full holder ignores a newcomer.
    pub fn put(&mut self, table: &Table, holder: u32, key: &Hash, provider: u32, at: Time) {
        if self.denying.contains(&holder) {
            return;
        }
        let holders = self.boards.entry(*key).or_default();
        // A key's holders change with churn: those whose records have all expired make room.
        if holders.len() >= 2 * super::table::MOST {
            holders.retain(|h| h.records.iter().any(|r| at < r.until));
        }
        let slot = holders.binary_search_by_key(&holder, |h| h.peer);
        let slot = slot.unwrap_or_else(|slot| {
            let records = Vec::new();
            holders.insert(
                slot,
                Holder {
                    peer: holder,
                    records,
                },
            );
            slot
        });
        let holder = &mut holders[slot];
        let since = holder.since(table);
        let stays = |r: &Record| at < r.until && since.is_some_and(|s| s <= r.from);
        holder.records.retain(stays);
        let until = at.after(self.ttl);
        let known = holder.records.iter_mut().find(|r| r.provider == provider);
        if let Some(record) = known {
            // Said again: seen without a gap.
            record.until = until;
        } else if holder.records.len() < self.most {
            holder.records.push(Record {
                provider,
                from: at,
                until,
            });
        }
    }
}
