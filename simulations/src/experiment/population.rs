//! Who there is: how many peers, what they compute with, how they sign and when they start.

use super::{ExperimentError, first_fault};
use crate::engine::{Purpose, Streams};
use crate::signer::Scheme;
use serde::{Deserialize, Serialize};

/// The peers of an experiment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Population {
    /// How many, 2 to 200,000; light ones up to 1,000,000.
    pub peers: u32,
    /// They have adverts and board records only: [`crate::light`].
    #[serde(default)]
    pub light: bool,
    /// The first so many of them lend nothing; at least peer 0, the requester.
    #[serde(default = "one")]
    pub clients: u32,
    /// How they sign: cheaply and forgeably, or with real ed25519.
    #[serde(default)]
    pub signatures: Scheme,
    /// They start within this span, evenly, s.
    #[serde(default = "default_start_s")]
    pub start_s: f64,
    /// What they compute with, each a share of the population.
    #[serde(default = "default_devices")]
    pub devices: Vec<DeviceKind>,
}

/// One kind of device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeviceKind {
    /// Its name in adverts.
    pub name: String,
    /// Its share of the population, in proportion to the others'.
    pub share: f64,
    /// Its speed, 10^9 work units per second.
    pub gunits_per_s: f64,
    /// Single devices are up to so many times faster, evenly; 1 for all the same.
    #[serde(default = "one_f")]
    pub spread: f64,
    /// Speed of the CPU reference beside it, 10^9 work units per second.
    pub reference_gunits_per_s: f64,
    /// Slices that it computes at once.
    #[serde(default = "one_slot")]
    pub slots: u16,
    /// Inputs aside, how long a job's kernel takes to get ready, ms.
    #[serde(default = "default_prepare_ms")]
    pub prepare_ms: f64,
}

fn one() -> u32 {
    1
}

fn one_f() -> f64 {
    1.0
}

fn one_slot() -> u16 {
    1
}

fn default_start_s() -> f64 {
    0.2
}

fn default_prepare_ms() -> f64 {
    50.0
}

fn default_devices() -> Vec<DeviceKind> {
    vec![DeviceKind {
        name: "virtual".into(),
        share: 1.0,
        gunits_per_s: 1.0,
        spread: 4.0,
        reference_gunits_per_s: 0.2,
        slots: 1,
        prepare_ms: 50.0,
    }]
}

/// One peer's device, drawn.
#[derive(Clone, Debug, PartialEq)]
pub struct Drawn {
    /// Index of its kind.
    pub kind: usize,
    /// Work units per second.
    pub units_per_s: u64,
}

impl Population {
    pub(super) fn check(&self) -> Result<(), ExperimentError> {
        let (most, range) = if self.light {
            (1_000_000, "2 to 1000000")
        } else {
            (200_000, "2 to 200000, or 1000000 light ones")
        };
        let rules = [
            ((2..=most).contains(&self.peers), "peers", range),
            (
                (1..self.peers.max(2)).contains(&self.clients),
                "clients",
                "1 to one less than `peers`",
            ),
            (
                (0.0..=86_400.0).contains(&self.start_s),
                "start_s",
                "0 to 86400",
            ),
            (
                (1..=64).contains(&self.devices.len()),
                "devices",
                "1 to 64 kinds",
            ),
        ];
        first_fault("population", &rules)?;
        for (i, kind) in self.devices.iter().enumerate() {
            let speed = |gunits: f64| (1e-9..=1e9).contains(&gunits);
            let rules = [
                (kind.name.len() <= 64, "name", "at most 64 bytes"),
                ((0.0..=1e9).contains(&kind.share), "share", "0 or more"),
                (
                    speed(kind.gunits_per_s),
                    "gunits_per_s",
                    "0.000000001 to 1000000000",
                ),
                ((1.0..=1000.0).contains(&kind.spread), "spread", "1 to 1000"),
                (
                    speed(kind.reference_gunits_per_s),
                    "reference_gunits_per_s",
                    "0.000000001 to 1000000000",
                ),
                ((1..=64).contains(&kind.slots), "slots", "1 to 64"),
                (
                    (0.0..=60_000.0).contains(&kind.prepare_ms),
                    "prepare_ms",
                    "0 to 60000",
                ),
            ];
            first_fault(&format!("population.devices.{i}"), &rules)?;
        }
        let total = self.devices.iter().map(|k| k.share).sum::<f64>();
        first_fault(
            "population",
            &[(total > 0.0, "devices", "of shares that are not all 0")],
        )
    }

    /// What `peer` computes with.
    #[must_use]
    pub fn device(&self, peer: u32, streams: &Streams) -> Drawn {
        let mut stream = streams.stream(Purpose::Device, peer);
        let (which, speed) = (stream.unit(), stream.unit());
        let total = self.devices.iter().map(|k| k.share).sum::<f64>();
        let mut left = which * total;
        let mut kinds = self
            .devices
            .iter()
            .enumerate()
            .filter(|(_, k)| k.share > 0.0);
        let chosen = kinds.find(|(_, kind)| {
            left -= kind.share;
            left < 0.0
        });
        let (kind, device) = chosen.unwrap_or((0, &self.devices[0]));
        let factor = 1.0 + (device.spread - 1.0) * speed;
        Drawn {
            kind,
            units_per_s: (device.gunits_per_s * 1e9 * factor) as u64,
        }
    }
}
