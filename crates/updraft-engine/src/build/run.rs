//! Runs a build to its end, in scopes of its own, and tells every line.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::net::unix::pipe;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use updraft_system::{LogStream, Name, Service};

use super::{BuildError, BuildRequest, BuildStep, Built, Conditions, Progress, RunningBuild};
use crate::scope::{CommandPlan, Exit, Output, ScopeError, Scopes};

/// Lines of a build's output that wait to be looked at; then the build waits.
const LINES_WAITING: usize = 1024;
/// A longer line is told in pieces. Those that Cargo writes for programs are shorter by far.
const LINE_BYTES_MAX: u64 = 4 << 20;

/// A build in other surroundings takes place at another time by a clock of whole seconds.
const CLOCK_STEP: Duration = Duration::from_secs(1);

/// A service was not built.
#[derive(Debug, thiserror::Error)]
pub enum NotBuilt {
    /// The build failed.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The build could not be started.
    #[error("the build of service `{service}` could not be started")]
    Start {
        /// The service.
        service: Name,
        /// What the system says.
        #[source]
        source: ScopeError,
    },
    /// What decides about a build broke.
    #[error("the build of service `{0}` could not be planned")]
    Interrupted(Name),
}

/// Builds one service of the manifest in `directory`, and keeps what is made in `store`.
///
/// # Errors
///
/// [`NotBuilt`].
pub async fn build(
    scopes: &Scopes,
    service: &Service,
    directory: &Path,
    store: &Path,
    conditions: &Conditions,
    told: &impl Fn(&Name, Progress),
) -> Result<Built, NotBuilt> {
    let interrupted = || NotBuilt::Interrupted(service.name.clone());
    let (planned, directory, store) = (service.clone(), directory.to_owned(), store.to_owned());
    let (conditions, is_other) = (conditions.clone(), conditions.variation.is_some());
    let step = tokio::task::spawn_blocking(move || {
        let (service, directory, store) = (&planned, &*directory, &*store);
        BuildRequest { service, directory, store, conditions: &conditions }.plan()
    });
    let mut building = match step.await.ok().ok_or_else(interrupted)?? {
        BuildStep::Skip(built) => return Ok(built),
        BuildStep::Run(building) => *building,
    };
    if is_other {
        tokio::time::sleep(CLOCK_STEP).await;
    }
    if let Some(fetch) = building.fetch().cloned() {
        let exit = command(scopes, &service.name, &fetch, &mut building, told).await?;
        if !exit.is_success() {
            return Err(building.not_fetched(exit).into());
        }
    }
    let plan = building.command().clone();
    let exit = command(scopes, &service.name, &plan, &mut building, told).await?;
    let finished = tokio::task::spawn_blocking(move || building.finish(exit)).await;
    Ok(finished.ok().ok_or_else(interrupted)??)
}

async fn command(
    scopes: &Scopes,
    service: &Name,
    plan: &CommandPlan,
    building: &mut RunningBuild,
    told: &impl Fn(&Name, Progress),
) -> Result<Exit, NotBuilt> {
    let label = format!("build.{service}");
    let started = scopes.start(&label, plan).await;
    let (mut scope, output) =
        started.map_err(|source| NotBuilt::Start { service: service.clone(), source })?;
    let (pipes, mut lines) = read_lines(output);
    let mut observe = |(stream, line): (LogStream, String)| {
        if let Some(progress) = building.observe(stream, &line) {
            told(service, progress);
        }
    };
    // A command may write elsewhere, so the end of its output is not its own end.
    let mut is_open = true;
    loop {
        tokio::select! {
            _ = scope.ended() => break,
            line = lines.recv(), if is_open => match line {
                Some(line) => observe(line),
                None => is_open = false,
            },
        }
    }
    // What a build has left running, such as a compiler's server, holds the pipes open.
    scope.kill().await;
    while let Some(line) = lines.recv().await {
        observe(line);
    }
    drop(pipes.await);
    Ok(scope.ended().await)
}

/// Reads both outputs as lines, until everybody who writes to them is gone.
pub(crate) fn read_lines(output: Output) -> (JoinHandle<()>, mpsc::Receiver<(LogStream, String)>) {
    let (teller, lines) = mpsc::channel(LINES_WAITING);
    let stdout = read_pipe(output.stdout, LogStream::Stdout, teller.clone());
    let stderr = read_pipe(output.stderr, LogStream::Stderr, teller);
    let both = tokio::spawn(async {
        tokio::join!(stdout, stderr);
    });
    (both, lines)
}

async fn read_pipe(pipe: OwnedFd, stream: LogStream, teller: mpsc::Sender<(LogStream, String)>) {
    let Ok(pipe) = pipe::Receiver::from_owned_fd(pipe) else { return };
    let mut pipe = BufReader::new(pipe);
    let mut line = Vec::new();
    loop {
        let mut piece = (&mut pipe).take(LINE_BYTES_MAX);
        if !piece.read_until(b'\n', &mut line).await.is_ok_and(|count| count > 0) {
            return;
        }
        let text = String::from_utf8_lossy(&line);
        let text = text.trim_end_matches(['\n', '\r']).to_owned();
        if teller.send((stream, text)).await.is_err() {
            return;
        }
        line.clear();
    }
}
