//! Puts a program into the surroundings of a trial, and waits until it is ready.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use updraft_engine::CommandPlan;

use super::attached::Provided;
use super::machine::Means;
use super::network::NetworkId;
use super::output::Output;
use super::own_port;
use super::ports::Port;
use super::running::Running;
use super::{Lab, Network, Setup, Stdout};
use crate::launch::{Overlay, ReadOnly, Spec};
use crate::report::Lane;
use crate::role::VERB;
use crate::subject::Subject;
use crate::verdict::Shape;

/// From one attempt to the next where another copy of a program still has its port.
const AGAIN_AFTER: Duration = Duration::from_millis(300);
/// Asks for names inside of a network, and only once.
const RESOLVER: &str = "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n";
/// The largest folder that is copied file by file where it cannot be overlaid, in bytes.
const COPY_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// A program could not be run as a trial wants it. None of these is a verdict on the program
/// but the last two, and those only where a probe says so.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unstartable {
    /// The files of the trial cannot be made.
    #[error("the files of the trial cannot be made")]
    Files(#[from] std::io::Error),
    /// There is no free port.
    #[error("there is no free port")]
    NoPort,
    /// The machine does not allow it.
    #[error("this machine does not allow it: {0}")]
    Machine(String),
    /// The machine took too long.
    #[error("this machine is too slow now: {0}")]
    Slow(String),
    /// Something that the program needs cannot be had.
    #[error("`{0}`, which it needs, cannot be had: {1}")]
    Dependency(String, String),
    /// The program cannot be started at all.
    #[error("it cannot be started: {0}")]
    Program(String),
    /// Somebody else listens where it wants to, whatever port it is given.
    #[error("somebody else listens at the port that it insists on")]
    Taken,
    /// It ended before it was ready.
    #[error("it ended before it was ready: {ended}")]
    Ended {
        /// How.
        ended: String,
        /// Its last lines.
        tail: Vec<String>,
    },
    /// It was not ready in time.
    #[error("it was not ready within {within:?}")]
    NotReady {
        /// How long was waited.
        within: Duration,
        /// Its last lines.
        tail: Vec<String>,
    },
}

impl Unstartable {
    /// Whether evidence says of a program that it did not come up.
    pub(crate) fn is_told_in(evidence: &str) -> bool {
        [
            "it ended before it was ready",
            "it was not ready within",
            // A task that it wants to have been run.
            "`task ",
            "does not succeed in the first place",
        ]
        .iter()
        .any(|words| evidence.contains(words))
    }

    /// Whether the program says that its port is somebody else's.
    fn port_was_taken(&self) -> bool {
        let (Self::Ended { tail, .. } | Self::NotReady { tail, .. }) = self else { return false };
        tail.iter().any(|line| own_port::is_taken(line))
    }
}

impl Lab {
    /// Starts a program and waits until it is ready, at most `within`.
    pub(crate) async fn start(
        &self,
        subject: &Subject,
        setup: &Setup,
        within: Duration,
    ) -> Result<Running, Unstartable> {
        let shared = self.shared(setup).await;
        let mut turn = match shared {
            Some(network) => self.0.own_ports.turn(subject, network).await,
            None => None,
        };
        let until = Instant::now() + within * 2;
        loop {
            let mut running = self.launch(subject, setup).await?;
            let error = match running.ready(within).await {
                Ok(()) => {
                    let elsewhere = running.listens_elsewhere();
                    let found = elsewhere.then(|| self.0.own_ports.found(subject, shared));
                    running.keep(turn.or(found.flatten()));
                    return Ok(running);
                }
                Err(error) => error,
            };
            running.end().await;
            let Some(network) = shared.filter(|_| error.port_was_taken()) else {
                return Err(error);
            };
            if Instant::now() >= until || self.0.own_ports.is_hopeless(subject, network) {
                self.0.own_ports.give_up(subject, network);
                return Err(Unstartable::Taken);
            }
            // Alone, and as soon as the one before it is gone.
            if turn.is_none() {
                turn = self.0.own_ports.turn_of(subject, network).await;
            }
            tokio::time::sleep(AGAIN_AFTER).await;
        }
    }

    /// The same beside others of its kind, on purpose: what it says of a port that is taken is
    /// what its caller wants to hear.
    pub(crate) async fn start_beside(
        &self,
        subject: &Subject,
        setup: &Setup,
        within: Duration,
    ) -> Result<Running, Unstartable> {
        let mut running = self.launch(subject, setup).await?;
        match running.ready(within).await {
            Ok(()) => Ok(running),
            Err(error) => {
                running.end().await;
                Err(error)
            }
        }
    }

    /// Starts a program in a fresh copy of its folder.
    pub(crate) async fn launch(
        &self,
        subject: &Subject,
        setup: &Setup,
    ) -> Result<Running, Unstartable> {
        self.raw(subject, setup, self.means().await).await
    }

