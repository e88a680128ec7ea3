//! Whole peers on loopback in one process: real sockets, real disk, real kernels on the CPU.

mod clocks;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use starling::compute::tier;
use starling::net::Multiaddr;
use starling::node::{Happening, Node, NodeOptions};
use starling_kernels::{JobSpec, Kernel, fractal, matmul};
use starling_protocol::crypto::Ed25519Verifier;
use starling_protocol::io::{Shape, Submission};
use starling_protocol::manifest::BlobRef;
use starling_protocol::{BlobId, Event, Genesis, Hash, JobId, PeerKey, Scope};
use tokio::sync::mpsc;

const PATIENCE: Duration = Duration::from_secs(60);

struct Peer {
    node: Node,
    happenings: mpsc::Receiver<Happening>,
    home: tempfile::TempDir,
}

impl Peer {
    async fn start(genesis: &Genesis, bootstrap: &[Multiaddr], lend: bool, lies: bool) -> Self {
        let home = tempfile::tempdir().expect("a folder");
        Self::start_in(home, genesis, bootstrap, lend, lies).await
    }

    async fn start_in(
        home: tempfile::TempDir,
        genesis: &Genesis,
        bootstrap: &[Multiaddr],
        lend: bool,
        lies: bool,
    ) -> Self {
        let folder = home.path().join("home");
        let options = NodeOptions {
            lies,
            ..NodeOptions::on_loopback(folder, genesis, bootstrap, lend)
        };
        let (node, happenings) = Node::start(options).await.expect("the peer starts");
        Self {
            node,
            happenings,
            home,
        }
    }

    async fn until<T>(&mut self, what: &str, mut wanted: impl FnMut(Happening) -> Option<T>) -> T {
        let search = async {
            loop {
                let happening = self.happenings.recv().await.expect("the peer runs");
                if let Some(found) = wanted(happening) {
                    return found;
                }
            }
        };
        tokio::time::timeout(PATIENCE, search)
            .await
            .unwrap_or_else(|_| panic!("no {what} in time"))
    }

    async fn address(&mut self) -> Multiaddr {
        let address = self.until("address", |h| match h {
            Happening::Listening { address } => Some(address),
            _ => None,
        });
        address.await.parse().expect("an address")
    }
}

fn genesis() -> Genesis {
    Genesis {
        slice_ms: 200,
        ..Genesis::new(
            "test",
            Scope::Local,
            Hash::of(&std::process::id().to_le_bytes()),
        )
    }
}

/// A requester and `workers`, of which the last one lies if `lies`.
async fn swarm(workers: usize, lies: bool) -> (Peer, Vec<Peer>) {
    let genesis = genesis();
    let mut requester = Peer::start(&genesis, &[], false, false).await;
    let address = requester.address().await;
    let mut others = Vec::new();
    for i in 0..workers {
        let cheat = lies && i + 1 == workers;
        others.push(Peer::start(&genesis, std::slice::from_ref(&address), true, cheat).await);
    }
    // Everybody knows everybody: a worker takes no job whose roster is strange to it.
    wait_for_adverts(&requester.node, workers).await;
    for other in &others {
        wait_for_adverts(&other.node, workers - 1).await;
    }
    (requester, others)
}

