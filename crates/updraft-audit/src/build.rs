//! Builds what is to be audited: a system's services are judged as they are deployed, built.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::sync::mpsc;
use updraft_engine::{
    BuildError, BuildRequest, BuildStep, Built, Progress, RunningBuild, ScopeError, Scopes,
    StateDir, StateDirError,
};
use updraft_system::{LogStream, Name, Service, System, Target};

use crate::subject::system::BuiltSystem;

/// Lines of a build that wait to be looked at; then the build waits.
const LINES_WAITING: usize = 64;

/// A service could not be built.
#[derive(Debug, thiserror::Error)]
pub enum CannotBuild {
    /// There is no place for what is built.
    #[error("there is no place for what is built")]
    Place(#[from] StateDirError),
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

/// Builds some services of a system, and those that they need, one after another.
pub(crate) async fn build(
    scopes: &Scopes,
    system: &System,
    directory: &Path,
    services: &[Name],
    told: &impl Fn(&Name, Progress),
) -> Result<BuiltSystem, CannotBuild> {
    let state = StateDir::locate(&system.name, directory)?;
    let mut paths = BTreeMap::new();
    for name in needed(system, services) {
        let Some(service) = system.services.get(&name) else { continue };
        let built = one(scopes, service, directory, &state, told).await?;
        paths.insert(name, built.path_prefix);
    }
    Ok(BuiltSystem { system: system.clone(), directory: directory.to_owned(), paths })
}

/// The services, and all that they need, directly or not.
fn needed(system: &System, services: &[Name]) -> BTreeSet<Name> {
    let mut found = BTreeSet::new();
    let mut open: Vec<Name> = services.to_vec();
    while let Some(name) = open.pop() {
        let needs = system.services.get(&name).map(|service| service.needs.as_slice());
        let peers = needs.unwrap_or_default().iter().filter_map(|need| match &need.target {
            Target::Service(peer) => Some(peer.clone()),
            Target::Resource(_) => None,
        });
        let peers: Vec<_> = peers.collect();
        if found.insert(name) {
            open.extend(peers);
        }
    }
    found
}

async fn one(
    scopes: &Scopes,
    service: &Service,
    directory: &Path,
    state: &StateDir,
    told: &impl Fn(&Name, Progress),
) -> Result<Built, CannotBuild> {
    let interrupted = || CannotBuild::Interrupted(service.name.clone());
    let store = state.builds().join(service.name.as_str());
    let (planned, folder) = (service.clone(), directory.to_owned());
    let step = tokio::task::spawn_blocking(move || {
        BuildRequest { service: &planned, directory: &folder, store: &store }.plan()
    });
    match step.await.ok().ok_or_else(interrupted)?? {
        BuildStep::Skip(built) => Ok(built),
        BuildStep::Run(building) => run(scopes, &service.name, *building, told).await,
    }
}

async fn run(
    scopes: &Scopes,
    service: &Name,
    mut building: RunningBuild,
    told: &impl Fn(&Name, Progress),
) -> Result<Built, CannotBuild> {
    let label = format!("build.{service}");
    let started = scopes.start(&label, building.command()).await;
    let (mut scope, output) =
        started.map_err(|source| CannotBuild::Start { service: service.clone(), source })?;
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
    let finished = tokio::task::spawn_blocking(move || building.finish(exit)).await;
    Ok(finished.ok().ok_or_else(|| CannotBuild::Interrupted(service.clone()))??)
}

async fn read(
    pipe: std::os::fd::OwnedFd,
    stream: LogStream,
    sender: mpsc::Sender<(LogStream, String)>,
) {
    let Ok(pipe) = tokio::net::unix::pipe::Receiver::from_owned_fd(pipe) else { return };
    let mut lines = BufReader::new(pipe).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        if sender.send((stream, line)).await.is_err() {
            return;
        }
    }
}
