//! Runs a build to its end, in scopes of its own, and tells every line.

use std::os::fd::OwnedFd;
use std::path::Path;

use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::unix::pipe;
use tokio::sync::mpsc;
use updraft_system::{LogStream, Name, Service};

use super::{BuildError, BuildRequest, BuildStep, Built, Network, Progress, RunningBuild};
use crate::scope::{CommandPlan, Exit, ScopeError, Scopes};

/// Lines of a build that wait to be looked at; then the build waits.
const LINES_WAITING: usize = 64;

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
    network: &Network,
    told: &impl Fn(&Name, Progress),
) -> Result<Built, NotBuilt> {
    let interrupted = || NotBuilt::Interrupted(service.name.clone());
    let (planned, directory, store) = (service.clone(), directory.to_owned(), store.to_owned());
    let network = network.clone();
    let step = tokio::task::spawn_blocking(move || {
        let (service, directory, store) = (&planned, &*directory, &*store);
        BuildRequest { service, directory, store, network: &network }.plan()
    });
    let mut building = match step.await.ok().ok_or_else(interrupted)?? {
        BuildStep::Skip(built) => return Ok(built),
        BuildStep::Run(building) => *building,
    };
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
    let (sender, mut lines) = mpsc::channel(LINES_WAITING);
    for (pipe, stream) in [(output.stdout, LogStream::Stdout), (output.stderr, LogStream::Stderr)] {
        tokio::spawn(read(pipe, stream, sender.clone()));
    }
    drop(sender);
    let exit = loop {
        tokio::select! {
            biased;
            Some((stream, line)) = lines.recv() => {
                if let Some(progress) = building.observe(stream, &line) {
                    told(service, progress);
                }
            }
            exit = scope.ended() => break exit,
        }
    };
    // What a build has left running, such as a compiler's server, holds the pipes open.
    while let Ok((stream, line)) = lines.try_recv() {
        drop(building.observe(stream, &line));
    }
    scope.kill().await;
    Ok(exit)
}

async fn read(pipe: OwnedFd, stream: LogStream, sender: mpsc::Sender<(LogStream, String)>) {
    let Ok(pipe) = pipe::Receiver::from_owned_fd(pipe) else { return };
    let mut lines = BufReader::new(pipe).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        if sender.send((stream, line)).await.is_err() {
            return;
        }
    }
}
