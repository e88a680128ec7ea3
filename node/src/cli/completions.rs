//! `starling completions`: what a shell needs to complete commands and options, made from the command line itself.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::exit::{Exit, Outcome};

/// Print completions for a shell.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  starling completions bash > ~/.local/share/bash-completion/completions/starling
  starling completions zsh > ~/.zfunc/_starling
  starling completions fish > ~/.config/fish/completions/starling.fish")]
pub struct Completions {
    /// Which shell.
    shell: Shell,
}

impl Completions {
    pub(super) fn run(self) -> Outcome {
        let mut command = super::Cli::command();
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut command, "starling", &mut script);
        super::console::write_out(&script);
        Ok(Exit::Ok)
    }
}
