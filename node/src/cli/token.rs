//! `starling token`: tokens of the local API for others than the owner.

use clap::{Args, Subcommand};
use serde_json::json;

use super::Context;
use super::exit::{Exit, Outcome};
use crate::api::scopes::{self, Scope};

/// Make, list and revoke tokens of the local API.
///
/// The owner's own token lies in HOME/api.token. One that is made here may do some things only, and can be taken back
/// while the peer runs.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  starling token create prometheus --scope metrics
  starling token create notebook --scope submit
  starling token revoke notebook")]
pub struct Token {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Make a token and print it; it is shown this once.
    Create {
        /// Whose it is, for you.
        name: String,
        /// What it is good for.
        #[arg(long, value_enum)]
        scope: Scope,
    },
    /// List them, without their texts.
    Ls,
    /// Take one back.
    Revoke {
        /// Whose.
        name: String,
    },
}

impl Token {
    pub(super) fn run(self, context: &Context) -> Outcome {
        let place = context.place()?;
        let out = context.console;
        match self.command {
            Command::Create { name, scope } => {
                place.config()?;
                let token = scopes::grant(&place.root, &name, scope)?;
                if out.json {
                    out.json(&json!({ "name": name, "scope": scope, "token": token.text() }));
                } else {
                    out.data(token.text());
                }
            }
            Command::Ls => {
                let all = scopes::list(&place.root)?;
                if out.json {
                    let all: Vec<_> = all
                        .iter()
                        .map(|granted| json!({ "name": granted.name, "scope": granted.scope }))
                        .collect();
                    out.json(&json!({ "tokens": all }));
                } else {
                    for granted in all {
                        let scope = json!(granted.scope);
                        let scope = scope.as_str().unwrap_or_default().to_owned();
                        out.data(format!("{scope:<8} {}", granted.name));
                    }
                }
            }
            Command::Revoke { name } => scopes::revoke(&place.root, &name)?,
        }
        Ok(Exit::Ok)
    }
}
