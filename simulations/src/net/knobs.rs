//! All knobs of the network, their defaults, and what is in range.
//!
//! Where a default has no source it says that it is an assumption. Invariant: a model never meets a value that
//! [`Knobs::fault`] refuses.

use super::latency::Table;
use super::partition::{Group, MAX_WINDOWS, Window};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What lies between peers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Knobs {
    /// Instead of the measured table: every pair is so far apart, one way, ms.
    pub one_way_ms: Option<f64>,
    /// The last mile of each end, one way, ms. Assumption.
    pub access_ms: f64,
    /// Up to so much more at each end, anew for each packet, ms. Assumption.
    pub jitter_ms: f64,
    /// Share of packets, blobs aside, that are lost independently of each other, 0 to 1.
    pub loss_share: f64,
    /// Share of packets that are lost while a link is in a burst, 0 to 1; 0 is no bursts.
    pub burst_loss_share: f64,
    /// Mean length of a burst, s. Assumption.
    pub burst_s: f64,
    /// Mean time between bursts of one link, s. Assumption.
    pub burst_every_s: f64,
    /// Whether bytes take time and queue at both ends.
    pub limit_bandwidth: bool,
    /// Downlink of a home connection, Mbit/s. Assumption.
    pub home_down_mbps: f64,
    /// Its uplink, Mbit/s. Assumption.
    pub home_up_mbps: f64,
    /// Share of NATed pairs that get through to each other, 0 to 1: measured on IPFS, see [`super::nat`].
    pub punch_share: f64,
    /// Whether the others have relays.
    pub relays: bool,
    /// What a relay gives one blob, Mbit/s. Assumption.
    pub relay_mbps: f64,
    /// An append to a log on an SSD, ms: one flush of a consumer drive. Assumption.
    pub ssd_ms: f64,
    /// The same on a slow disk, at least, ms. Assumption.
    pub slow_disk_min_ms: f64,
    /// And at most.
    pub slow_disk_max_ms: f64,
    /// When who cannot reach whom.
    pub partitions: Vec<Window>,
    /// Where peers are, and what with.
    pub mix: Mix,
}

/// A population, in shares that need not add up to 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Mix {
    /// Peers by region, as the latency table names it. Assumption: a third each in North America, Europe and Asia,
    /// some elsewhere. Empty: all regions alike.
    pub regions: BTreeMap<String, f64>,
    /// Peers by connection.
    pub tiers: Tiers,
    /// Peers by NAT.
    pub nats: Nats,
    /// Clocks are off by up to so much either way, ms. Assumption: hosts that keep time by NTP.
    pub skew_ms: f64,
    /// Share of peers with a slow disk, 0 to 1. Assumption.
    pub slow_disk_share: f64,
}

/// Peers by connection. Assumption: mostly homes with good lines, some data centres.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tiers {
    /// Share of [`super::Tier::Home`].
    pub home: f64,
    /// Share of [`super::Tier::Low`].
    pub low: f64,
    /// Share of [`super::Tier::Medium`].
    pub medium: f64,
    /// Share of [`super::Tier::High`].
    pub high: f64,
    /// Share of [`super::Tier::Ultra`].
    pub ultra: f64,
}

/// Peers by NAT. Assumption: most stand behind one, and few of those are symmetric.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Nats {
    /// Share of [`super::Nat::Public`].
    pub public: f64,
    /// Share of [`super::Nat::Punchable`].
    pub punchable: f64,
    /// Share of [`super::Nat::Symmetric`].
    pub symmetric: f64,
}

impl Default for Knobs {
    fn default() -> Self {
        Self {
            one_way_ms: None,
            access_ms: 2.0,
            jitter_ms: 1.0,
            loss_share: 0.0,
            burst_loss_share: 0.0,
            burst_s: 1.0,
            burst_every_s: 120.0,
            limit_bandwidth: true,
            home_down_mbps: 50.0,
            home_up_mbps: 10.0,
            punch_share: 0.70,
            relays: true,
            relay_mbps: 10.0,
            ssd_ms: 4.0,
            slow_disk_min_ms: 50.0,
            slow_disk_max_ms: 200.0,
            partitions: Vec::new(),
            mix: Mix::default(),
        }
    }
}

impl Default for Mix {
    fn default() -> Self {
        let regions = [
            ("us-east-1", 0.15),
            ("us-west-2", 0.12),
            ("ca-central-1", 0.04),
            ("eu-central-1", 0.12),
            ("eu-west-2", 0.08),
            ("eu-west-3", 0.06),
            ("eu-north-1", 0.04),
            ("ap-east-1", 0.12),
            ("ap-northeast-1", 0.06),
            ("ap-northeast-2", 0.06),
            ("ap-southeast-1", 0.05),
            ("ap-south-1", 0.04),
            ("sa-east-1", 0.03),
            ("ap-southeast-2", 0.02),
            ("af-south-1", 0.01),
        ];
        Self {
            regions: regions.map(|(name, s)| (name.to_owned(), s)).into(),
            tiers: Tiers::default(),
            nats: Nats::default(),
            skew_ms: 50.0,
            slow_disk_share: 0.05,
        }
    }
}

