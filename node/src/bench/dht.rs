//! Kademlia alone: network layers in one process, without peers above them, so that nothing but lookups is measured.
//!
//! Keys are fresh and one lookup runs at a time. Announcements are not acknowledged, so a put has ended when as many
//! others hold the record as are to; a get has ended when the first provider is named, by somebody who holds nothing
//! of the key himself (in swarms of some twenty or fewer everybody does, and a get is a look at one's own table).

use std::time::{Duration, Instant};

use futures::future::try_join_all;
use serde::Serialize;
use tokio::sync::mpsc;

use super::local::bootstrap_of;
use super::{Spread, bare, process};
use crate::blobs::BlobStore;
use crate::net::{NetEvent, NetHandle};
use crate::reason::Reason;

/// Fresh keys.
const KEYS: usize = 50;
/// Peers that Kademlia stores a record at.
const REPLICAS: usize = 20;
/// Nobody in a swarm needs more neighbours than this before the measurement begins.
const NEIGHBOURS: usize = 8;
/// Longest wait for one thing.
const PATIENCE: Duration = Duration::from_secs(60);
/// The networks are ready when no connection has come or gone for so long.
const QUIET: Duration = Duration::from_secs(2);
/// After this a put is over, whoever holds it: some of the closest peers did not take it.
const PUT_MAX: Duration = Duration::from_secs(5);

/// What was measured.
#[derive(Clone, Debug, Serialize)]
pub struct DhtReport {
    /// Network layers, all in one process.
    pub peers: usize,
    /// From an announcement until it lay at the peers closest to its key, ms.
    pub put_ms: Option<Spread>,
    /// From a lookup until its first provider was known, ms.
    pub get_ms: Option<Spread>,
    /// Peers that held a record when its put ended, at least; 20 are asked to.
    pub holders_least: usize,
}

/// Networks, and what they say of announcements and lookups.
struct Dht {
    nets: Vec<NetHandle>,
    said: mpsc::Receiver<NetEvent>,
    _folder: tempfile::TempDir,
}

/// Measures among `peers` network layers on loopback.
///
/// # Errors
/// Why a network does not start; `timeout`.
pub async fn measure(peers: usize, say: &dyn Fn(&str)) -> Result<DhtReport, Reason> {
    say(&format!("the DHT of {peers} network layers"));
    process::allow_files();
    let mut dht = Dht::start(peers).await?;
    dht.meet().await?;
    let (mut puts, mut gets, mut holders_least) = (Vec::new(), Vec::new(), usize::MAX);
    for n in 0..KEYS {
        let mut key = [0; 32];
        getrandom::fill(&mut key).map_err(|e| Reason::of("error", e))?;
        let provider = n * 7 % peers;
        let (took, holds) = dht.put(provider, key).await?;
        puts.push(took.as_secs_f64() * 1e3);
        holders_least = holders_least.min(holds.iter().filter(|h| **h > 0).count());
        // Somebody far from key and provider; in a small swarm, anybody else.
        let others = (1..peers).map(|step| (provider + step * 11) % peers);
        let others = others.filter(|i| *i != provider);
        let stranger = others.clone().find(|i| holds[*i] == 0);
        if let Some(asker) = stranger.or_else(|| others.clone().next()) {
            gets.push(dht.get(asker, n as u64, key).await?.as_secs_f64() * 1e3);
        }
    }
    dht.end().await;
    Ok(DhtReport {
        peers,
        put_ms: Spread::of(puts),
        get_ms: Spread::of(gets),
        holders_least,
    })
}

impl Dht {
    async fn start(peers: usize) -> Result<Self, Reason> {
        let folder = tempfile::tempdir().map_err(|e| Reason::of("disk_failed", e))?;
        let blobs = BlobStore::open(folder.path().join("blobs"), 1 << 20)?;
        let mut swarm_id = [0; 32];
        getrandom::fill(&mut swarm_id).map_err(|e| Reason::of("error", e))?;
        let (tell, said) = mpsc::channel(1024);
        let (mut nets, mut addresses) = (Vec::new(), Vec::new());
        for n in 0..peers {
            let bootstrap = bootstrap_of(n, &addresses);
            let (net, mut events, address) =
                bare::start(swarm_id, bootstrap, blobs.clone()).await?;
            addresses.push(address);
            let tell = tell.clone();
            tokio::spawn(async move {
                while let Some(event) = events.recv().await {
                    let asked = matches!(
                        event,
                        NetEvent::Provided { .. } | NetEvent::Providers { .. }
                    );
                    // Nobody listens any more once the measurement is over.
                    if asked && tell.send(event).await.is_err() {
                        return;
                    }
                }
            });
            nets.push(net);
        }
        Ok(Self {
            nets,
            said,
            _folder: folder,
        })
    }