    /// The network that a trial has together with others: that of the audit, or one with
    /// resources that others use too. `None`: one of its own.
    async fn shared(&self, setup: &Setup) -> Option<NetworkId> {
        match &setup.provided {
            Some(provided) => Some(provided.network.id()),
            None if setup.watched || self.means().await.network => None,
            None => Some(NetworkId::default()),
        }
    }

    /// What a program needs, fresh and prepared by its release tasks, before it is started: for
    /// [`Setup::provided`].
    pub(crate) async fn provide(&self, subject: &Subject) -> Result<Provided, Unstartable> {
        self.provide_in(subject, self.network().await?).await
    }

    /// The same in a network.
    pub(crate) async fn provide_in(
        &self,
        subject: &Subject,
        network: Network,
    ) -> Result<Provided, Unstartable> {
        let place = self.place()?;
        let provided = Box::pin(Provided::fresh(self, &place, subject, network)).await?;
        if subject.tasks.iter().any(|task| task.on_release) {
            let setup = Setup { provided: Some(provided.clone()), ..Setup::new(Shape::Child) };
            let stage = Stage::prepare(self, subject, &setup, self.means().await).await?;
            self.release_tasks(&stage, subject).await?;
            // The program is judged, and not its tasks.
            let forgotten = stage.provided.network.forget().await;
            forgotten.map_err(|error| Unstartable::Machine(error.to_string()))?;
        }
        Ok(provided)
    }

    /// The same before any task.
    pub(crate) async fn provide_bare(&self, subject: &Subject) -> Result<Provided, Unstartable> {
        let (place, network) = (self.place()?, self.network().await?);
        Box::pin(Provided::fresh(self, &place, subject, network)).await
    }

    /// The same where it is known what the machine offers.
    pub(super) async fn raw(
        &self,
        subject: &Subject,
        setup: &Setup,
        means: Means,
    ) -> Result<Running, Unstartable> {
        let stage = Stage::prepare(self, subject, setup, means).await?;
        if setup.provided.as_ref().is_none_or(|provided| provided.is_empty()) {
            self.release_tasks(&stage, subject).await?;
        }
        let began = Instant::now();
        let started = self.0.scopes.start(&stage.label(), &stage.command(self)?).await;
        let (scope, pipes) = started.map_err(|error| Unstartable::Program(error.to_string()))?;
        let at_once = setup.stdout == Stdout::Read;
        let output = Output::of(pipes.stdout, pipes.stderr, began, at_once);
        let mut running = Running::new(subject, scope, stage, output, began);
        running.listens_where_it_wants(self.0.own_ports.is_known(subject));
        running.note(Lane::Audit, format!("started `{}`", subject.line()));
        Ok(running)
    }

    /// Whether the lab's own files are in a folder, which cannot be overlaid then.
    fn holds(&self, folder: &Path) -> bool {
        self.0.root.starts_with(folder)
    }
}

/// The surroundings of one trial.
#[derive(Debug)]
pub(super) struct Stage {
    /// The folder of the trial's own files.
    pub(super) place: PathBuf,
    pub(super) spec: Spec,
    pub(super) port: Port,
    pub(super) provided: Provided,
    pub(super) environment: BTreeMap<String, String>,
}

impl Stage {
    pub(super) async fn prepare(
        lab: &Lab,
        subject: &Subject,
        setup: &Setup,
        means: Means,
    ) -> Result<Self, Unstartable> {
        let place = lab.place()?;
        let provided = match &setup.provided {
            Some(provided) => provided.clone(),
            None => {
                let log = setup.watched.then(|| place.join("sought.jsonl"));
                let network = if log.is_some() || means.network {
                    lab.enclosure(log.as_deref()).await?
                } else {
                    Network::default()
                };
                Box::pin(Provided::fresh(lab, &place, subject, network)).await?
            }
        };
        let port = match setup.port {
            Some(number) => Port::take_again(number).await,
            None => Port::any(),
        };
        let port = port.ok_or(Unstartable::NoPort)?;
        let overlay = means.overlay && !lab.holds(&subject.folder);
        let copy = Copy::make(&place, subject, setup, overlay, &lab.0.root)?;
        let mut spec = spec(&place, subject, setup, &copy);
        let resolver = place.join("resolv.conf");
        fs::write(&resolver, RESOLVER)?;
        spec.network = provided.network.joined(resolver, &lab.0.outside);
        let temporary = place.join("tmp");
        fs::create_dir_all(&temporary)?;
        let environment = environment(subject, setup, &provided, port.number, &temporary);
        Ok(Self { place, spec, port, provided, environment })
    }

