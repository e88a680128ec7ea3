//! A swarm of whole peers in this process, on loopback: real sockets, disks and kernels, and nothing else shared.

use std::time::{Duration, Instant};

use starling_kernels::{JobSpec, Kernel as _, noop};
use starling_protocol::{BlobId, Event, Genesis, Hash, JobId, Scope};
use tokio::task::JoinHandle;

use super::process;
use crate::compute::Usage;
use crate::jobs::{Desk, Feed, JobFile, Order};
use crate::net::Multiaddr;
use crate::node::{Happening, Node, NodeOptions};
use crate::reason::Reason;

/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(300);

/// A lending peer.
pub struct Lender {
    /// Its handle.
    pub node: Node,
    happenings: JoinHandle<()>,
}

/// Lenders and one requester.
pub struct LocalSwarm {
    /// Those that lend.
    pub lenders: Vec<Lender>,
    /// The requester.
    pub desk: Desk,
    /// What happens to it.
    pub feed: Feed,
    /// Their swarm.
    pub genesis: Genesis,
    /// Whom one more peer may dial.
    pub bootstrap: Vec<Multiaddr>,
    /// From the start of the first peer until every peer knew all others.
    pub converged: Duration,
    _home: tempfile::TempDir,
}

/// A job's times, from its submission.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// Until the first slice was done, with its receipt.
    pub first_slice: Duration,
    /// Until the last one was.
    pub whole: Duration,
}

impl LocalSwarm {
    /// Starts `lenders` peers that lend their share of the CPU, and a requester.
    ///
    /// # Errors
    /// Why a peer does not start, or `timeout` if they do not find each other.
    pub async fn start(lenders: usize, slice_ms: u32, say: &dyn Fn(&str)) -> Result<Self, Reason> {
        let home = tempfile::tempdir().map_err(|e| Reason::of("disk_failed", e))?;
        let mut seed = [0; 8];
        getrandom::fill(&mut seed).map_err(|e| Reason::of("error", e))?;
        let genesis = Genesis {
            slice_ms,
            ..Genesis::new("bench", Scope::Local, Hash::of(&seed))
        };
        process::allow_files();
        let start = Instant::now();
        let mut addresses = Vec::new();
        let mut all = Vec::new();
        for n in 0..lenders {
            say(&format!("starting peer {} of {lenders}", n + 1));
            let folder = home.path().join(format!("lender-{n}"));
            let bootstrap = bootstrap_of(n, &addresses);
            let (node, address, happenings) = peer(folder, &genesis, &bootstrap, true).await?;
            addresses.push(address);
            let mut happenings = happenings;
            let happenings =
                tokio::spawn(async move { while happenings.recv().await.is_some() {} });
            all.push(Lender { node, happenings });
        }
        let folder = home.path().join("requester");
        let bootstrap = bootstrap_of(lenders, &addresses);
        let options = NodeOptions::on_loopback(folder, &genesis, &bootstrap, false);
        let (node, happenings) = Node::start(options).await?;
        let feed = Feed::default();
        let desk = Desk::start(node, happenings, home.path().join("jobs"), feed.clone())?;
        let mut swarm = Self {
            lenders: all,
            desk,
            feed,
            genesis,
            bootstrap,
            converged: Duration::ZERO,
            _home: home,
        };
        say("waiting until everybody knows everybody");
        swarm.everybody_knows(lenders).await?;
        swarm.converged = start.elapsed();
        Ok(swarm)
    }

