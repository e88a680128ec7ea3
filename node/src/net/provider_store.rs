//! Who provides what: Kademlia's record store, bounded so that a flooder cannot push others out.
//!
//! Holds provider records only; values are refused. Three caps: records in all, providers per key, records per
//! provider. When the whole is full, the newcomer takes the place of a record of whoever holds most, provided that is
//! more than its own share would be; so an honest peer with few records always gets in, and stays in while somebody
//! else is greedier. Per key it is first come: later ones wait until a record expires.
//!
//! Invariant: `held[p]` is the number of records of `p`, and their sum is `total`.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
    time::{Duration, Instant},
};

use libp2p::{
    PeerId,
    kad::{
        ProviderRecord, Record, RecordKey as Key,
        store::{Error, RecordStore, Result},
    },
};

/// Caps of a [`ProviderStore`].
#[derive(Clone, Copy, Debug)]
pub struct ProviderCaps {
    /// Records of strangers, over all keys.
    pub total: usize,
    /// Providers of one key.
    pub per_key: usize,
    /// Records of one stranger.
    pub per_peer: usize,
    /// Keys that this peer provides itself.
    pub own: usize,
    /// Addresses kept with a record.
    pub addresses: usize,
    /// Longest life of a stranger's record; it is renewed by providing again.
    pub ttl: Duration,
}

impl Default for ProviderCaps {
    fn default() -> Self {
        ProviderCaps {
            total: 4096,
            per_key: 32,
            per_peer: 64,
            own: 1024,
            addresses: 8,
            ttl: Duration::from_secs(40 * 60),
        }
    }
}

/// Keys are 32 bytes; longer ones would be a way to fill memory.
const KEY_BYTES: usize = 32;
/// A longer address than this names no IP and port.
const MAX_ADDRESS_BYTES: usize = 128;

/// The store.
#[derive(Debug)]
pub struct ProviderStore {
    local: PeerId,
    caps: ProviderCaps,
    own: BTreeMap<Vec<u8>, ProviderRecord>,
    /// Records of strangers by key, in order of arrival.
    strangers: HashMap<Key, Vec<ProviderRecord>>,
    held: HashMap<PeerId, usize>,
    total: usize,
}

impl ProviderStore {
    /// An empty store of the peer `local`.
    pub fn new(local: PeerId, caps: ProviderCaps) -> Self {
        ProviderStore {
            local,
            caps,
            own: BTreeMap::new(),
            strangers: HashMap::new(),
            held: HashMap::new(),
            total: 0,
        }
    }

    /// Records of strangers.
    pub fn len(&self) -> usize {
        self.total
    }

    /// Whether no stranger has a record here.
    pub fn is_empty(&self) -> bool {
        self.total == 0
    }

    /// Forgets what has expired; lookups skip it anyway, so this only has to happen when room is short.
    fn expire(&mut self, now: Instant) {
        let held = &mut self.held;
        let total = &mut self.total;
        self.strangers.retain(|_, records| {
            records.retain(|record| {
                let alive = !record.is_expired(now);
                if !alive {
                    release(held, total, &record.provider);
                }
                alive
            });
            !records.is_empty()
        });
    }

    fn add_stranger(&mut self, mut record: ProviderRecord, now: Instant) -> Result<()> {
        if record.key.as_ref().len() != KEY_BYTES {
            return Err(Error::ValueTooLarge);
        }
        record.addresses.retain(|a| a.len() <= MAX_ADDRESS_BYTES);
        record.addresses.truncate(self.caps.addresses);
        let latest = now + self.caps.ttl;
        record.expires = Some(record.expires.map_or(latest, |expires| expires.min(latest)));

        if let Some(known) = self
            .strangers
            .get_mut(&record.key)
            .and_then(|records| records.iter_mut().find(|r| r.provider == record.provider))
        {
            *known = record;
            return Ok(());
        }
        if !self.has_room(&record) {
            self.expire(now);
            if !self.has_room(&record) {
                self.evict_for(&record)?;
            }
        }
        *self.held.entry(record.provider).or_default() += 1;
        self.total += 1;
        self.strangers
            .entry(record.key.clone())
            .or_default()
            .push(record);
        Ok(())
    }

