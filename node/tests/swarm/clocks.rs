//! A machine whose clock is hours off: it is told why nobody is there.

use std::time::Duration;

use starling::driver::Driven;
use starling::jobs::{Desk, Feed, Order};
use starling::node::{Node, NodeOptions};
use starling_kernels::Kernel as _;
use starling_kernels::fractal::Fractal;
use starling_protocol::peer::Peer as Real;
use starling_protocol::{Core, Deadline, Input, Outputs, Time};

use crate::{Peer, genesis, job, wait_for_adverts};

const AHEAD_S: u64 = 3 * 3_600;

/// The real peer, with a wall clock of its own.
struct Ahead(Real);

impl Core for Ahead {
    fn handle(&mut self, now: Time, mut input: Input) -> Outputs<'_> {
        if let Input::Started { unix_s, .. } | Input::Tick { unix_s } = &mut input {
            *unix_s += AHEAD_S;
        }
        self.0.handle(now, input)
    }

    fn next_deadline(&self) -> Option<Deadline> {
        self.0.next_deadline()
    }
}

impl Driven for Ahead {
    fn peer(&self) -> &Real {
        &self.0
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_requester_whose_clock_is_hours_off_is_told() {
    let genesis = genesis();
    let mut lender = Peer::start(&genesis, &[], true, false).await;
    let bootstrap = [lender.address().await];
    // Whom others know has an advert to hand over.
    let other = Peer::start(&genesis, &bootstrap, true, false).await;
    wait_for_adverts(&other.node, 1).await;

    let home = tempfile::tempdir().expect("a folder");
    let folder = home.path().join("home");
    let own = NodeOptions::on_loopback(folder, &genesis, &bootstrap, false);
    let (node, happenings) = Node::start_with(own, None, Ahead)
        .await
        .expect("the requester starts");
    let jobs = home.path().join("jobs");
    let desk = Desk::start(node, happenings, jobs, Feed::default()).expect("a desk");
    let job = job();
    let order = Order {
        kernel: Fractal.id(),
        params: job.params,
        inputs: Vec::new(),
        slice_tiles: None,
        deadline_s: 60,
        max_price: None,
        stewards: None,
        full_audits: false,
        peers: None,
        wait: Duration::from_secs(5),
        said: Default::default(),
    };
    let refused = desk
        .submit(order)
        .await
        .expect_err("nobody counts as there");
    assert_eq!(refused.code, "clocks_differ");
    let ahead_s = refused.params["ahead_s"].as_i64().expect("seconds");
    assert!(
        (ahead_s + AHEAD_S as i64).abs() < 120,
        "they are behind: {ahead_s}"
    );
    desk.leave().await;
}