    /// Waits until every peer knows exactly so many lenders beside itself, and the requester knows all.
    ///
    /// # Errors
    /// `timeout`.
    pub async fn everybody_knows(&self, lenders: usize) -> Result<(), Reason> {
        let start = Instant::now();
        loop {
            let mut right = lending(self.desk.node()).await == lenders;
            for lender in &self.lenders {
                right = right && lending(&lender.node).await == lenders.saturating_sub(1);
            }
            if right {
                return Ok(());
            }
            if start.elapsed() > PATIENCE {
                let mut known = Vec::new();
                for lender in &self.lenders {
                    known.push(lending(&lender.node).await);
                }
                known.sort_unstable();
                let what = "the peers did not find each other in time";
                let fix = "close other programs and measure again";
                return Err(Reason::new("timeout", what, fix)
                    .with("least_known", known.first().copied().unwrap_or(0))
                    .with(
                        "median_known",
                        known.get(known.len() / 2).copied().unwrap_or(0),
                    ));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Runs a no-op job of `tiles` tiles to its end.
    ///
    /// # Errors
    /// Why it was refused or ended early; `timeout`.
    pub async fn run(
        &self,
        tiles: u32,
        slice_tiles: Option<u32>,
    ) -> Result<(JobFile, Timing), Reason> {
        let params = noop::Params {
            tiles,
            words: 16,
            seed: tiles,
        };
        let spec = JobSpec {
            kernel: noop::Noop.id(),
            params: params.encode(),
            inputs: Vec::new(),
        };
        self.run_job(&spec, slice_tiles).await
    }

    /// Runs any job without inputs to its end.
    ///
    /// # Errors
    /// As [`LocalSwarm::run`].
    pub async fn run_job(
        &self,
        spec: &JobSpec,
        slice_tiles: Option<u32>,
    ) -> Result<(JobFile, Timing), Reason> {
        let mut reading = self.feed.read(None);
        let start = Instant::now();
        let file = self
            .desk
            .submit(Order {
                kernel: spec.kernel,
                params: spec.params.clone(),
                inputs: Vec::<BlobId>::new(),
                slice_tiles,
                deadline_s: PATIENCE.as_secs(),
                max_price: None,
                stewards: None,
                full_audits: false,
                peers: Some(1),
                wait: PATIENCE,
                said: Default::default(),
            })
            .await?;
        let job = file.job;
        let mut first = None;
        let follow = async {
            loop {
                let Ok(one) = reading.live.recv().await else {
                    return Err(Reason::of("error", "the feed was read too slowly"));
                };
                match &one.happening {
                    Happening::Core(Event::SliceDone { job: of, .. }) if *of == job => {
                        first.get_or_insert(start.elapsed());
                    }
                    Happening::Core(Event::JobDone { job: of }) if *of == job => return Ok(()),
                    Happening::Core(Event::JobFailed { job: of, reason }) if *of == job => {
                        return Err((*reason).into());
                    }
                    _ => {}
                }
            }
        };
        let followed = tokio::time::timeout(PATIENCE, follow).await;
        followed.map_err(|_| {
            Reason::new("timeout", "the job did not end in time", "measure again")
        })??;
        let whole = start.elapsed();
        let timing = Timing {
            first_slice: first.unwrap_or(whole),
            whole,
        };
        Ok((self.ended(job).await?, timing))
    }

    /// The account of a job that has ended.
    async fn ended(&self, job: JobId) -> Result<JobFile, Reason> {
        let file = self.desk.find(&job.to_string())?;
        self.desk.collected(&job.to_string()).await?;
        Ok(file)
    }

    /// What all devices have done so far.
    pub async fn usage(&self) -> Usage {
        let mut all = self.desk.node().usage().await;
        for lender in &self.lenders {
            all = all + lender.node.usage().await;
        }
        all
    }

    /// Ends a peer without a goodbye, as a crash does; how long until all others had forgotten it.
    ///
    /// # Errors
    /// `timeout`.
    pub async fn crash_one(&mut self) -> Result<Option<Duration>, Reason> {
        let Some(lender) = self.lenders.pop() else {
            return Ok(None);
        };
        let start = Instant::now();
        lender.happenings.abort();
        lender.node.kill().await;
        self.everybody_knows(self.lenders.len()).await?;
        Ok(Some(start.elapsed()))
    }

    /// Has everybody leave.
    pub async fn end(self) {
        self.desk.leave().await;
        for lender in &self.lenders {
            lender.node.leave().await;
        }
    }
}

/// Whom the `n`th peer dials, of those before it: never all the same few, who would be full in a large swarm.
pub(super) fn bootstrap_of(n: usize, before: &[Multiaddr]) -> Vec<Multiaddr> {
    let mut chosen: Vec<usize> = vec![n.saturating_sub(1), n / 2, n / 4];
    chosen.dedup();
    chosen
        .iter()
        .filter_map(|i| before.get(*i).cloned())
        .collect()
}

/// Lenders that a peer knows beside itself.
async fn lending(node: &Node) -> usize {
    let me = node.key();
    let peers = node.peers().await;
    peers
        .iter()
        .filter(|(a, _)| a.peer != me && a.free_slots > 0)
        .count()
}

type Started = (Node, Multiaddr, tokio::sync::mpsc::Receiver<Happening>);

async fn peer(
    home: std::path::PathBuf,
    genesis: &Genesis,
    bootstrap: &[Multiaddr],
    lend: bool,
) -> Result<Started, Reason> {
    let options = NodeOptions::on_loopback(home, genesis, bootstrap, lend);
    let (node, mut happenings) = Node::start(options).await?;
    let address = async {
        loop {
            match happenings.recv().await {
                Some(Happening::Listening { address }) => return address.parse().ok(),
                Some(_) => {}
                None => return None,
            }
        }
    };
    let address = tokio::time::timeout(PATIENCE, address).await.ok().flatten();
    let silent = || {
        Reason::new(
            "network_failed",
            "a peer does not listen",
            "run `starling doctor`",
        )
    };
    Ok((node, address.ok_or_else(silent)?, happenings))
}
