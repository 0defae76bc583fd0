//! The words of the command line. The reference in `docs/reference/cli.md` and the
//! completions are made from here.

use clap::builder::Styles;
use clap::builder::styling::AnsiColor;
use clap::{Parser, Subcommand};

use crate::global::Global;
use crate::verb::attach::AttachArgs;
use crate::verb::build::BuildArgs;
use crate::verb::check::CheckArgs;
use crate::verb::ci::CiArgs;
use crate::verb::completions::CompletionsArgs;
use crate::verb::config::ConfigArgs;
use crate::verb::down::DownArgs;
use crate::verb::explain::ExplainArgs;
use crate::verb::gateway::GatewayArgs;
use crate::verb::graph::GraphArgs;
use crate::verb::init::InitArgs;
use crate::verb::logs::LogsArgs;
use crate::verb::mesh::MeshArgs;
use crate::verb::open::OpenArgs;
use crate::verb::promote::PromoteArgs;
use crate::verb::ps::PsArgs;
use crate::verb::release::ReleaseArgs;
use crate::verb::restart::RestartArgs;
use crate::verb::roll_out::RollOutArgs;
use crate::verb::rollback::RollbackArgs;
use crate::verb::scale::ScaleArgs;
use crate::verb::service::ServiceArgs;
use crate::verb::tap::TapArgs;
use crate::verb::task::TaskArgs;
use crate::verb::top::TopArgs;
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
    Ps(PsArgs),
    Logs(LogsArgs),
    Top(TopArgs),
    Graph(GraphArgs),
    Tap(TapArgs),
    Mesh(MeshArgs),
    Restart(RestartArgs),
    RollOut(RollOutArgs),
    Scale(ScaleArgs),
    Attach(AttachArgs),
    Wait(WaitArgs),
    Open(OpenArgs),
    Task(TaskArgs),
    Build(BuildArgs),
    Config(ConfigArgs),
    Release(ReleaseArgs),
    Rollback(RollbackArgs),
    Promote(PromoteArgs),
    Check(Box<CheckArgs>),
    Explain(ExplainArgs),
    Gateway(GatewayArgs),
    Init(InitArgs),
    Ci(CiArgs),
    Service(ServiceArgs),
    /// Print the JSON Schema of updraft.toml, for editors
    #[command(after_help = crate::verb::schema::AFTER_HELP)]
    Schema,
    Completions(CompletionsArgs),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    const REFUSED: &[&str] = &[
        "updraft",
        "updraft fly",
        "updraft wait",
        "updraft wait --ready soon",
        "updraft scale api.web",
        "updraft scale api.web=many",
        "updraft scale api=2",
        "updraft scale api.web=by-rule",
        "updraft task --tty",
        "updraft task --last",
        "updraft task -- --all",
        "updraft task --tty --last api.shell",
        "updraft restart",
        "updraft restart Api",
        "updraft roll-out Api",
        "updraft roll-out --deadline soon",
        "updraft attach db",
        "updraft attach db redis://h --local",
        "updraft logs api.web.one",
        "updraft logs -n few",
        "updraft completions tcsh",
        "updraft task api",
        "updraft up -d --quiet",
        "updraft gateway",
        "updraft gateway --config g --threads 0",
        "updraft graph --dot --mermaid",
        "updraft tap front-",
        "updraft tap --share 5",
        "updraft top --by service",
        "updraft mesh",
        "updraft mesh split back",
        "updraft mesh split back v1",
        "updraft mesh split back v1=1 --sticky user",
        "updraft mesh fault back",
        "updraft mesh fault back --delay 1s --abort 503",
        "updraft mesh route back --to v1 --path x",
        "updraft mesh rotate back --root",
        "updraft up -d --resume",
        "updraft up --resume --fresh",
        "updraft ci",
        "updraft ci jenkins",
        "updraft ci github --push ghcr.io/Acme",
        "updraft service",
        "updraft service install --user --system",
        "updraft service install --run-as a",
        "updraft service install --name a/b",
        "updraft service install --dry-run --no-start",
        "updraft config",
        "updraft config set",
        "updraft config unset",
        "updraft release show x",
        "updraft release diff 1",
        "updraft rollback 0",
        "updraft promote staging",
    ];

    const TAKEN: &[&str] = &[
        "updraft -C /tmp ps --json",
        "updraft ps -C /tmp",
        "updraft ps --confinement",
        "updraft wait --ready",
        "updraft wait --ready 90s",
        "updraft scale",
        "updraft scale api.web=auto api.worker=0",
        "updraft task",
        "updraft task --last api.migrate",
        "updraft task --tty api.shell -- -x",
        "updraft scale api.web=2 api.worker=0",
        "updraft attach db -",
        "updraft attach db --local",
        "updraft logs api api.web.2 -f --since 10m --grep ^a -n 5 --raw",
        "updraft task api.migrate -- --dry-run -v",
        "updraft up . api -d --new-ports",
        "updraft gateway --config g --uid 1 --uid 2 --hand-over s --threads 4",
        "updraft tap front->back --headers -n 3 --share 0.5%",
        "updraft mesh split back v1=1 v2=0 --sticky cookie:u",
        "updraft mesh fault back --abort 503 --path /p/{id} --method GET --from a --header x=y",
        "updraft mesh rotate --root",
        "updraft config set -e production orders.KEY=1 db=-",
        "updraft config set --file -",
        "updraft config diff -e staging production",
        "updraft release show -e production --manifest",
        "updraft rollback 41 --deploy production",
        "updraft promote staging production --json",
        "updraft restart api.web --hard",
        "updraft roll-out api --plan --deadline 10m --all",
    ];

    #[test]
    fn the_words_fit_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_verb_shows_an_example() {
        fn look(above: &str, command: &clap::Command) {
            for verb in command.get_subcommands() {
                let name = format!("{above} {}", verb.get_name());
                let help = verb.get_after_help().map(ToString::to_string).unwrap_or_default();
                assert!(help.contains(&name), "{name}");
                look(&name, verb);
            }
        }
        look("updraft", &Cli::command());
    }

    #[test]
    fn what_cannot_be_understood_is_refused() {
        for line in REFUSED {
            assert!(Cli::try_parse_from(line.split(' ')).is_err(), "{line}");
        }
        for line in TAKEN {
            let parsed = Cli::try_parse_from(line.split(' '));
            assert!(parsed.is_ok(), "{line}: {}", parsed.unwrap_err());
        }
    }
}
