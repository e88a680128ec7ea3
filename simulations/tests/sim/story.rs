//! One job as the messages that make it: the protocol, told by a run.
//!
//! After a deliberate change of the protocol: `INSTA_UPDATE=always cargo test -p starling-sim story`, and read the
//! difference.

use crate::shipped;
use starling_sim::{Experiment, run};

const PROLOGUE: &str = "\
One job of one slice, among a requester and four peers: `starling-sim run scenarios/small_job.toml --trace`.
Every control message is here, in the order in which they were sent. Adverts, by which the peers already know each
other, travel by gossip and are not. Lines in parentheses are what a peer does by itself; what it (logs) is on disk
before the message that depends on it leaves. Peers that have nothing to do ask for work again and again.";

#[test]
fn one_job_in_messages() {
    let scenario =
        Experiment::load(&shipped("small_job.toml")).expect("the shipped scenario loads");
    let trace = run(&scenario, 1, true)
        .expect("virtual time moves")
        .trace
        .expect("the trace was asked for");
    insta::with_settings!({prepend_module_to_snapshot => false, omit_expression => true}, {
        insta::assert_snapshot!(format!("{PROLOGUE}\n\n{trace}"));
    });
}
