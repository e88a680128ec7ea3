//! Real libp2p on loopback: two, three and five nodes, each with its own key and store.

mod abuse;
mod admission;
mod bans;
mod blobs;
mod full_disk;
mod gossip;
mod large;
mod lines;
mod lookups;
mod members;
mod messages;
mod providers;
mod sources;
mod stranger;
mod support;
mod ways;