    /// How the trial is called among the scopes.
    pub(super) fn label(&self) -> String {
        self.place.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// What is run to bring the program into its surroundings.
    pub(super) fn command(&self, lab: &Lab) -> Result<CommandPlan, Unstartable> {
        self.command_of(lab, &self.spec)
    }

    /// The same for another program in the same surroundings.
    pub(super) fn command_of(&self, lab: &Lab, spec: &Spec) -> Result<CommandPlan, Unstartable> {
        let file = spec.status.with_extension("spec");
        fs::write(&file, serde_json::to_vec(spec).map_err(std::io::Error::other)?)?;
        let executable = lab.executable().to_string_lossy().into_owned();
        let argv = [&executable, VERB, "launch", &file.to_string_lossy()].map(str::to_owned);
        let (env, cwd) = (self.environment.clone(), self.spec.folder.clone());
        // A program is judged as it is.
        Ok(CommandPlan { argv: argv.to_vec(), env, cwd, confinement: None })
    }
}

/// The folder that a program starts in.
struct Copy {
    folder: PathBuf,
    overlay: Option<Overlay>,
}

impl Copy {
    fn make(
        place: &Path,
        subject: &Subject,
        setup: &Setup,
        overlay: bool,
        lab: &Path,
    ) -> Result<Self, Unstartable> {
        let from = &subject.folder;
        let written = setup.copy.clone().unwrap_or_else(|| place.join("written"));
        fs::create_dir_all(&written)?;
        if overlay {
            let work = place.join("work");
            fs::create_dir_all(&work)?;
            let overlay = Overlay { lower: from.clone(), upper: written, work };
            return Ok(Self { folder: from.clone(), overlay: Some(overlay) });
        }
        if setup.copy.is_none() {
            copy_folder(from, &written, lab)?;
        }
        Ok(Self { folder: written, overlay: None })
    }
}

/// Copies a folder file by file, if it is not too large, and without the lab's own files.
fn copy_folder(from: &Path, to: &Path, lab: &Path) -> Result<(), Unstartable> {
    let mut left = COPY_BYTES_MAX;
    copy_within(from, to, lab, &mut left).map_err(|error| match error.kind() {
        std::io::ErrorKind::FileTooLarge => Unstartable::Machine(format!(
            "a fresh copy of {} needs an overlay file system, since it has more than {} MiB",
            from.display(),
            COPY_BYTES_MAX / 1024 / 1024
        )),
        _ => Unstartable::Files(error),
    })
}

fn copy_within(from: &Path, to: &Path, lab: &Path, left: &mut u64) -> std::io::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (kind, target) = (entry.file_type()?, to.join(entry.file_name()));
        if entry.path() == lab {
            continue;
        }
        if kind.is_dir() {
            fs::create_dir_all(&target)?;
            copy_within(&entry.path(), &target, lab, left)?;
        } else if kind.is_symlink() {
            std::os::unix::fs::symlink(fs::read_link(entry.path())?, &target)?;
        } else if kind.is_file() {
            let size = entry.metadata()?.len();
            *left = left.checked_sub(size).ok_or(std::io::ErrorKind::FileTooLarge)?;
            fs::copy(entry.path(), &target)?;
        }
    }
    Ok(())
}

fn spec(place: &Path, subject: &Subject, setup: &Setup, copy: &Copy) -> Spec {
    // The place itself stays writable: resources that are files are in it.
    let writable = ["/tmp", "/var/tmp"].iter().map(PathBuf::from).filter(|path| path.is_dir());
    let writable = [place.to_owned()].into_iter().chain(writable).collect();
    Spec {
        argv: subject.argv.clone(),
        folder: copy.folder.clone(),
        shape: setup.shape,
        overlay: copy.overlay.clone(),
        read_only: setup.read_only.then_some(ReadOnly { writable }),
        masked: setup.masked.clone(),
        shown: setup.shown.clone(),
        network: None,
        hostname: setup.hostname.clone(),
        umask: setup.umask,
        trace: setup.trace.clone(),
        status: place.join("status.json"),
    }
}

fn environment(
    subject: &Subject,
    setup: &Setup,
    provided: &Provided,
    port: u16,
    temporary: &Path,
) -> BTreeMap<String, String> {
    let mut variables = setup.only.clone().unwrap_or_else(|| subject.environment.clone());
    variables.insert("TMPDIR".to_owned(), temporary.to_string_lossy().into_owned());
    for one in provided.iter() {
        variables.extend(one.variables.iter().map(|name| (name.clone(), one.url.clone())));
    }
    variables.insert(subject.port_variable.clone(), port.to_string());
    for (name, value) in &setup.variables {
        match value {
            Some(value) => drop(variables.insert(name.clone(), value.clone())),
            None => drop(variables.remove(name)),
        }
    }
    variables
}
