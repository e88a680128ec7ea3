//! A way to a peer: the one that runs in this home, or one of this command's own for as long as it lasts.
//!
//! Either is spoken to through the local API, so that commands do not know which it is.

use std::sync::Arc;

use starling_protocol::Genesis;
use starling_protocol::lending::Rules;
use tokio::sync::OnceCell;

use super::Context;
use super::exit::Failure;
use super::interrupt::Interrupt;
use super::node_options::DeviceArgs;
use super::place::{Place, listen_beside, services};
use crate::api::client::Client;
use crate::api::{Hosted, Server, Token, serve};
use crate::compute::DeviceChoice;
use crate::home::Config;
use crate::home::config::Lend;
use crate::jobs::{Desk, Feed};
use crate::membership::Gate;
use crate::net::Multiaddr;
use crate::node::{Node, NodeOptions};
use crate::reason::Reason;

/// An open session.
pub struct Session {
    /// What is asked goes here.
    pub client: Client,
    own: Option<Own>,
}

/// A requester of this command's own.
struct Own {
    desk: Desk,
    server: Server,
}

impl Session {
    /// The peer that runs in this home.
    ///
    /// # Errors
    /// `no_daemon` if none does.
    pub async fn daemon(place: &Place) -> Result<Self, Failure> {
        let client = Client::connect(&place.root).await?;
        Ok(Self { client, own: None })
    }

    /// The peer that runs in this home, else one of this command's own; none if Ctrl-C comes first.
    pub async fn open(
        context: &Context,
        place: &Place,
        bootstrap: &[Multiaddr],
        device: &DeviceArgs,
        interrupt: &Interrupt,
    ) -> Result<Option<Self>, Failure> {
        match Client::connect(&place.root).await {
            Ok(client) => {
                if !bootstrap.is_empty() {
                    context.console.note(
                        "the peer of this home submits the job: --bootstrap and --device are its own",
                    );
                }
                return Ok(Some(Self { client, own: None }));
            }
            Err(reason) if reason.code == "no_daemon" || reason.code == "not_found" => {}
            Err(reason) => return Err(reason.into()),
        }
        let genesis = place.genesis()?;
        let config = place.config()?;
        let gate = Gate::open(&place.root, &genesis)?;
        let options = requester(
            place,
            &config,
            &genesis,
            gate.clone(),
            bootstrap,
            device.choice(&config.device)?,
        );
        let options = NodeOptions {
            require_gpu: device.require_gpu,
            ..options
        };
        let start = async {
            let feed = Feed::default();
            let desk = open_desk(options, place.jobs(), feed.clone()).await?;
            let hosted = Hosted {
                lender: None,
                lending: None,
                owner: None,
                home: place.root.clone(),
                ledger: Default::default(),
                pictures: Default::default(),
                sessions: Default::default(),
                streams: Default::default(),
                gate,
                swarm_name: genesis.name.clone(),
                feed,
                desk: OnceCell::new_with(Some(desk.clone())),
                open: Box::new(|| Box::pin(async { Err(Reason::of("error", "the desk is open")) })),
                jobs: place.jobs(),
            };
            let token = Token::random()?;
            let server = serve(Arc::new(hosted), 0, token.clone()).await?;
            let client = Client::at(&server.url(), token)?;
            Ok::<_, Failure>(Self {
                client,
                own: Some(Own { desk, server }),
            })
        };
        tokio::select! {
            started = start => started.map(Some),
            _ = interrupt.signalled() => Ok(None),
        }
    }

    /// Whether its peer outlives this command.
    #[must_use]
    pub fn lasts(&self) -> bool {
        self.own.is_none()
    }

    /// Takes leave of the swarm, if this command joined it.
    pub async fn close(self) {
        if let Some(Own { desk, server }) = self.own {
            server.stop().await;
            desk.leave().await;
        }
    }
}

/// The requester of a home: an identity apart from the peer that lends.
pub fn requester(
    place: &Place,
    config: &Config,
    genesis: &Genesis,
    gate: Option<Arc<Gate>>,
    bootstrap: &[Multiaddr],
    device: DeviceChoice,
) -> NodeOptions {
    NodeOptions {
        home: place.requester(),
        listen: listen_beside(config, genesis.scope),
        bootstrap: place.bootstrap(bootstrap, config, genesis),
        announce: Vec::new(),
        services: services(config),
        device,
        require_gpu: false,
        lend: false,
        lies: false,
        limits: config.limits,
        // What its owner lends at most is no limit for the owner's own jobs.
        terms: Lend {
            rules: Rules::default(),
            ..config.lend.clone()
        },
        genesis: genesis.clone(),
        gate,
    }
}

/// Starts a requester and its desk.
///
/// # Errors
/// Why its peer does not start.
pub async fn open_desk(
    options: NodeOptions,
    jobs: std::path::PathBuf,
    feed: Feed,
) -> Result<Desk, Reason> {
    let (node, happenings) = Node::start(options).await?;
    Desk::start(node, happenings, jobs, feed)
}
