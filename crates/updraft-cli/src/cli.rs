//! The words of the command line. The reference in `docs/reference/cli.md` and the
//! completions are made from here.

use clap::builder::Styles;
use clap::builder::styling::AnsiColor;
use clap::{Parser, Subcommand};

use crate::global::Global;
use crate::verb::attach::AttachArgs;
use crate::verb::completions::CompletionsArgs;
use crate::verb::down::DownArgs;
use crate::verb::init::InitArgs;
use crate::verb::logs::LogsArgs;
use crate::verb::open::OpenArgs;
use crate::verb::restart::RestartArgs;
use crate::verb::scale::ScaleArgs;
use crate::verb::task::TaskArgs;
use crate::verb::up::UpArgs;
use crate::verb::wait::WaitArgs;

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

const AFTER_HELP: &str = "\
Examples:
  updraft up                    run the system of this folder, its log on the terminal
  updraft up -d && updraft ps   run it in the background and look at it
  updraft logs orders -f        follow one service
  updraft down                  stop it

Exit codes: 0 done, 1 something is wrong with the system, 2 the command line or the
manifest is wrong, 4 this machine lacks something. `task` gives the task's own.";

/// Runs a system of services in any language from one manifest, `updraft.toml`.
#[derive(Debug, Parser)]
#[command(name = "updraft", version, styles = STYLES, after_help = AFTER_HELP)]
#[command(subcommand_required = true, arg_required_else_help = true, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    Up(UpArgs),
    Down(DownArgs),
    /// Show what runs
    #[command(after_help = crate::verb::ps::AFTER_HELP)]
    Ps,
    Logs(LogsArgs),
    Restart(RestartArgs),
    Scale(ScaleArgs),
    Attach(AttachArgs),
    Wait(WaitArgs),
    Open(OpenArgs),
    Task(TaskArgs),
    Init(InitArgs),
    /// Print the JSON Schema of updraft.toml, for editors
    #[command(after_help = crate::verb::schema::AFTER_HELP)]
    Schema,
    Completions(CompletionsArgs),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_words_fit_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_verb_shows_an_example() {
        for verb in Cli::command().get_subcommands() {
            let help = verb.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains(&format!("updraft {}", verb.get_name())), "{}", verb.get_name());
        }
    }

    #[test]
    fn what_cannot_be_understood_is_refused() {
        let refused = [
            "updraft",
            "updraft fly",
            "updraft wait",
            "updraft wait --ready soon",
            "updraft scale",
            "updraft scale api.web",
            "updraft scale api.web=many",
            "updraft scale api=2",
            "updraft restart",
            "updraft restart Api",
            "updraft attach db",
            "updraft attach db redis://h --local",
            "updraft logs api.web.one",
            "updraft logs -n few",
            "updraft completions tcsh",
            "updraft task api",
            "updraft up -d --quiet",
        ];
        for line in refused {
            assert!(Cli::try_parse_from(line.split(' ')).is_err(), "{line}");
        }
        let taken = [
            "updraft -C /tmp ps --json",
            "updraft ps -C /tmp",
            "updraft wait --ready",
            "updraft wait --ready 90s",
            "updraft scale api.web=2 api.worker=0",
            "updraft attach db -",
            "updraft attach db --local",
            "updraft logs api api.web.2 -f --since 10m --grep ^a -n 5 --raw",
            "updraft task api.migrate -- --dry-run -v",
            "updraft up . api -d --new-ports",
        ];
        for line in taken {
            let parsed = Cli::try_parse_from(line.split(' '));
            assert!(parsed.is_ok(), "{line}: {}", parsed.unwrap_err());
        }
    }
}