async fn wait_for_adverts(node: &Node, count: usize) {
    let kernel = fractal::Fractal.id().0.into();
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while node
        .peers()
        .await
        .iter()
        .filter(|(a, _)| a.offer(&kernel).is_some())
        .count()
        < count
    {
        assert!(
            tokio::time::Instant::now() < deadline,
            "the adverts did not arrive"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn job() -> JobSpec {
    let params = fractal::Params::mandelbrot(512, 512, 500);
    JobSpec {
        kernel: fractal::Fractal.id(),
        params: params.encode(),
        inputs: Vec::new(),
    }
}

async fn submit(requester: &Peer, job: &JobSpec) {
    let shape = job.shape().expect("the job is sound");
    let put = |bytes: &Arc<[u8]>| BlobRef {
        id: requester.node.blobs().put(bytes).expect("stored").into(),
        len: bytes.len() as u64,
    };
    let submission = Submission {
        kernel: job.kernel.0.into(),
        class: job.kernel().expect("known").name().into(),
        params: job.params.clone(),
        inputs: job.inputs.iter().map(put).collect(),
        shape: Shape {
            tiles: shape.tiles,
            tile_bytes: shape.tile_bytes,
            units_per_tile: shape.units_per_tile,
            tier: tier(shape.tier),
        },
        slice_tiles: Some(64),
        max_price: None,
        deadline_in_s: 600,
        stewards: None,
        full_audits: false,
    };
    requester.node.submit(submission).await;
}

struct Outcome {
    job: JobId,
    output: Vec<u8>,
    workers: Vec<PeerKey>,
    caught: Vec<PeerKey>,
    false_accusations: usize,
}

async fn collect(requester: &mut Peer) -> Outcome {
    let mut slices: BTreeMap<u32, BlobId> = BTreeMap::new();
    let (mut workers, mut caught, mut false_accusations) = (Vec::new(), Vec::new(), 0);
    let job = requester.until("end of the job", |h| {
        let Happening::Core(event) = h else {
            return None;
        };
        match event {
            Event::SliceDone {
                slice,
                blob,
                worker,
                ..
            } => {
                slices.insert(slice, blob);
                workers.push(worker);
            }
            Event::CheatCaught { worker, .. } => caught.push(worker),
            Event::FalseAccusation { .. } => false_accusations += 1,
            Event::JobDone { job } => return Some(job),
            Event::JobFailed { reason, .. } | Event::SubmitRefused { reason } => panic!("{reason}"),
            _ => {}
        }
        None
    });
    let job = job.await;
    let mut output = Vec::new();
    for blob in slices.values() {
        output.extend(
            requester
                .node
                .blobs()
                .get(blob.as_bytes())
                .expect("readable")
                .expect("stored"),
        );
    }
    Outcome {
        job,
        output,
        workers,
        caught,
        false_accusations,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_among_four_workers_is_byte_equal_to_a_local_run_and_every_slice_has_a_receipt() {
    let (mut requester, others) = swarm(4, false).await;
    let job = job();
    submit(&requester, &job).await;
    let outcome = collect(&mut requester).await;

    let prepared = job.prepare().expect("the job is sound");
    let all: Vec<u32> = (0..prepared.shape().tiles).collect();
    assert!(
        outcome.output == prepared.run(&all),
        "other bytes than a local run"
    );
    assert!(outcome.caught.is_empty() && outcome.false_accusations == 0);

    let bundle = requester
        .node
        .bundle(outcome.job)
        .await
        .expect("the job is known");
    assert_eq!(bundle.receipts.len(), outcome.workers.len());
    for receipt in bundle.verify(&Ed25519Verifier).expect("the record holds") {
        let receipt = receipt.expect("a valid receipt");
        assert_eq!(receipt.flags, starling_protocol::receipt::Flags::default());
    }
    requester.node.leave().await;
    for other in others {
        let usage = other.node.leave().await;
        assert!(usage.audit_tiles > 0, "everybody audits: {usage:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lying_backend_is_caught_and_the_picture_is_right() {
    let (mut requester, others) = swarm(4, true).await;
    let cheat = others[3].node.key();
    let job = job();
    submit(&requester, &job).await;
    let outcome = collect(&mut requester).await;
    let prepared = job.prepare().expect("the job is sound");
    let all: Vec<u32> = (0..prepared.shape().tiles).collect();
    assert!(
        outcome.output == prepared.run(&all),
        "other bytes than a local run"
    );
    assert!(outcome.caught.iter().all(|w| *w == cheat) && !outcome.caught.is_empty());
    assert_eq!(outcome.false_accusations, 0);
    assert!(!outcome.workers.contains(&cheat));
    requester.node.leave().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_names_a_blob_as_an_input_does_not_have_it_removed() {
    let (mut requester, others) = swarm(3, false).await;
    let edge = 64;
    let factor = |byte| Arc::from(vec![byte; (edge * edge) as usize]);
    let params = matmul::Params {
        rows: edge,
        inner: edge,
        columns: edge,
    };
    let job = JobSpec {
        kernel: matmul::Matmul.id(),
        params: params.encode(),
        inputs: vec![factor(1), factor(2)],
    };
    // Not fetched for the job: an output, say.
    let own = |bytes: &[u8]| *blake3::hash(bytes).as_bytes();
    let (kept, fetched) = (own(&job.inputs[0]), own(&job.inputs[1]));
    for other in &others {
        let put = other.node.blobs().put(&job.inputs[0]);
        assert_eq!(put.expect("stored"), kept);
    }
    submit(&requester, &job).await;
    let holders = || {
        let has = |o: &&Peer| o.node.blobs().has(&fetched);
        others.iter().filter(has).count()
    };
    let mut most = 0;
    let met = async {
        while most == 0 {
            most = holders();
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let (_, outcome) = tokio::join!(met, collect(&mut requester));
    assert_eq!(outcome.output.len(), (edge * edge * 4) as usize);
    let until = tokio::time::Instant::now() + PATIENCE;
    while holders() > 0 {
        assert!(tokio::time::Instant::now() < until, "not removed");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for peer in &others {
        assert!(peer.node.blobs().has(&kept), "removed with the job");
    }
    for input in [kept, fetched] {
        assert!(requester.node.blobs().has(&input), "its owner's");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_whose_log_is_lost_goes_on_as_another_one() {
    let genesis = genesis();
    let first = Peer::start(&genesis, &[], true, false).await;
    let (before, home) = (first.node.key(), first.home);
    first.node.leave().await;
    drop(first.node);
    let again = Peer::start_in(home, &genesis, &[], true, false).await;
    assert_eq!(again.node.key(), before, "a restart changes nothing");
    let home = again.home;
    again.node.leave().await;
    drop(again.node);

    let log = home.path().join("home/log/facts.log");
    let len = std::fs::metadata(&log).expect("a log").len();
    std::fs::write(&log, vec![0xa5; len as usize]).expect("writable");
    let other = Peer::start_in(home, &genesis, &[], true, false).await;
    assert_ne!(
        other.node.key(),
        before,
        "what it signed before is forgotten"
    );
    let retired = other.home.path().join("home/identity.key.damaged-1");
    assert!(retired.exists(), "the old identity is kept for its owner");
    other.node.leave().await;
}
