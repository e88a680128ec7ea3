//! `starling dash`: opens the pages of this home's running peer in a browser.

use std::process::{Command, Stdio};

use clap::Args;
use serde_json::json;

use super::Context;
use super::exit::{Exit, Outcome};
use crate::api::client::Client;

/// Open this peer's dashboard in the browser.
///
/// The address counts once and for a minute: the page exchanges it for a session, which ends with the peer.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  starling dash
  starling dash --print      only the address, for a browser elsewhere on this machine")]
pub struct Dash {
    /// Print the address and open nothing.
    #[arg(long)]
    print: bool,
}

impl Dash {
    pub(super) async fn run(self, context: &Context) -> Outcome {
        let place = context.place()?;
        let client = Client::connect(&place.root).await?;
        let url = client.session_code().await?.url;
        let opened = !self.print && !context.console.json && browse(&url);
        if context.console.json {
            context.console.json(&json!({ "url": url }));
        } else if opened {
            context.console.note("opened in the browser");
        } else {
            context.console.data(&url);
        }
        Ok(Exit::Ok)
    }
}

/// Whether the system has somebody to open an address with, and that somebody was willing.
fn browse(url: &str) -> bool {
    let (program, args): (_, &[&str]) = if cfg!(target_os = "macos") {
        ("open", &[])
    } else if cfg!(windows) {
        ("rundll32", &["url.dll,FileProtocolHandler"])
    } else {
        let shown = ["DISPLAY", "WAYLAND_DISPLAY"];
        if shown.iter().all(|name| std::env::var_os(name).is_none()) {
            return false;
        }
        ("xdg-open", &[])
    };
    let mut command = Command::new(program);
    command.args(args).arg(url);
    let silent = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    silent.status().is_ok_and(|status| status.success())
}