    /// Waits for neighbours, and has everybody look around once.
    async fn meet(&mut self) -> Result<(), Reason> {
        let wanted = NEIGHBOURS.min(self.nets.len() - 1);
        let start = Instant::now();
        loop {
            let connected = try_join_all(self.nets.iter().map(NetHandle::connected)).await?;
            if connected.iter().all(|peers| peers.len() >= wanted) {
                break;
            }
            if start.elapsed() > PATIENCE {
                return Err(timeout("the networks did not find each other in time"));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        for (n, net) in self.nets.iter().enumerate() {
            let nobody = [n as u8; 32];
            net.find_providers(u64::MAX, nobody).await?;
        }
        let mut answers = 0;
        while answers < self.nets.len() {
            if let NetEvent::Providers { done: true, .. } = self.next().await? {
                answers += 1;
            }
        }
        self.settle(start + PATIENCE).await
    }

    /// Waits until connections come and go no more.
    async fn settle(&self, until: Instant) -> Result<(), Reason> {
        let (mut before, mut since) = (usize::MAX, Instant::now());
        while since.elapsed() < QUIET && Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(200)).await;
            let connected = try_join_all(self.nets.iter().map(NetHandle::connected)).await?;
            let now = connected.iter().map(Vec::len).sum();
            if now != before {
                (before, since) = (now, Instant::now());
            }
        }
        Ok(())
    }

    /// Announces `key`; the time, and how many announcements each network then holds.
    async fn put(
        &mut self,
        provider: usize,
        key: [u8; 32],
    ) -> Result<(Duration, Vec<usize>), Reason> {
        let start = Instant::now();
        self.nets[provider].provide(key).await?;
        loop {
            match self.next().await? {
                NetEvent::Provided { key: of, told } if of == key => {
                    if !told {
                        return Err(timeout("an announcement found nobody"));
                    }
                    break;
                }
                _ => {}
            }
        }
        let wanted = REPLICAS.min(self.nets.len() - 1);
        loop {
            let holds = try_join_all(self.nets.iter().map(|net| net.holds(key))).await?;
            let there = holds.iter().filter(|h| **h > 0).count();
            if there >= wanted || start.elapsed() > PUT_MAX {
                return Ok((start.elapsed(), holds));
            }
        }
    }

    /// Looks `key` up until somebody is named.
    async fn get(&mut self, asker: usize, id: u64, key: [u8; 32]) -> Result<Duration, Reason> {
        let start = Instant::now();
        self.nets[asker].find_providers(id, key).await?;
        loop {
            match self.next().await? {
                NetEvent::Providers {
                    query_id,
                    peers,
                    done,
                    ..
                } if query_id == id => {
                    if !peers.is_empty() {
                        return Ok(start.elapsed());
                    }
                    if done {
                        return Err(timeout("an announced key was not found"));
                    }
                }
                _ => {}
            }
        }
    }

    async fn next(&mut self) -> Result<NetEvent, Reason> {
        let next = tokio::time::timeout(PATIENCE, self.said.recv()).await;
        next.ok()
            .flatten()
            .ok_or_else(|| timeout("a lookup was not answered in time"))
    }

    async fn end(self) {
        futures::future::join_all(self.nets.iter().map(NetHandle::shutdown)).await;
    }
}

fn timeout(what: &str) -> Reason {
    Reason::new("timeout", what, "close other programs and measure again")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn every_announcement_reaches_everybody_of_a_small_swarm_and_is_found() {
        let report = measure(5, &|_| ()).await.expect("five networks");
        assert_eq!(report.holders_least, 4);
        let samples = |spread: Option<Spread>| spread.expect("samples").samples;
        assert_eq!(
            (samples(report.put_ms), samples(report.get_ms)),
            (KEYS, KEYS)
        );
    }
}
