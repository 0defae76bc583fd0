//! `updraft completions`: scripts that complete the command line in a shell.

use std::process::ExitCode;

use clap::Args;

use crate::completion::{self, Shell};
use crate::failure::{Failure, Outcome};
use crate::output;

/// Print the completions for a shell
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  updraft completions bash > ~/.local/share/bash-completion/completions/updraft
  updraft completions zsh > ~/.zfunc/_updraft
  updraft completions fish > ~/.config/fish/completions/updraft.fish

The names of services, processes, tasks and resources are offered, too, as the manifest has them
when the shell asks. Write the script anew when you have installed another version.")]
pub(crate) struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

/// Prints what a shell has to run.
pub(crate) fn run(args: &CompletionsArgs) -> Outcome {
    let script = completion::script(args.shell)
        .map_err(|error| Failure::environment("cannot write the script").because(&error))?;
    output::result(&script)?;
    Ok(ExitCode::SUCCESS)
}
