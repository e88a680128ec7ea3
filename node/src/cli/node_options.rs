//! What `up`, `run` and `peers` share: options of a peer as arguments, and its orderly end.

use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::exit::{Exit, Failure};
use crate::compute::{DeviceChoice, Usage};
use crate::home::config::Device;
use crate::node::{Happening, Node, NodeError};
use crate::reason::Reason;

/// How long a peer may take to say goodbye.
const GOODBYE: Duration = Duration::from_secs(3);

/// What computes.
#[derive(Args, Clone, Debug, Default)]
pub struct DeviceArgs {
    /// What computes: auto (a GPU that passes its check, else the CPU), cpu, software, or part of an adapter's name.
    #[arg(long, value_name = "DEVICE")]
    pub device: Option<String>,
    /// Fail rather than compute on the CPU.
    #[arg(long)]
    pub require_gpu: bool,
}

impl DeviceArgs {
    /// The device that is asked for, else the settings' one.
    pub fn choice(&self, configured: &Device) -> Result<DeviceChoice, Failure> {
        let choice = match self.device.as_deref() {
            None => match configured {
                Device::Auto => DeviceChoice::Auto,
                Device::Cpu => DeviceChoice::Cpu,
                Device::Adapter(name) => DeviceChoice::Adapter(name.clone()),
            },
            Some("auto") => DeviceChoice::Auto,
            Some("cpu") => DeviceChoice::Cpu,
            Some("software") => DeviceChoice::Software,
            Some(name) => DeviceChoice::Adapter(name.to_owned()),
        };
        if self.require_gpu && choice == DeviceChoice::Cpu {
            let what = "--require-gpu and the CPU as device exclude each other";
            return Err(Failure::new(
                Exit::Usage,
                what,
                "drop --require-gpu, or choose --device auto",
            ));
        }
        Ok(choice)
    }
}

/// Parses a number of seconds.
pub fn seconds(text: &str) -> Result<f64, String> {
    let seconds: f64 = text
        .parse()
        .map_err(|_| "not a number of seconds".to_owned())?;
    if (0.0..=1e7).contains(&seconds) {
        Ok(seconds)
    } else {
        Err("choose 0 to 10000000 seconds".into())
    }
}

/// Why a peer does not start, as an exit.
pub fn not_started(error: NodeError) -> Failure {
    Reason::from(error).or_fix("run `starling doctor`").into()
}

/// Throws away what happens, so that nothing waits for a reader.
pub fn drain(mut happenings: mpsc::Receiver<Happening>) -> JoinHandle<()> {
    tokio::spawn(async move { while happenings.recv().await.is_some() {} })
}

/// Says goodbye and stops; none if that took too long. Happenings must be drained meanwhile.
pub async fn leave(node: &Node) -> Option<Usage> {
    tokio::time::timeout(GOODBYE, node.leave()).await.ok()
}

/// A happening as one line of `--events`: its own fields and `ms` since the start.
pub fn event_line(happening: &Happening, start: Instant) -> Value {
    stamped(json!(happening), start)
}

/// The last line of `--events`.
pub fn usage_line(usage: Option<Usage>, start: Instant) -> Value {
    let mut line = usage.map_or_else(|| json!({}), |usage| json!(usage));
    line["happening"] = json!("usage");
    stamped(line, start)
}

/// Adds the time.
pub fn stamped(mut line: Value, start: Instant) -> Value {
    line["ms"] = json!(start.elapsed().as_millis() as u64);
    line
}
