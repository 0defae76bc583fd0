//! `updraft completions`: scripts that complete the command line in a shell.

use std::process::ExitCode;

use clap::{Args, Command, ValueEnum};

use crate::failure::Outcome;
use crate::output;

/// Print the completions for a shell
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  updraft completions bash > ~/.local/share/bash-completion/completions/updraft
  updraft completions zsh > ~/.zfunc/_updraft
  updraft completions fish > ~/.config/fish/completions/updraft.fish")]
pub(crate) struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    Fish,
}

/// Prints the completions of `command`.
pub(crate) fn run(args: &CompletionsArgs, command: &mut Command) -> Outcome {
    let shell = match args.shell {
        Shell::Bash => clap_complete::Shell::Bash,
        Shell::Zsh => clap_complete::Shell::Zsh,
        Shell::Fish => clap_complete::Shell::Fish,
    };
    let script = script(shell, command);
    output::result(script.trim_end())?;
    Ok(ExitCode::SUCCESS)
}

fn script(shell: clap_complete::Shell, command: &mut Command) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, command, "updraft", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::process::Stdio;

    use clap::CommandFactory as _;

    use super::*;
    use crate::cli::Cli;

    #[test]
    fn bash_reads_its_completions_and_offers_every_verb() {
        let ask = "\nCOMP_WORDS=(updraft \"\"); COMP_CWORD=1\n\
                   _updraft updraft '' updraft\nprintf '%s\\n' \"${COMPREPLY[@]}\"\n";
        let script = script(clap_complete::Shell::Bash, &mut Cli::command()) + ask;
        let mut bash = std::process::Command::new("bash");
        let bash = bash.args(["--norc", "-s"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut bash = bash.spawn().unwrap();
        bash.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
        let offered = String::from_utf8(bash.wait_with_output().unwrap().stdout).unwrap();
        for verb in Cli::command().get_subcommands() {
            let name = verb.get_name();
            assert!(offered.lines().any(|word| word == name), "{name} is not in {offered}");
        }
    }
}
