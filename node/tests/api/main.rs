//! The local API of a peer that really runs: over real sockets, with real jobs, and with everything that must not get in.

mod attacks;
mod document;
mod jobs;
mod preflight;

use std::sync::Arc;
use std::time::Duration;

use starling::api::client::Client;
use starling::api::{Hosted, Server, Token, serve};
use starling::home::config::Lend;
use starling::jobs::{Desk, Feed};
use starling::lend::Keeper;
use starling::net::Multiaddr;
use starling::node::{Happening, Node, NodeOptions};
use starling_protocol::{Genesis, Hash, Scope};
use tokio::sync::{OnceCell, mpsc};

const PATIENCE: Duration = Duration::from_secs(60);

/// A swarm of a lender and a requester behind an API.
struct Served {
    server: Server,
    token: Token,
    client: Client,
    desk: Desk,
    feed: Feed,
    lenders: Vec<Arc<Node>>,
    home: tempfile::TempDir,
}

/// Serves a requester of a swarm with `lenders` lending peers.
async fn served(lenders: usize) -> Served {
    served_through(lenders, |happenings| happenings).await
}

/// The same with somebody between the requester's peer and its desk.
async fn served_through(
    lenders: usize,
    through: impl FnOnce(mpsc::Receiver<Happening>) -> mpsc::Receiver<Happening>,
) -> Served {
    let home = tempfile::tempdir().expect("a folder");
    let mut seed = [0; 8];
    getrandom::fill(&mut seed).expect("randomness");
    let genesis = Genesis {
        slice_ms: 200,
        ..Genesis::new("api", Scope::Local, Hash::of(&seed))
    };
    let feed = Feed::default();
    let mut nodes = Vec::new();
    let mut bootstrap: Vec<Multiaddr> = Vec::new();
    for n in 0..lenders {
        let folder = home.path().join(format!("lender-{n}"));
        let own = NodeOptions::on_loopback(folder, &genesis, &bootstrap, true);
        let (node, mut happenings) = Node::start(own).await.expect("the lender starts");
        let address = async {
            loop {
                if let Some(Happening::Listening { address }) = happenings.recv().await {
                    return address;
                }
            }
        };
        let address = tokio::time::timeout(PATIENCE, address)
            .await
            .expect("an address");
        bootstrap.push(address.parse().expect("an address"));
        tokio::spawn(async move { while happenings.recv().await.is_some() {} });
        nodes.push(Arc::new(node));
    }
    let folder = home.path().join("requester");
    let own = NodeOptions::on_loopback(folder, &genesis, &bootstrap, false);
    let (node, happenings) = Node::start(own).await.expect("the requester starts");
    let jobs = home.path().join("jobs");
    let happenings = through(happenings);
    let desk = Desk::start(node, happenings, jobs.clone(), feed.clone()).expect("a desk");
    let hosted = Hosted {
        lender: nodes.first().cloned(),
        lending: Some(Keeper::new(home.path(), &Lend::default(), false)),
        owner: None,
        home: home.path().to_owned(),
        ledger: Default::default(),
        pictures: Default::default(),
        sessions: Default::default(),
        streams: Default::default(),
        gate: None,
        swarm_name: genesis.name.clone(),
        feed: feed.clone(),
        desk: OnceCell::new_with(Some(desk.clone())),
        open: Box::new(|| unreachable!("the desk is open")),
        jobs,
    };
    let token = Token::random().expect("randomness");
    let server = serve(Arc::new(hosted), 0, token.clone())
        .await
        .expect("a port");
    let client = Client::at(&server.url(), token.clone()).expect("a client");
    Served {
        server,
        token,
        client,
        desk,
        feed,
        lenders: nodes,
        home,
    }
}

impl Served {
    async fn end(self) {
        self.server.stop().await;
        self.desk.leave().await;
        for lender in self.lenders {
            lender.leave().await;
        }
    }
}
