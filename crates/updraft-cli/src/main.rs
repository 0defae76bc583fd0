//! The command `updraft`: reads the command line, does one verb, and turns its
//! outcome into an exit code.

mod cli;
mod completion;
mod control;
mod deploys;
mod failure;
mod generated;
mod global;
mod init;
mod log_view;
mod names;
mod output;
mod problems;
mod progress;
mod quantity;
mod readiness;
#[cfg(test)]
mod reference;
mod released;
mod running;
mod screen;
mod system_dir;
mod systemd;
mod table;
mod topology;
mod verb;
mod wire_rates;

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser as _;
use mimalloc::MiMalloc;
use tokio::runtime::Builder;

use crate::cli::{Cli, Verb};
use crate::failure::{Failure, Outcome};
use crate::global::Global;

/// A gateway takes and gives back buffers of each request on one thread. That of the system gives
/// their pages back to the kernel as well, and faults them in again for the next request.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Enough for a supervisor, whose work is waiting.
const SUPERVISOR_THREADS: usize = 2;
/// How long a read of stdin or a file that blocks may hold up the end.
const RUNTIME_CLOSE: Duration = Duration::from_millis(100);

fn main() -> ExitCode {
    if let Some(code) = updraft_engine::guard_main() {
        return code;
    }
    if let Some(code) = updraft_audit::role_main() {
        return code;
    }
    completion::answer();
    let Cli { global, verb } = Cli::parse();
    run(&global, verb).unwrap_or_else(|failure| {
        output::failure(&failure, global.json);
        failure.exit()
    })
}

fn run(global: &Global, verb: Verb) -> Outcome {
    let mut threads = match verb {
        Verb::Up(_) | Verb::Build(_) | Verb::Release(_) | Verb::Check(_) => {
            Builder::new_multi_thread()
        }
        _ => Builder::new_current_thread(),
    };
    let runtime = threads.worker_threads(SUPERVISOR_THREADS).enable_all().build();
    let runtime = runtime.map_err(|error| {
        Failure::environment("cannot start the asynchronous runtime").because(&error)
    })?;
    let outcome = runtime.block_on(dispatch(global, verb));
    runtime.shutdown_timeout(RUNTIME_CLOSE);
    outcome
}

async fn dispatch(global: &Global, verb: Verb) -> Outcome {
    match verb {
        Verb::Up(args) => Box::pin(verb::up::run(global, args)).await,
        Verb::Down(args) => verb::down::run(global, args).await,
        Verb::Ps(args) => verb::ps::run(global, args).await,
        Verb::Logs(args) => verb::logs::run(global, args).await,
        Verb::Top(args) => verb::top::run(global, args).await,
        Verb::Graph(args) => verb::graph::run(global, args).await,
        Verb::Tap(args) => verb::tap::run(global, args).await,
        Verb::Mesh(args) => Box::pin(verb::mesh::run(global, args)).await,
        Verb::Restart(args) => verb::restart::run(global, args).await,
        Verb::RollOut(args) => verb::roll_out::run(global, args).await,
        Verb::Scale(args) => verb::scale::run(global, args).await,
        Verb::Attach(args) => verb::attach::run(global, args).await,
        Verb::Wait(args) => verb::wait::run(global, args).await,
        Verb::Open(args) => verb::open::run(global, args).await,
        Verb::Task(args) => verb::task::run(global, args).await,
        Verb::Build(args) => Box::pin(verb::build::run(global, args)).await,
        Verb::Config(args) => verb::config::run(global, args),
        Verb::Release(args) => Box::pin(verb::release::run(global, args)).await,
        Verb::Rollback(args) => verb::rollback::run(global, args).await,
        Verb::Promote(args) => verb::promote::run(global, args).await,
        Verb::Check(args) => Box::pin(verb::check::run(global, *args)).await,
        Verb::Explain(args) => verb::explain::run(global, &args),
        Verb::Gateway(args) => Box::pin(verb::gateway::run(global, args)).await,
        Verb::Init(args) => verb::init::run(global, &args),
        Verb::Schema => verb::schema::run(),
        Verb::Ci(args) => verb::ci::run(global, &args),
        Verb::Service(args) => verb::service::run(global, args).await,
        Verb::Completions(args) => verb::completions::run(&args),
    }
}
