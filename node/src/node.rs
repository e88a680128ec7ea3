//! A running peer: opens home, log, index, blobs, device and network, and starts the driver over them.
//!
//! The handle asks; what happens arrives in the channel of [`Happening`]s, which its owner has to drain.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;

use starling_kernels::Kernel as _;
use starling_kernels::shader::Wgsl;
use starling_protocol::advert::Advert;
use starling_protocol::crypto::{Ed25519Signer, Signer as _};
use starling_protocol::io::{Capacity, Proof, Record, Setup, Submission};
use starling_protocol::lending::Shares;
use starling_protocol::reputation::ReputationView;
use starling_protocol::text::cut;
use starling_protocol::{
    BlobId, Bundle, Genesis, JobId, Peer, PeerKey, Reason, Receipt, SwarmId, board, codec, config,
};
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::blobs::{BlobError, BlobStore, line::Lines};
use crate::compute::{
    Backend, Capability, Cheat, Compute, DeviceChoice, DeviceError, Duty, Teller, Usage,
    device_process, open as open_device,
};
use crate::driver::{Command, Driven, Driver, Members, Parts, Topics, index, unix_s};
use crate::home::disk::{DiskError, move_aside};
use crate::home::{
    Home, HomeError,
    config::{Lend, Limits},
};
use crate::key::{KeyError, Seed};
use crate::log::{Log, LogError, LogWriter, MAX_RECORD};
use crate::membership::{self, Gate};
use crate::net::{
    Admission, Multiaddr, NetConfig, NetError, NetLimits, NetStatus, Scope, Services,
    start as start_net,
};
use crate::restore::Restored;
use crate::store::{Space, Store, StoreError};

pub use crate::driver::Happening;

/// Records that may wait for the disk.
const LOG_QUEUE: usize = 4096;

/// What a peer is started with.
#[derive(Clone, Debug)]
pub struct NodeOptions {
    /// Its folder; locked while it runs.
    pub home: PathBuf,
    /// Its swarm.
    pub genesis: Genesis,
    /// The door of a closed swarm.
    pub gate: Option<Arc<Gate>>,
    /// Where to listen.
    pub listen: Vec<Multiaddr>,
    /// Whom to dial at start.
    pub bootstrap: Vec<Multiaddr>,
    /// Where others reach this peer, as its owner knows.
    pub announce: Vec<Multiaddr>,
    /// Which of the services that the swarm's scope calls for may run.
    pub services: Services,
    /// What to compute with.
    pub device: DeviceChoice,
    /// Refuse to start without a GPU.
    pub require_gpu: bool,
    /// Whether to lend the device; a requester only needs it when nobody else computes.
    pub lend: bool,
    /// Fake every tile that is paid for. Only `starling demo` sets it.
    pub lies: bool,
    /// The owner's limits.
    pub limits: Limits,
    /// On what terms it lends.
    pub terms: Lend,
}

impl NodeOptions {
    /// A peer among others of this machine: one TCP port of loopback, no services, the CPU, and the limits that are set
    /// by default.
    pub fn on_loopback(
        home: PathBuf,
        genesis: &Genesis,
        bootstrap: &[Multiaddr],
        lend: bool,
    ) -> Self {
        Self {
            home,
            genesis: genesis.clone(),
            gate: None,
            // An address, so there is always one.
            listen: "/ip4/127.0.0.1/tcp/0".parse().into_iter().collect(),
            bootstrap: bootstrap.to_vec(),
            announce: Vec::new(),
            services: Services::OFF,
            device: DeviceChoice::Cpu,
            require_gpu: false,
            lend,
            lies: false,
            limits: Limits::default(),
            terms: Lend::default(),
        }
    }
}

