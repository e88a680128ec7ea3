//! The task that owns the swarm: takes commands, hands out events, keeps house.
//!
//! What the swarm reports is dealt with in `swarm_events.rs`. Events wait in `queue` for the core; while it is full the
//! swarm is not polled, which pushes back on strangers, but commands still are, so that the core can never lock up
//! against its own network.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    time::{Duration, Instant},
};

use futures::StreamExt;
use libp2p::{
    Multiaddr, PeerId, Swarm,
    core::transport::ListenerId,
    gossipsub::{IdentTopic, MessageAcceptance, PublishError},
    kad::{RecordKey, store::RecordStore as _},
    swarm::{ConnectionId, dial_opts::DialOpts},
};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
    time::{MissedTickBehavior, timeout},
};

use super::{
    Gateway, How, MAX_MESSAGE_BYTES, NetConfig, NetError, NetEvent, NetLimits, PeerKey, Protocols,
    SendError, Services,
    bans::{Bans, Offence},
    behaviour::{Behaviour, topic_score},
    fetches::{AddressWanted, Fetches, Wish},
    handle::{Command, Parcel},
    lookups::{Lookup, Lookups},
    outbox::{Letter, Outbox},
    peer_id, peer_key,
    rate::{BUCKETS, Buckets, Floods, Gate},
    reach::Reach,
    scope::Bounds,
};
use crate::blobs::{BlobStore, serve};

/// Gossip that waits for a first subscriber.
const EARLY_GOSSIP: usize = 64;
/// How long it waits.
const EARLY_GOSSIP_WAIT: Duration = Duration::from_secs(10);
/// First and longest wait before bootstrap addresses are dialled again.
const REDIAL: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));
/// Own dials by address whose outcome is awaited.
const MAX_DIALS: usize = 256;
/// How long a shutdown waits for messages to leave, then for connections to close.
const DRAIN: Duration = Duration::from_millis(500);

/// The task's state.
pub(crate) struct Network {
    pub(super) swarm: Swarm<Behaviour>,
    pub(super) bounds: Bounds,
    pub(super) services: Services,
    pub(super) protocols: Protocols,
    pub(super) limits: NetLimits,
    pub(super) local: PeerId,
    /// Peers that have shown that they belong to this swarm, and are connected, with the addresses that they announce.
    pub(super) members: HashMap<PeerId, Vec<Multiaddr>>,
    pub(super) lookups: Lookups,
    pub(super) outbox: Outbox,
    pub(super) message_rate: Gate<PeerId>,
    pub(super) gossip_rate: Buckets<PeerId>,
    /// Peers that found a bucket of theirs empty.
    pub(super) floods: Floods<PeerId>,
    pub(super) bans: Bans<PeerId>,
    /// The far end of each connection.
    pub(super) remotes: HashMap<ConnectionId, Remote>,
    /// How others reach this peer.
    pub(super) reach: Reach,
    /// Relays that were asked for a reservation.
    pub(super) relay_listeners: HashMap<ListenerId, PeerId>,
    /// Relayed connections that a direct one has replaced, and when they end.
    pub(super) retiring: Vec<(Instant, ConnectionId)>,
    /// How many connections were.
    pub(super) punched: u64,
    /// What others said who were asked to dial an address.
    pub(super) answers: BTreeMap<Multiaddr, Option<String>>,
    /// What the router said.
    pub(super) gateway: Option<Gateway>,
    /// Peers of other swarms, the newest last.
    pub(super) foreign: VecDeque<PeerId>,
    /// Own dials by address.
    pub(super) dials: HashMap<ConnectionId, Multiaddr>,
    /// Fetches that wait until the addresses of their source have been looked up.
    pub(super) address_waiters: HashMap<PeerId, Vec<oneshot::Sender<()>>>,
    early_gossip: VecDeque<EarlyGossip>,
    pub(super) bootstrap: Bootstrap,
    fetches: Fetches,
    /// Fetches ask here for the addresses of a source.
    wanted: mpsc::Receiver<AddressWanted>,
    server: JoinHandle<()>,
    queue: VecDeque<NetEvent>,
    commands: mpsc::Receiver<Command>,
    events: mpsc::Sender<NetEvent>,
}

struct EarlyGossip {
    topic: String,
    data: Vec<u8>,
    since: Instant,
}

/// The far end of a connection.
#[derive(Debug)]
pub(super) struct Remote {
    pub(super) peer: PeerId,
    pub(super) address: Multiaddr,
    /// What its last ping took.
    pub(super) rtt: Option<Duration>,
}