impl Default for Tiers {
    fn default() -> Self {
        Self {
            home: 0.25,
            low: 0.30,
            medium: 0.25,
            high: 0.15,
            ultra: 0.05,
        }
    }
}

impl Default for Nats {
    fn default() -> Self {
        Self {
            public: 0.40,
            punchable: 0.50,
            symmetric: 0.10,
        }
    }
}

const SHARE: &str = "a share from 0 to 1";
const MS: &str = "0 to 60000";
const MBPS: &str = "0.001 to 1000000";
const SHARES: &str = "shares of at least 0, not all of them 0";

impl Knobs {
    /// The first knob that is out of its range, and what it should be.
    #[must_use]
    pub fn fault(&self) -> Option<(&'static str, &'static str)> {
        let ms = |ms: f64| (0.0..=60_000.0).contains(&ms);
        let share = |share: f64| (0.0..=1.0).contains(&share);
        let mbps = |mbps: f64| (0.001..=1e6).contains(&mbps);
        let span = |s: f64| (0.001..=1e6).contains(&s);
        let slow = self.slow_disk_min_ms <= self.slow_disk_max_ms;
        let (mix, t, n) = (&self.mix, &self.mix.tiers, &self.mix.nats);
        let table = Table::aws();
        let regions = mix.regions.keys().all(|name| table.region(name).is_some());
        let by_region: Vec<_> = mix.regions.values().copied().collect();
        let checks = [
            (ms(self.one_way_ms.unwrap_or(0.0)), "one_way_ms", MS),
            (ms(self.access_ms), "access_ms", MS),
            (ms(self.jitter_ms), "jitter_ms", MS),
            (share(self.loss_share), "loss_share", SHARE),
            (share(self.burst_loss_share), "burst_loss_share", SHARE),
            (span(self.burst_s), "burst_s", "0.001 to 1000000"),
            (
                span(self.burst_every_s),
                "burst_every_s",
                "0.001 to 1000000",
            ),
            (mbps(self.home_down_mbps), "home_down_mbps", MBPS),
            (mbps(self.home_up_mbps), "home_up_mbps", MBPS),
            (share(self.punch_share), "punch_share", SHARE),
            (mbps(self.relay_mbps), "relay_mbps", MBPS),
            (ms(self.ssd_ms), "ssd_ms", MS),
            (ms(self.slow_disk_min_ms), "slow_disk_min_ms", MS),
            (
                ms(self.slow_disk_max_ms) && slow,
                "slow_disk_max_ms",
                "slow_disk_min_ms to 60000",
            ),
            (
                self.partitions.len() <= MAX_WINDOWS,
                "partitions",
                "at most 32 of them",
            ),
            (
                self.partitions.iter().all(Window::is_fine),
                "partitions",
                "windows with 0 <= start_s < end_s <= 1000000000, and groups that exist, at most one of them \"others\"",
            ),
            (regions, "mix.regions", "names of the latency table"),
            (
                by_region.is_empty() || are_shares(&by_region),
                "mix.regions",
                SHARES,
            ),
            (
                are_shares(&[t.home, t.low, t.medium, t.high, t.ultra]),
                "mix.tiers",
                SHARES,
            ),
            (
                are_shares(&[n.public, n.punchable, n.symmetric]),
                "mix.nats",
                SHARES,
            ),
            (
                (0.0..=86_400_000.0).contains(&mix.skew_ms),
                "mix.skew_ms",
                "0 to 86400000",
            ),
            (share(mix.slow_disk_share), "mix.slow_disk_share", SHARE),
        ];
        let fault = checks.iter().find(|(ok, ..)| !ok);
        fault.map(|(_, field, range)| (*field, *range))
    }

    /// Refuses knobs that are out of range.
    ///
    /// # Errors
    /// The first such knob, and what it should be.
    pub fn check(&self) -> Result<(), String> {
        match self.fault() {
            Some((field, range)) => Err(format!("network.{field} should be {range}")),
            None => Ok(()),
        }
    }
}

fn are_shares(shares: &[f64]) -> bool {
    shares.iter().all(|s| (0.0..=1e9).contains(s)) && shares.iter().any(|s| *s > 0.0)
}

impl Window {
    fn is_fine(&self) -> bool {
        let table = Table::aws();
        let group = |group: &Group| match group {
            Group::Everybody | Group::Others => true,
            Group::Regions(names) => names.iter().all(|name| table.region(name).is_some()),
            Group::Peers(first, last) => first <= last,
            Group::Share(share) => (0.0..=1.0).contains(share),
        };
        let times = 0.0 <= self.start_s && self.start_s < self.end_s && self.end_s <= 1e9;
        times
            && group(&self.a)
            && group(&self.b)
            && !(self.a == Group::Others && self.b == Group::Others)
    }
}
