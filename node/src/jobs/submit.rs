//! How a job comes to the swarm: looked at, peers waited for, handed to the core, and its answer.

use std::time::{Duration, Instant};

use starling_kernels::JobSpec;
use starling_protocol::io::{Shape, Submission};
use starling_protocol::manifest::BlobRef;
use starling_protocol::{Advert, BlobId, KernelId, Reason as Refusal};
use tokio::sync::oneshot;

use super::{Desk, JobFile, Said};
use crate::compute::{Here, tier};
use crate::reason::Reason;

/// How long newcomers are waited for after the first peer, unless a number is asked for.
const SETTLE: Duration = Duration::from_secs(1);
/// Between two looks at who is there.
const LOOK: Duration = Duration::from_millis(50);
/// Jobs at once.
const JOBS_MAX: usize = 64;
/// An answer of the core to a submission.
const ANSWER: Duration = Duration::from_secs(30);

/// What to submit.
#[derive(Clone, Debug)]
pub struct Order {
    /// Which kernel.
    pub kernel: starling_kernels::KernelId,
    /// Its parameters.
    pub params: Vec<u8>,
    /// Inputs, in the kernel's order; put into the store before.
    pub inputs: Vec<BlobId>,
    /// Tiles per slice, unless the peers' speed is to decide.
    pub slice_tiles: Option<u32>,
    /// Seconds until nothing is computed any more.
    pub deadline_s: u64,
    /// Most that is paid per 10^9 work units.
    pub max_price: Option<u64>,
    /// At most so many stewards besides this peer; none: the protocol's number.
    pub stewards: Option<u16>,
    /// Every slice is audited as a newcomer's, whoever computes it.
    pub full_audits: bool,
    /// Peers to wait for; none: one, and those heard in the second after it.
    pub peers: Option<u32>,
    /// How long to wait for them.
    pub wait: Duration,
    /// What its owner said of it, for the record.
    pub said: Said,
}

impl Desk {
    /// Waits for peers and submits.
    ///
    /// # Errors
    /// What the kernel, the store or the protocol says; `no_eligible_peer` or `clocks_differ` after the wait; `too_many`
    /// jobs.
    pub async fn submit(&self, order: Order) -> Result<JobFile, Reason> {
        let (inputs, shape, class) = self.checked(&order).await?;
        self.wait_for_peers(&order, class).await?;
        let _turn = self.inner.submitting.lock().await;
        let (answer, answered) = oneshot::channel();
        {
            let mut state = self.state();
            if state.open.len() >= JOBS_MAX {
                let what = format!("{JOBS_MAX} jobs are running");
                return Err(Reason::new("too_many", what, "wait for one, or cancel one")
                    .with("most", JOBS_MAX));
            }
            state.answer = Some(answer);
            state.next_said = order.said;
        }
        let submission = Submission {
            kernel: order.kernel.0.into(),
            class: class.to_owned(),
            params: order.params,
            inputs,
            shape,
            slice_tiles: order.slice_tiles,
            max_price: order.max_price,
            deadline_in_s: order.deadline_s,
            stewards: order.stewards,
            full_audits: order.full_audits,
        };
        self.inner.node.submit(submission).await;
        let silent = || Reason::new("error", "the peer does not answer", "run `starling doctor`");
        let job = tokio::time::timeout(ANSWER, answered).await;
        let job = job.map_err(|_| silent())?.map_err(|_| silent())??;
        let state = self.state();
        state
            .open
            .get(&job)
            .map(|open| open.file.clone())
            .map_or_else(|| self.find(&job.to_string()), Ok)
    }

    /// Looks at everything that the kernel will look at.
    async fn checked(&self, order: &Order) -> Result<(Vec<BlobRef>, Shape, &'static str), Reason> {
        let (blobs, order) = (self.inner.node.blobs().clone(), order.clone());
        let look = tokio::task::spawn_blocking(move || {
            let mut refs = Vec::new();
            let mut inputs = Vec::new();
            for id in &order.inputs {
                let bytes = blobs.get(id.as_bytes())?.ok_or_else(|| {
                    let fix = "put it into the store first";
                    Reason::new("bad_input", format!("input {id} is not here"), fix)
                        .with("blob", id.to_string())
                })?;
                let len = bytes.len() as u64;
                refs.push(BlobRef { id: *id, len });
                inputs.push(bytes.into());
            }
            let spec = JobSpec {
                kernel: order.kernel,
                params: order.params,
                inputs,
            };
            let (shape, kernel) = (spec.shape()?, spec.kernel()?);
            if spec.is_guest() {
                // By a process of its own: peers would refuse the job one after the other.
                Here::load(&spec)?;
            }
            let shape = Shape {
                tiles: shape.tiles,
                tile_bytes: shape.tile_bytes,
                units_per_tile: shape.units_per_tile,
                tier: tier(shape.tier),
            };
            Ok((refs, shape, kernel.name()))
        });
        look.await.map_err(|e| Reason::of("error", e))?
    }

    /// Those that would compute for this desk now: they offer the kernel at that price and have a free slot.
    pub async fn eligible(&self, kernel: &KernelId, max_price: Option<u64>) -> Vec<(Advert, u64)> {
        let me = self.inner.node.key();
        let lends = |a: &Advert| {
            let offer = a
                .offer(kernel)
                .filter(|o| max_price.is_none_or(|most| o.price <= most));
            a.peer != me && a.free_slots > 0 && offer.is_some()
        };
        let mut peers = self.inner.node.peers().await;
        peers.retain(|(advert, _)| lends(advert));
        if !peers.is_empty() {
            self.state().clocks = None;
        }
        peers
    }

    async fn wait_for_peers(&self, order: &Order, class: &str) -> Result<(), Reason> {
        let least = order.peers.unwrap_or(1) as usize;
        let (began, kernel) = (Instant::now(), order.kernel.0.into());
        let (mut known, mut changed) = (0, began);
        loop {
            let offering = self.eligible(&kernel, order.max_price).await.len();
            if offering != known {
                (known, changed) = (offering, Instant::now());
            }
            let over = began.elapsed() >= order.wait;
            if known >= least && (order.peers.is_some() || changed.elapsed() >= SETTLE || over) {
                return Ok(());
            }
            if over {
                let clocks = self.state().clocks.clone();
                if let Some(clocks) = clocks.filter(|_| known == 0) {
                    return Err(clocks);
                }
                let mut reason: Reason = Refusal::NoEligiblePeer.into();
                reason.what = match known {
                    0 => format!("no reachable peer offers `{class}`"),
                    n => format!("only {n} of {least} peers offer `{class}`"),
                };
                reason.what += &format!(" (waited {} s)", order.wait.as_secs_f64());
                let all = self.eligible(&kernel, None).await;
                let cheapest = all
                    .iter()
                    .filter_map(|(a, _)| a.offer(&kernel))
                    .map(|o| o.price)
                    .min();
                if let (Some(price), Some(most)) = (cheapest, order.max_price)
                    && price > most
                {
                    reason.what += &format!("; the cheapest asks {price}, --max-price is {most}");
                    reason = reason.with("cheapest", price);
                }
                return Err(reason
                    .with("kernel", class)
                    .with("known", known)
                    .with("wanted", least));
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}