pub(super) struct Bootstrap {
    /// Each with the outcome of its last dial.
    pub(super) addresses: BTreeMap<Multiaddr, Option<Result<(), String>>>,
    next: Instant,
    wait: Duration,
}

impl Network {
    pub(crate) fn new(
        swarm: Swarm<Behaviour>,
        config: NetConfig,
        bounds: Bounds,
        protocols: Protocols,
        store: BlobStore,
        floods: Floods<PeerId>,
        (commands, events): (mpsc::Receiver<Command>, mpsc::Sender<NetEvent>),
    ) -> Result<Self, NetError> {
        let limits = config.limits;
        let mut control = swarm.behaviour().blobs.new_control();
        let incoming = control
            .accept(protocols.blob.clone())
            .map_err(|e| NetError::Config(e.to_string()))?;
        let (fetches, wanted) = Fetches::new(
            control,
            &protocols,
            store.clone(),
            limits,
            config.lines.down,
        );
        let serving = serve::serve(
            incoming,
            store,
            limits.serve,
            config.lines.up,
            floods.clone(),
        );
        let server = tokio::spawn(serving);
        let mut network = Network {
            local: *swarm.local_peer_id(),
            swarm,
            bounds,
            services: config.services,
            reach: Reach::new(config.services.relay, &limits, Instant::now()),
            relay_listeners: HashMap::new(),
            retiring: Vec::new(),
            punched: 0,
            answers: BTreeMap::new(),
            gateway: None,
            foreign: VecDeque::new(),
            limits,
            members: HashMap::new(),
            lookups: Lookups::new(limits.lookups, limits.waiting_lookups),
            outbox: Outbox::new(limits.sends, limits.sends_per_peer),
            message_rate: Gate::new(limits.message_rate, &floods),
            gossip_rate: Buckets::new(limits.gossip_rate, BUCKETS),
            floods,
            bans: Bans::new(limits.bans),
            remotes: HashMap::new(),
            dials: HashMap::new(),
            address_waiters: HashMap::new(),
            early_gossip: VecDeque::new(),
            bootstrap: Bootstrap {
                addresses: config.bootstrap.into_iter().map(|a| (a, None)).collect(),
                next: Instant::now(),
                wait: REDIAL.0,
            },
            fetches,
            wanted,
            server,
            protocols,
            queue: VecDeque::new(),
            commands,
            events,
        };
        for address in config.announce {
            network.is_reachable(address, How::Announced);
        }
        Ok(network)
    }

    pub(crate) async fn run(mut self) {
        let mut housekeeping = tokio::time::interval(Duration::from_millis(500));
        housekeeping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let shutdown = loop {
            let room = self.queue.len() < self.limits.events;
            tokio::select! {
                open = deliver(&self.events, &mut self.queue), if !self.queue.is_empty() => {
                    if !open {
                        break None;
                    }
                }
                () = self.events.closed(), if self.queue.is_empty() => break None,
                command = self.commands.recv() => match command {
                    None => break None,
                    Some(Command::Shutdown(done)) => break Some(done),
                    Some(command) => self.obey(command),
                },
                event = self.swarm.select_next_some(), if room => self.on_swarm_event(event),
                Some(fetched) = self.fetches.next(), if room => self.tell(fetched),
                Some((of, waiter)) = self.wanted.recv() => {
                    self.address_waiters.entry(of).or_default().push(waiter);
                    self.look_up(Lookup::Address { of });
                }
                _ = housekeeping.tick() => self.keep_house(Instant::now()),
            }
        };
        self.close(shutdown).await;
    }