/// Why a peer does not start.
#[derive(Debug, thiserror::Error)]
#[expect(
    missing_docs,
    reason = "each names the part that failed, whose own text is shown"
)]
pub enum NodeError {
    #[error(transparent)]
    Home(#[from] HomeError),
    #[error(transparent)]
    Disk(#[from] DiskError),
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error(transparent)]
    Log(#[from] LogError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Blobs(#[from] BlobError),
    #[error(transparent)]
    Device(#[from] DeviceError),
    #[error(transparent)]
    Net(#[from] NetError),
    #[error("cannot tell where this program lies: {0}")]
    Exe(std::io::Error),
    #[error("the start was interrupted")]
    Interrupted,
    #[error("{0}")]
    NotAMember(crate::reason::Reason),
}

/// A running peer.
pub struct Node {
    key: PeerKey,
    genesis: Genesis,
    capability: Capability,
    commands: mpsc::Sender<Command>,
    blobs: BlobStore,
    store: Arc<Store>,
    unfinished: Vec<JobId>,
    duty: Duty,
    lines: Lines,
    /// Its loop; none once it has left.
    driver: Mutex<Option<JoinHandle<()>>>,
    _home: Home,
}

impl Node {
    /// Starts a peer of this crate's core.
    ///
    /// # Errors
    /// [`NodeError`], with the fix in its text. Nothing is left running.
    pub async fn start(
        options: NodeOptions,
    ) -> Result<(Self, mpsc::Receiver<Happening>), NodeError> {
        let cheat = options.lies.then(|| Arc::new(Cheat) as Arc<dyn Teller>);
        Self::start_with(options, cheat, |peer| peer).await
    }

    /// Starts a peer whose core is wrapped in something, and for whose device somebody may answer.
    ///
    /// # Errors
    /// As [`Node::start`].
    pub async fn start_with<C: Driven>(
        options: NodeOptions,
        teller: Option<Arc<dyn Teller>>,
        wrap: impl FnOnce(Peer) -> C,
    ) -> Result<(Self, mpsc::Receiver<Happening>), NodeError> {
        let opened = options.clone();
        let disk = tokio::task::spawn_blocking(move || Disk::open(&opened));
        let disk = disk.await.map_err(|_| NodeError::Interrupted)??;
        let (backend, capability) = Self::device(&options).await?;

        let swarm = options.genesis.swarm_id();
        let signer = Ed25519Signer::from_seed(disk.seed.as_bytes());
        let key = signer.key();
        may_enter(&options, &key)?;
        let shares = options.terms.rules.shares;
        let net_config = net_config(&options, swarm, *disk.seed.as_bytes());
        let lines = net_config.lines.clone();
        let (net, net_events) = start_net(net_config, disk.blobs.clone())?;
        let topics = Topics::of_shard(board::home(&key, options.genesis.shards));
        for topic in topics.names() {
            net.subscribe(topic).await?;
        }
        if options.gate.is_some() {
            net.subscribe(membership::TOPIC).await?;
        }
        let mut rng_seed = [0; 32];
        getrandom::fill(&mut rng_seed).map_err(|e| NodeError::Exe(e.into()))?;
        let setup = Setup {
            genesis: options.genesis.clone(),
            rng_seed,
            guests: vec![Wgsl.id().0.into()],
        };
        let core = wrap(Peer::new(setup, Box::new(signer)));

        let duty = Duty::new(shares.duty());
        let (compute, finished) = Compute::start(backend.told_by(teller), duty.clone());
        let (commands, received) = mpsc::channel(64);
        let (happenings, happened) = mpsc::channel(1024);
        let driver = Driver::new(Parts {
            core,
            net,
            net_events,
            topics,
            logged: disk.logged,
            inputs: disk.inputs,
            log: disk.log,
            store: disk.store.clone(),
            blobs: disk.blobs.clone(),
            compute,
            finished,
            commands: received,
            happenings,
            home: options.home.clone(),
            members: Members::new(options.gate),
        });
        let capacity = Capacity {
            devices: vec![capability.profile.clone()],
            kernels: capability.kernels.clone(),
            slots: 1,
            region: cut(&options.terms.region),
            software: cut(concat!("starling ", env!("CARGO_PKG_VERSION"))),
        };
        let lent = (options.lend, shares.duty());
        let driver = tokio::spawn(driver.run(disk.restored, capacity, lent));
        let node = Self {
            key,
            genesis: options.genesis,
            capability,
            commands,
            blobs: disk.blobs,
            store: disk.store,
            unfinished: disk.unfinished,
            duty,
            lines,
            driver: Mutex::new(Some(driver)),
            _home: disk.home,
        };
        Ok((node, happened))
    }

    async fn device(options: &NodeOptions) -> Result<(Backend, Capability), NodeError> {
        let runner = device_process().map_err(NodeError::Exe)?;
        if options.limits.threads > 0 {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(options.limits.threads as usize);
            // A process has one pool: a second peer in it shares the first one's.
            let _ = pool.build_global();
        }
        let (choice, require_gpu) = (options.device.clone(), options.require_gpu);
        let opened =
            tokio::task::spawn_blocking(move || open_device(&choice, require_gpu, &runner));
        let (backend, mut capability) = opened.await.map_err(|_| NodeError::Interrupted)??;
        for offer in &mut capability.kernels {
            offer.price = options.terms.price;
        }
        Ok((backend, capability))
    }

    /// Its name.
    pub fn key(&self) -> PeerKey {
        self.key
    }

    /// Its swarm.
    pub fn swarm(&self) -> SwarmId {
        self.genesis.swarm_id()
    }

    /// What it computes with, and how fast.
    pub fn capability(&self) -> &Capability {
        &self.capability
    }

    /// Where inputs are put before a submission, and outputs are found after it.
    pub fn blobs(&self) -> &BlobStore {
        &self.blobs
    }

    /// Submits a job; answered by `Event::Submitted` or `Event::SubmitRefused`.
    pub async fn submit(&self, submission: Submission) {
        let _ = self
            .commands
            .send(Command::Submit(Box::new(submission)))
            .await;
    }

    /// Looks for a job that this identity submitted elsewhere; answered by `Event::Found` or `Event::NotFound`.
    pub async fn collect(&self, job: JobId) {
        let _ = self.commands.send(Command::Collect(job)).await;
    }

    /// Cancels a job of this peer.
    pub async fn cancel(&self, job: JobId) {
        let _ = self.commands.send(Command::Cancel(job)).await;
    }

    /// Valid adverts with their age in ms, ascending by key.
    pub async fn peers(&self) -> Vec<(Advert, u64)> {
        self.ask(Command::Peers).await.unwrap_or_default()
    }

    /// What it thinks of those peers, from what it saw itself; of some, nothing.
    pub async fn reputations(&self) -> Vec<ReputationView> {
        self.ask(Command::Reputations).await.unwrap_or_default()
    }

    /// What it has measured of their claims; of most, nothing.
    pub async fn proofs(&self) -> Vec<(PeerKey, Vec<Proof>)> {
        self.ask(Command::Proofs).await.unwrap_or_default()
    }

    /// How it stands in its network; none while it leaves.
    pub async fn network(&self) -> Option<NetStatus> {
        self.ask(Command::Network).await
    }

    /// What its device has done since it started.
    pub async fn usage(&self) -> Usage {
        self.ask(Command::Usage).await.unwrap_or_default()
    }

    /// A job's record with the receipts that this peer has for it.
    pub async fn bundle(&self, job: JobId) -> Option<Bundle> {
        let record = self.ask(|answer| Command::Record(job, answer)).await??;
        let receipts = self.receipts(&job);
        Some(Bundle {
            genesis: self.genesis.clone(),
            record,
            receipts,
        })
    }

    /// Own jobs of a former life that were not over when this peer started: `Event::Resumed` comes for each.
    pub fn unfinished(&self) -> &[JobId] {
        &self.unfinished
    }

    /// The done slices of an own job whose bytes are here, with their workers, ascending.
    pub fn slices(&self, job: &JobId) -> Vec<(u32, PeerKey, BlobId)> {
        let mut slices = Vec::new();
        let scanned = self.store.scan(Space::Slices, job.as_bytes(), |_, value| {
            slices.extend(codec::decode::<(u32, PeerKey, BlobId)>(value, MAX_RECORD));
            ControlFlow::Continue(())
        });
        if let Err(error) = scanned {
            tracing::warn!(%error, "a job's slices could not be read");
        }
        slices.retain(|(.., blob)| self.blobs.has(blob.as_bytes()));
        slices
    }

    /// Why an own job is over; none if it is not, or is unknown.
    pub fn ending(&self, job: &JobId) -> Option<Reason> {
        let ending = self.store.get(Space::Ends, job.as_bytes());
        let ending =
            ending.inspect_err(|error| tracing::warn!(%error, "a job's end could not be read"));
        codec::decode(&ending.ok()??, MAX_RECORD).ok()
    }

    fn receipts(&self, job: &JobId) -> Vec<Receipt> {
        let mut receipts = Vec::new();
        let scanned = self
            .store
            .scan(Space::Receipts, job.as_bytes(), |_, value| {
                receipts.extend(codec::decode::<Receipt>(value, config::RECEIPT_MAX));
                ControlFlow::Continue(())
            });
        if let Err(error) = scanned {
            tracing::warn!(%error, "receipts could not be read");
        }
        receipts
    }

    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Option<T> {
        let (answer, answered) = oneshot::channel();
        self.commands.send(command(answer)).await.ok()?;
        answered.await.ok()
    }

    /// Stops at once, without a goodbye: what a crash looks like to others.
    pub async fn kill(&self) {
        if let Some(driver) = self.driver.lock().await.take() {
            driver.abort();
            // Cancelled, as asked.
            let _ = driver.await;
        }
    }

    /// Lends its device from now on, or hands back at once what it has not finished.
    pub async fn lend(&self, lends: bool, shares: Shares) {
        let duty_pct = shares.duty();
        self.duty.set(duty_pct);
        self.lines.set(shares);
        let _ = self.commands.send(Command::Lend { lends, duty_pct }).await;
    }

    /// Says goodbye, writes everything down, stops; own jobs go on at the next start. Home and index are held until the
    /// handle is dropped.
    pub async fn leave(&self) -> Usage {
        let usage = self.ask(Command::Leave).await.unwrap_or_default();
        if let Some(driver) = self.driver.lock().await.take() {
            // It panics with its task, and was told so.
            let _ = driver.await;
        }
        usage
    }
}

/// All that a peer keeps on disk.
struct Disk {
    home: Home,
    seed: Seed,
    log: LogWriter,
    logged: u64,
    store: Arc<Store>,
    blobs: BlobStore,
    restored: Vec<Record>,
    unfinished: Vec<JobId>,
    inputs: Vec<BlobId>,
}

impl Disk {
    fn open(options: &NodeOptions) -> Result<Self, NodeError> {
        let home = Home::open(&options.home)?;
        let (mut seed, _) = Seed::load_or_create(&home.identity())?;
        let swarm = options.genesis.swarm_id();
        let mut restored = Restored::new(swarm, unix_s());
        let (mut log, recovery) =
            Log::open(
                &home.log(),
                swarm.as_bytes(),
                |_, bytes| match codec::decode::<Record>(bytes, MAX_RECORD) {
                    Ok(record) => restored.take(record),
                    Err(error) => tracing::warn!(%error, "a record of the log is not understood"),
                },
            )?;
        if !recovery.is_clean() {
            tracing::warn!(?recovery, "the log was damaged");
        }
        if recovery.moved_aside.is_some() {
            // What this identity has signed is unknown, and it must not sign anything else: a new one begins.
            let aside = move_aside(&home.identity())?;
            (seed, _) = Seed::load_or_create(&home.identity())?;
            tracing::warn!(aside = %aside.display(), "the log was lost: this peer goes on under a new identity");
        }
        let (store, opened) = Store::open(&home.index(), &mut log, index::index)?;
        if let crate::store::Opened::Rebuilt { reason, aside } = opened {
            tracing::warn!(%reason, aside = %aside.display(), "the index was rebuilt from the log");
        }
        let logged = log.last_seq();
        let max_bytes = u64::from(options.limits.blobs_gib) << 30;
        let blobs = BlobStore::open(home.blobs(), max_bytes)?;
        let log = LogWriter::spawn(log, LOG_QUEUE)?;
        let has = |blob: &BlobId| blobs.has(blob.as_bytes());
        let inputs = restored.inputs(has, || index::own_blobs(&store));
        Ok(Self {
            home,
            seed,
            log,
            logged,
            store: Arc::new(store),
            unfinished: restored.jobs(),
            restored: restored.into_records(has),
            inputs,
            blobs,
        })
    }
}

/// A closed swarm takes nobody without a certificate, so a peer without one does not even begin.
fn may_enter(options: &NodeOptions, key: &PeerKey) -> Result<(), NodeError> {
    if options.genesis.admission.is_none() {
        return Ok(());
    }
    let Some(gate) = &options.gate else {
        let what = "the swarm is closed: a peer needs its home's certificate";
        let reason =
            crate::reason::Reason::new("no_certificate", what, "use the peer that runs in a home");
        return Err(NodeError::NotAMember(reason));
    };
    gate.check(key).map_err(NodeError::NotAMember)
}

fn net_config(options: &NodeOptions, swarm: SwarmId, keypair_secret: [u8; 32]) -> NetConfig {
    let scope = Scope::from(options.genesis.scope);
    let mut topics = Topics::PREFIXES.map(String::from).to_vec();
    topics.extend(options.gate.as_ref().map(|_| membership::TOPIC.into()));
    let half = (options.limits.connections / 2).max(2);
    NetConfig {
        keypair_secret,
        swarm_id: *swarm.as_bytes(),
        scope,
        listen: options.listen.clone(),
        bootstrap: options.bootstrap.clone(),
        announce: options.announce.clone(),
        services: Services::of(scope).and(options.services),
        topics,
        limits: NetLimits {
            established_in: half,
            established_out: half,
            ..NetLimits::default()
        },
        lines: Lines::of(options.terms.rules.shares),
        admission: options.gate.clone().map(|gate| gate as Arc<dyn Admission>),
        agent: concat!("starling/", env!("CARGO_PKG_VERSION")).into(),
    }
}
