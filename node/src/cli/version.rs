//! `starling version`: what this build is, so that two people can compare theirs.

use clap::Args;
use serde_json::json;
use starling_kernels::{Kernel, kernels};
use starling_protocol::config::RULES_VERSION;

use super::Context;
use super::exit::{Exit, Outcome};

/// Transports that this build speaks.
const TRANSPORTS: [&str; 2] = ["quic-v1", "tcp/noise/yamux"];
/// Interfaces to GPUs that this build can open.
const BACKENDS: &[&str] = if cfg!(target_vendor = "apple") {
    &["metal"]
} else if cfg!(windows) {
    &["vulkan", "dx12"]
} else {
    &["vulkan"]
};

/// Show version, protocol rules and kernels.
///
/// Two peers can work together when rules and kernel ids agree.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  starling version
  starling version --json")]
pub struct Version {}

impl Version {
    pub(super) fn run(self, context: &Context) -> Outcome {
        let version = env!("CARGO_PKG_VERSION");
        if context.console.json {
            context.console.json(&about());
            return Ok(Exit::Ok);
        }
        let out = context.console;
        out.data(format!(
            "starling {version} ({} {})",
            std::env::consts::ARCH,
            std::env::consts::OS
        ));
        out.data(format!("rules      {RULES_VERSION}"));
        for kernel in kernels() {
            out.data(format!("kernel     {:<10} {}", kernel.name(), kernel.id()));
        }
        out.data(format!("transports {}", TRANSPORTS.join(", ")));
        out.data(format!(
            "computes   on the CPU, and on GPUs through {}",
            BACKENDS.join(", ")
        ));
        Ok(Exit::Ok)
    }
}

/// This program, for others.
pub(super) fn about() -> serde_json::Value {
    let kernel = |k: &&dyn Kernel| json!({ "name": k.name(), "id": k.id().to_string() });
    let kernels: Vec<_> = kernels().iter().map(kernel).collect();
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "rules": RULES_VERSION,
        "kernels": kernels,
        "features": { "transports": TRANSPORTS, "gpu": BACKENDS, "cpu": true },
        "target": format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS),
    })
}