    /// Queues an event for the core.
    pub(super) fn tell(&mut self, event: NetEvent) {
        self.queue.push_back(event);
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Publish { topic, data } => self.publish(topic, data, Instant::now()),
            Command::Subscribe(topic) => {
                let topic = IdentTopic::new(topic);
                if let Err(error) = self.gossip().set_topic_params(topic.clone(), topic_score()) {
                    tracing::error!(%error, "gossip score");
                }
                if let Err(error) = self.gossip().subscribe(&topic) {
                    tracing::debug!(%error, "subscribe");
                }
            }
            Command::Unsubscribe(topic) => {
                self.gossip().unsubscribe(&IdentTopic::new(topic));
            }
            Command::Verdict { handle, acceptance } => {
                let rejected = matches!(acceptance, MessageAcceptance::Reject);
                self.gossip().report_message_validation_result(
                    &handle.id,
                    &handle.forwarder,
                    acceptance,
                );
                if rejected {
                    self.offend(handle.forwarder, Offence::Gossip);
                }
            }
            Command::Send(parcels) => self.send(parcels),
            Command::Provide(key) => self.look_up(Lookup::Provide { key }),
            Command::StopProviding(key) => {
                let kad = &mut self.swarm.behaviour_mut().kad;
                kad.stop_providing(&RecordKey::new(&key));
            }
            Command::FindProviders { query_id, key } => {
                self.look_up(Lookup::Providers { query_id, key });
            }
            Command::FindClosest { query_id, key } => {
                self.look_up(Lookup::Closest { query_id, key });
            }
            Command::FetchBlob {
                request_id,
                hash,
                max_len,
                from,
            } => {
                let wish = Wish {
                    request_id,
                    hash,
                    max_len,
                };
                if let Some(refused) = self.fetches.begin(wish, &from, self.local) {
                    self.tell(refused);
                }
            }
            Command::Dial(address) => self.dial(address),
            Command::Disconnect { peer, ban } => self.disconnect(peer, ban),
            Command::Holds { key, answer } => {
                let store = self.swarm.behaviour_mut().kad.store_mut();
                let all = store.providers(&RecordKey::new(&key));
                let others = all.iter().filter(|r| r.provider != self.local);
                let _ = answer.send(others.count());
            }
            Command::Connected(answer) => {
                let mut peers: Vec<_> = self.members.keys().filter_map(peer_key).collect();
                peers.sort_unstable();
                // Nobody waits any more: nothing to tell.
                let _ = answer.send(peers);
            }
            Command::Listeners(answer) => {
                let _ = answer.send(self.swarm.listeners().cloned().collect());
            }
            Command::Status(answer) => {
                let _ = answer.send(self.status());
            }
            // Taken by the loop.
            Command::Shutdown(done) => drop(done),
        }
    }

    fn gossip(&mut self) -> &mut super::behaviour::Gossip {
        &mut self.swarm.behaviour_mut().gossip
    }

    fn publish(&mut self, topic: String, data: Vec<u8>, since: Instant) {
        let hash = IdentTopic::new(topic.clone()).hash();
        match self.gossip().publish(hash, data.clone()) {
            Ok(_) | Err(PublishError::Duplicate) => {}
            // In a swarm that has just begun the first subscriber is a moment away.
            Err(PublishError::NoPeersSubscribedToTopic) => {
                if self.early_gossip.len() >= EARLY_GOSSIP {
                    self.early_gossip.pop_front();
                }
                self.early_gossip
                    .push_back(EarlyGossip { topic, data, since });
            }
            Err(error) => tracing::debug!(%error, %topic, "gossip not published"),
        }
    }

    /// Somebody subscribed: publishes what waited for that.
    pub(super) fn publish_early_gossip(&mut self, topic: &str) {
        let (ready, waiting) = std::mem::take(&mut self.early_gossip)
            .into_iter()
            .partition(|early| early.topic == topic);
        self.early_gossip = waiting;
        let ready: VecDeque<EarlyGossip> = ready;
        for early in ready {
            self.publish(early.topic, early.data, early.since);
        }
    }

    fn send(&mut self, parcels: Vec<Parcel>) {
        let mut peers = Vec::new();
        for parcel in parcels {
            let (to, token) = (parcel.to, parcel.token);
            match self.put_in_line(parcel) {
                Ok(peer) if peers.contains(&peer) => {}
                Ok(peer) => peers.push(peer),
                Err(reason) => self.tell(NetEvent::SendFailed { token, to, reason }),
            }
        }
        peers.into_iter().for_each(|peer| self.flush(peer));
    }

    fn put_in_line(&mut self, parcel: Parcel) -> Result<PeerId, SendError> {
        let Parcel { to, token, bytes } = parcel;
        if bytes.len() > MAX_MESSAGE_BYTES {
            return Err(SendError::TooLarge);
        }
        let peer = peer_id(&to).ok_or(SendError::BadKey)?;
        if peer == self.local {
            return Err(SendError::Unreachable);
        }
        let letter = Letter {
            token,
            to,
            bytes: bytes.into(),
            looked_up: false,
        };
        let line = self.outbox.push(peer, letter);
        line.map(|()| peer).map_err(|_| SendError::Busy)
    }

    /// Puts on the wire what may fly to this peer.
    pub(super) fn flush(&mut self, peer: PeerId) {
        while let Some((envelope, letters)) = self.outbox.next(&peer) {
            let control = &mut self.swarm.behaviour_mut().control;
            let id = control.send_request(&peer, envelope);
            self.outbox.flown(id, letters);
        }
    }

    /// Puts a lookup in line; one that finds the line full ends at once with nothing found.
    pub(super) fn look_up(&mut self, lookup: Lookup) {
        match self.lookups.push(lookup) {
            Ok(()) => self.start_lookups(),
            Err(lookup) => {
                tracing::debug!(?lookup, "too many lookups are waiting");
                self.lookup_failed(lookup);
            }
        }
    }

    pub(super) fn start_lookups(&mut self) {
        while let Some(lookup) = self.lookups.next() {
            let kad = &mut self.swarm.behaviour_mut().kad;
            let query = match lookup {
                Lookup::Providers { key, .. } => kad.get_providers(RecordKey::new(&key)),
                Lookup::Closest { key, .. } => kad.get_closest_peers(key.to_vec()),
                Lookup::Address { of } => kad.get_closest_peers(of),
                Lookup::Provide { key } => match kad.start_providing(RecordKey::new(&key)) {
                    Ok(query) => query,
                    Err(error) => {
                        tracing::debug!(%error, "cannot provide");
                        self.lookup_failed(lookup);
                        continue;
                    }
                },
            };
            self.lookups.started(query, lookup);
        }
    }

    fn dial(&mut self, address: Multiaddr) {
        if self.dials.len() >= MAX_DIALS {
            let reason = "too many dials at once".to_owned();
            return self.tell(NetEvent::DialFailed { address, reason });
        }
        let options = DialOpts::from(address.clone());
        let connection = options.connection_id();
        match self.swarm.dial(options) {
            Ok(()) => {
                self.dials.insert(connection, address);
            }
            Err(error) => {
                let reason = error.to_string();
                self.tell(NetEvent::DialFailed { address, reason });
            }
        }
    }

    fn disconnect(&mut self, peer: PeerKey, ban: bool) {
        let Some(peer) = peer_id(&peer) else { return };
        if ban {
            self.ban(peer);
        }
        self.hang_up(peer);
    }

    /// Closes every connection with the peer.
    pub(super) fn hang_up(&mut self, peer: PeerId) {
        // An error means that there is none.
        let _ = self.swarm.disconnect_peer_id(peer);
    }

    /// An address of the owner's answered, or did not.
    pub(super) fn on_bootstrap(&mut self, address: &Multiaddr, outcome: Result<(), String>) {
        if let Some(last) = self.bootstrap.addresses.get_mut(address) {
            *last = Some(outcome);
        }
    }

    fn keep_house(&mut self, now: Instant) {
        self.keep_peace(now);
        self.keep_ways(now);
        self.early_gossip
            .retain(|early| now.saturating_duration_since(early.since) < EARLY_GOSSIP_WAIT);
        if !self.members.is_empty() {
            self.bootstrap.wait = REDIAL.0;
            self.bootstrap.next = now + REDIAL.0;
        } else if now >= self.bootstrap.next {
            self.bootstrap.next = now + self.bootstrap.wait;
            self.bootstrap.wait = (self.bootstrap.wait * 2).min(REDIAL.1);
            let addresses: Vec<_> = self.bootstrap.addresses.keys().cloned().collect();
            for address in addresses {
                if !self.dials.values().any(|dialled| *dialled == address) {
                    self.dial(address);
                }
            }
        }
    }

    /// Lets messages leave, closes connections, ends every task.
    async fn close(mut self, done: Option<oneshot::Sender<()>>) {
        self.commands.close();
        self.fetches.shutdown().await;
        // A goodbye that was just published needs a few turns of the swarm to reach the sockets.
        let least = Instant::now() + DRAIN / 5;
        let drained = async {
            while !self.outbox.is_empty() || Instant::now() < least {
                match timeout(DRAIN / 20, self.swarm.select_next_some()).await {
                    Ok(event) => self.on_swarm_event(event),
                    Err(_) => continue,
                }
                self.queue.clear();
            }
        };
        // Whatever has not left by now is lost; nobody waits for it any more.
        let _ = timeout(DRAIN, drained).await;
        self.server.abort();
        let _ = (&mut self.server).await;
        let peers: Vec<_> = self.swarm.connected_peers().copied().collect();
        for peer in peers {
            self.hang_up(peer);
        }
        let closed = async {
            while self.swarm.network_info().num_peers() > 0 {
                self.swarm.select_next_some().await;
            }
        };
        let _ = timeout(DRAIN, closed).await;
        drop(self);
        if let Some(done) = done {
            let _ = done.send(());
        }
    }
}

/// Hands the core its next event once there is room; `false` if the core is gone.
async fn deliver(events: &mpsc::Sender<NetEvent>, queue: &mut VecDeque<NetEvent>) -> bool {
    let Ok(permit) = events.reserve().await else {
        return false;
    };
    if let Some(event) = queue.pop_front() {
        permit.send(event);
    }
    true
}