    fn has_room(&self, record: &ProviderRecord) -> bool {
        self.total < self.caps.total && self.has_share(record)
    }

    /// Whether the record fits the caps of its key and its provider.
    fn has_share(&self, record: &ProviderRecord) -> bool {
        let of_key = self.strangers.get(&record.key).map_or(0, Vec::len);
        let of_peer = self.held.get(&record.provider).copied().unwrap_or(0);
        of_key < self.caps.per_key && of_peer < self.caps.per_peer
    }

    /// Makes room for the record by taking one from the provider that holds most.
    fn evict_for(&mut self, record: &ProviderRecord) -> Result<()> {
        if !self.has_share(record) {
            return Err(Error::MaxProvidedKeys);
        }
        let newcomer = self.held.get(&record.provider).copied().unwrap_or(0);
        let Some((greediest, most)) = self
            .held
            .iter()
            .map(|(peer, count)| (*peer, *count))
            .max_by_key(|(peer, count)| (*count, *peer))
        else {
            return Err(Error::MaxProvidedKeys);
        };
        if most <= newcomer + 1 {
            return Err(Error::MaxProvidedKeys);
        }
        let key = self
            .strangers
            .iter()
            .find(|(_, records)| records.iter().any(|r| r.provider == greediest))
            .map(|(key, _)| key.clone());
        if let Some(key) = key {
            self.remove_provider(&key, &greediest);
        }
        Ok(())
    }
}

fn release(held: &mut HashMap<PeerId, usize>, total: &mut usize, provider: &PeerId) {
    *total = total.saturating_sub(1);
    if let Some(count) = held.get_mut(provider) {
        *count = count.saturating_sub(1);
        if *count == 0 {
            held.remove(provider);
        }
    }
}

impl RecordStore for ProviderStore {
    type RecordsIter<'a> = std::iter::Empty<Cow<'a, Record>>;
    type ProvidedIter<'a> = std::iter::Map<
        std::collections::btree_map::Values<'a, Vec<u8>, ProviderRecord>,
        fn(&'a ProviderRecord) -> Cow<'a, ProviderRecord>,
    >;

    fn get(&self, _: &Key) -> Option<Cow<'_, Record>> {
        None
    }

    fn put(&mut self, _: Record) -> Result<()> {
        Err(Error::MaxRecords)
    }

    fn remove(&mut self, _: &Key) {}

