//! `updraft gateway`: the gateway as a process of its own, beside programs on other machines.
//! It goes by a file, and keeps the last good state of it.

mod config_file;
mod event_log;
mod process;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use clap::builder::RangedU64ValueParser;
use serde_json::json;
use updraft_mesh::UserAttest;
use updraft_system::mesh::GatewayProblem;

use crate::failure::Outcome;
use crate::global::Global;
use crate::output;

use config_file::ConfigFile;
pub(crate) use config_file::ConfigProblems;

/// Data threads; more than a machine has cores only wait for each other.
const THREADS_MAX: u64 = 64;

/// Run a gateway by itself: a sidecar, or the way into a machine
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  updraft gateway --config gateway.toml
  updraft gateway --config gateway.toml --check     only look at the file
  updraft gateway --config gateway.json --hand-over /run/gateway.sock --threads 2
  updraft gateway --config gateway.toml --uid 1000 --uid 1001

The file is a whole configuration in TOML or JSON. A change of it is taken within two
seconds, or at once on SIGHUP; no connection is dropped for it. A file that cannot be taken
changes nothing: the last good configuration stays in force, the log says why, and the metric
updraft_mesh_config_refused is 1.

Log lines are JSON on stdout. Ports of edges are for programs of the users given by --uid;
without one, of the user that the gateway runs as. Certificates come from the control socket
at `identity.issuer`, that of an `updraft up`.

SIGTERM and SIGINT let what is under way end, for at most `limits.drain`; a second one ends
it at once. Started again with the same --hand-over, a gateway takes the sockets of the one
that runs; that one ends what is under way and exits.

Exit code 0: it ended in order; 1: a second signal cut it short; 2: the file is wrong;
4: this machine lacks something, such as a free port.")]
pub(crate) struct GatewayArgs {
    /// The configuration, TOML or JSON
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Take over from the gateway that listens at this socket, then listen there for the next
    #[arg(long, value_name = "SOCKET")]
    hand_over: Option<PathBuf>,
    /// Data threads
    #[arg(long, value_name = "N", default_value_t = 1)]
    #[arg(value_parser = RangedU64ValueParser::<usize>::new().range(1..=THREADS_MAX))]
    threads: usize,
    /// A user whose programs may use the ports of edges; may be given several times
    #[arg(long = "uid", value_name = "UID")]
    uids: Vec<u32>,
    /// Look at the file, and start nothing
    #[arg(long)]
    check: bool,
}

pub(crate) async fn run(global: &Global, args: GatewayArgs) -> Outcome {
    let file = ConfigFile::at(&global.directory, &args.config);
    let text = file.read()?;
    let config = file.parse(&text)?;
    let warnings = config.problems();
    if args.check {
        return checked(global, &file, &config, &warnings);
    }
    for warning in &warnings {
        output::say(format!("warning: {}", file.in_words(warning)));
    }
    let own = rustix::process::geteuid().as_raw();
    let uids = if args.uids.is_empty() { vec![own] } else { args.uids };
    let setting = process::Setting {
        file,
        hand_over: args.hand_over.map(|path| global.directory.join(path)),
        threads: args.threads,
        attest: UserAttest { uids },
    };
    process::run(setting, text, config).await
}

fn checked(
    global: &Global,
    file: &ConfigFile,
    config: &updraft_system::mesh::GatewayConfig,
    warnings: &[GatewayProblem],
) -> Outcome {
    let warnings: Vec<String> = warnings.iter().map(|warning| file.in_words(warning)).collect();
    if global.json {
        output::json_result(&json!({
            "system": config.system,
            "version": config.version,
            "edges": config.edges.len(),
            "clusters": config.clusters.len(),
            "warnings": warnings,
        }))?;
        return Ok(ExitCode::SUCCESS);
    }
    for warning in warnings {
        output::say(format!("warning: {warning}"));
    }
    let (edges, clusters) = (config.edges.len(), config.clusters.len());
    output::result(format!(
        "{} is sound: {} version {}, {edges} edges, {clusters} clusters",
        file.path.display(),
        config.system,
        config.version
    ))?;
    Ok(ExitCode::SUCCESS)
}
