//! The local API: what programs of this machine ask of a peer, over HTTP on loopback.
//!
//! `listen` takes connections, `guard` lets requests in, `routes` lists what there is, `handlers` answers, `types` says in
//! what form, `client` is the other end. The daemon serves it, and so does an ephemeral `run` for itself: the command line
//! has one way to a peer.
//! Invariant: nothing is answered without token or session, errors included, but the files of the pages.

pub mod client;
mod events;
mod extract;
mod guard;
mod handlers;
pub mod lending;
mod listen;
pub mod members;
mod metrics;
pub mod owner;
mod pages;
pub mod picture;
pub mod preflight;
mod problem;
mod routes;
pub mod scopes;
pub mod session;
mod token;
pub mod types;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use tokio::net::TcpListener;
use tokio::sync::{OnceCell, watch};
use tokio::task::JoinHandle;

use crate::jobs::{Desk, Feed};
use crate::lend::{Keeper, Ledger};
use crate::membership::Gate;
use crate::node::Node;
use crate::reason::Reason;
use scopes::Tokens;

pub use events::Streams;
pub use routes::document;
pub use session::Sessions;
pub use token::Token;

/// Opens the desk when it is needed first.
pub type OpenDesk =
    Box<dyn Fn() -> futures::future::BoxFuture<'static, Result<Desk, Reason>> + Send + Sync>;

/// What is served.
pub struct Hosted {
    /// The lending peer; none in an ephemeral `run`.
    pub lender: Option<Arc<Node>>,
    /// When it lends; none in an ephemeral `run`.
    pub lending: Option<Keeper>,
    /// The door of a closed swarm.
    pub gate: Option<Arc<Gate>>,
    /// The swarm's name.
    pub swarm_name: String,
    /// What happens.
    pub feed: Feed,
    /// The desk, once somebody asked for it.
    pub desk: OnceCell<Desk>,
    /// Opens it.
    pub open: OpenDesk,
    /// What the lending peer does and has earned.
    pub ledger: Arc<Ledger>,
    /// The shell, for what only it knows; none in an ephemeral `run`.
    pub owner: Option<Arc<dyn owner::Owner>>,
    /// The home that it serves.
    pub home: std::path::PathBuf,
    /// The latest pictures.
    pub pictures: picture::Pictures,
    /// Browsers that were let in.
    pub sessions: Arc<Sessions>,
    /// Streams of events that are open.
    pub streams: Streams,
    /// The folder of accounts, which can be read without a desk.
    pub jobs: std::path::PathBuf,
}

impl Hosted {
    /// The desk, opened if need be.
    ///
    /// # Errors
    /// Why the requester's peer does not start.
    pub async fn desk(&self) -> Result<&Desk, Reason> {
        self.desk.get_or_try_init(|| (self.open)()).await
    }
}

/// A running server.
#[derive(Debug)]
pub struct Server {
    /// Where it listens.
    pub address: SocketAddr,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

/// Serves on a loopback port; 0 lets the system choose.
///
/// # Errors
/// `address_unusable` if the port is taken.
pub async fn serve(hosted: Arc<Hosted>, port: u16, token: Token) -> Result<Server, Reason> {
    let unusable = |e| {
        let what = format!("the API cannot listen on 127.0.0.1:{port}: {e}");
        let fix =
            "set another port with `starling config set api.port PORT`; 0 lets the system choose";
        Reason::new("address_unusable", what, fix).with("port", port)
    };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
        .await
        .map_err(unusable)?;
    let address = listener.local_addr().map_err(unusable)?;
    let guard = guard::Guard {
        token,
        port: address.port(),
        sessions: hosted.sessions.clone(),
        tokens: Arc::new(Tokens::of(&hosted.home)),
    };
    let (stop, stopped) = watch::channel(false);
    let app: Router = routes::router(hosted, guard, stopped.clone());
    let task = tokio::spawn(listen::run(listener, app, stopped));
    Ok(Server {
        address,
        stop,
        task,
    })
}

impl Server {
    /// Its address as a URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Stops taking requests, ends the streams, and waits for what is being answered.
    pub async fn stop(mut self) {
        let _ = self.stop.send(true);
        let wait = std::time::Duration::from_secs(2);
        // Whoever is not done by then is cut off.
        if tokio::time::timeout(wait, &mut self.task).await.is_err() {
            self.task.abort();
        }
    }
}