    fn records(&self) -> Self::RecordsIter<'_> {
        std::iter::empty()
    }

    fn add_provider(&mut self, record: ProviderRecord) -> Result<()> {
        if record.provider != self.local {
            return self.add_stranger(record, Instant::now());
        }
        let key = record.key.to_vec();
        if self.own.len() >= self.caps.own && !self.own.contains_key(&key) {
            return Err(Error::MaxProvidedKeys);
        }
        self.own.insert(key, record);
        Ok(())
    }

    fn providers(&self, key: &Key) -> Vec<ProviderRecord> {
        let now = Instant::now();
        let strangers = self.strangers.get(key).into_iter().flatten();
        self.own
            .get(key.as_ref())
            .into_iter()
            .chain(strangers)
            .filter(|record| !record.is_expired(now))
            .cloned()
            .collect()
    }

    fn provided(&self) -> Self::ProvidedIter<'_> {
        self.own.values().map(Cow::Borrowed)
    }

    fn remove_provider(&mut self, key: &Key, provider: &PeerId) {
        if *provider == self.local {
            self.own.remove(key.as_ref());
            return;
        }
        let Some(records) = self.strangers.get_mut(key) else {
            return;
        };
        let before = records.len();
        records.retain(|record| record.provider != *provider);
        if records.len() < before {
            release(&mut self.held, &mut self.total, provider);
        }
        if records.is_empty() {
            self.strangers.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAPS: ProviderCaps = ProviderCaps {
        total: 40,
        per_key: 5,
        per_peer: 10,
        own: 3,
        addresses: 2,
        ttl: Duration::from_secs(60),
    };

    fn key(n: u32) -> Key {
        Key::new(blake3::hash(&n.to_le_bytes()).as_bytes())
    }

    fn record(n: u32, provider: PeerId) -> ProviderRecord {
        ProviderRecord {
            key: key(n),
            provider,
            expires: None,
            addresses: vec!["/ip4/127.0.0.1/tcp/1".parse().unwrap(); 9],
        }
    }

    fn store() -> (ProviderStore, PeerId) {
        let local = PeerId::random();
        (ProviderStore::new(local, CAPS), local)
    }

    #[test]
    fn honest_records_survive_a_flood_from_one_peer() {
        let (mut store, local) = store();
        let honest: Vec<_> = (0..5).map(|_| PeerId::random()).collect();
        for peer in &honest {
            store.add_provider(record(1, *peer)).unwrap();
        }
        store.add_provider(record(1, local)).unwrap();
        let flooder = PeerId::random();
        let taken = (100..10_000)
            .filter(|n| store.add_provider(record(*n, flooder)).is_ok())
            .count();
        assert_eq!(taken, CAPS.per_peer);
        assert_eq!(store.providers(&key(1)).len(), 6);
        assert_eq!(
            store.providers(&key(1))[0].addresses.len(),
            9,
            "own record is kept as it is"
        );
        assert_eq!(store.providers(&key(1))[1].addresses.len(), CAPS.addresses);
    }

    #[test]
    fn many_flooders_fill_the_store_but_take_only_from_each_other() {
        let (mut store, _) = store();
        let early = PeerId::random();
        store.add_provider(record(1, early)).unwrap();
        for _ in 0..20 {
            let flooder = PeerId::random();
            for n in 100..200 {
                // Most of these are refused: that is the point.
                let _ = store.add_provider(record(n, flooder));
            }
        }
        assert_eq!(store.len(), CAPS.total);
        assert_eq!(store.held.values().sum::<usize>(), CAPS.total);
        let late = PeerId::random();
        store.add_provider(record(2, late)).unwrap();
        assert_eq!(store.len(), CAPS.total);
        assert_eq!(store.providers(&key(1))[0].provider, early);
        assert_eq!(store.providers(&key(2))[0].provider, late);
    }

    #[test]
    fn a_key_takes_so_many_providers_and_renewing_is_not_another() {
        let (mut store, _) = store();
        let first = PeerId::random();
        store.add_provider(record(1, first)).unwrap();
        let taken = (0..50)
            .filter(|_| store.add_provider(record(1, PeerId::random())).is_ok())
            .count();
        assert_eq!(taken, CAPS.per_key - 1);
        store.add_provider(record(1, first)).unwrap();
        assert_eq!(store.len(), CAPS.per_key);
    }

    #[test]
    fn records_expire_and_make_room() {
        let (mut store, _) = store();
        let now = Instant::now();
        for _ in 0..CAPS.per_key {
            store
                .add_stranger(record(1, PeerId::random()), now)
                .unwrap();
        }
        let late = record(1, PeerId::random());
        assert!(store.add_stranger(late.clone(), now).is_err());
        store.add_stranger(late, now + CAPS.ttl).unwrap();
        assert_eq!(store.len(), 1);
        store.expire(now + 2 * CAPS.ttl);
        assert!(store.is_empty() && store.held.is_empty() && store.strangers.is_empty());
    }

    #[test]
    fn values_odd_keys_and_too_many_own_keys_are_refused() {
        let (mut store, local) = store();
        assert!(store.put(Record::new(key(1), vec![1])).is_err());
        let mut odd = record(1, PeerId::random());
        odd.key = Key::new(&[7; 4096]);
        assert!(store.add_provider(odd).is_err());
        let own = (0..10).filter(|n| store.add_provider(record(*n, local)).is_ok());
        assert_eq!(own.count(), CAPS.own);
        assert_eq!(store.provided().count(), CAPS.own);
        store.remove_provider(&key(0), &local);
        assert_eq!(store.provided().count(), CAPS.own - 1);
    }
}
