//! Puts a program into the surroundings of a trial, and waits until it is ready.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use updraft_engine::CommandPlan;

use super::attached::Attached;
use super::machine::Feature;
use super::output::Output;
use super::own_port;
use super::ports::Port;
use super::running::Running;
use super::ways::Ways;
use super::{Lab, Setup, Stdout};
use crate::launch::{Network, Overlay, ReadOnly, Spec};
use crate::report::Lane;
use crate::role::VERB;
use crate::subject::Subject;
use crate::verdict::Shape;

/// From one attempt to the next where another copy of a program still has its port.
const AGAIN_AFTER: Duration = Duration::from_millis(300);
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
        let mut turn = self.0.own_ports.turn(subject).await;
        let until = Instant::now() + within * 2;
        loop {
            let mut running = self.launch(subject, setup).await?;
            let error = match running.ready(within).await {
                Ok(()) => {
                    let elsewhere = running.listens_elsewhere();
                    running.keep(turn.or_else(|| self.0.own_ports.found(subject, elsewhere)));
                    return Ok(running);
                }
                Err(error) => error,
            };
            running.end().await;
            if !error.port_was_taken() {
                return Err(error);
            }
            if Instant::now() >= until || self.0.own_ports.is_hopeless(subject) {
                self.0.own_ports.give_up(subject);
                return Err(Unstartable::Taken);
            }
            // Alone, and as soon as the one before it is gone.
            if turn.is_none() {
                turn = self.0.own_ports.turn_of(subject).await;
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
        let overlay = Box::pin(self.tiers()).await.without(Feature::Overlay).is_none();
        self.raw(subject, setup, overlay).await
    }

    /// What a program needs, fresh and prepared by its release tasks, before it is started: for
    /// [`Setup::attached`].
    pub(crate) async fn attach(&self, subject: &Subject) -> Result<Vec<Attached>, Unstartable> {
        let attached = self.attach_bare(subject).await?;
        if subject.tasks.iter().any(|task| task.on_release) {
            let overlay = Box::pin(self.tiers()).await.without(Feature::Overlay).is_none();
            let setup = Setup { attached: attached.clone(), ..Setup::new(Shape::Child) };
            let stage = Stage::prepare(self, subject, &setup, overlay).await?;
            self.release_tasks(&stage, subject).await?;
        }
        Ok(attached)
    }

    /// The same before any task.
    pub(crate) async fn attach_bare(
        &self,
        subject: &Subject,
    ) -> Result<Vec<Attached>, Unstartable> {
        let place = self.place()?;
        Box::pin(Attached::all(self, &place, subject)).await
    }

    /// The same where it is known whether folders can be overlaid.
    pub(super) async fn raw(
        &self,
        subject: &Subject,
        setup: &Setup,
        overlay: bool,
    ) -> Result<Running, Unstartable> {
        let mut stage = Stage::prepare(self, subject, setup, overlay).await?;
        if setup.attached.is_empty() {
            self.release_tasks(&stage, subject).await?;
        }
        let began = Instant::now();
        let started = self.0.scopes.start(&stage.label(), &stage.command(self)?).await;
        let (scope, pipes) = started.map_err(|error| Unstartable::Program(error.to_string()))?;
        let at_once = setup.stdout == Stdout::Read;
        let output = Output::of(pipes.stdout, pipes.stderr, began, at_once);
        let ways = stage.ways.take();
        let mut running = Running::new(subject, scope, stage, output, began);
        running.reach_by(ways);
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
    pub(super) attached: Vec<Attached>,
    pub(super) environment: BTreeMap<String, String>,
    /// How it is reached where it has a network of its own.
    pub(super) ways: Option<Ways>,
}

impl Stage {
    pub(super) async fn prepare(
        lab: &Lab,
        subject: &Subject,
        setup: &Setup,
        overlay: bool,
    ) -> Result<Self, Unstartable> {
        let place = lab.place()?;
        let attached = if setup.attached.is_empty() {
            Box::pin(Attached::all(lab, &place, subject)).await?
        } else {
            setup.attached.clone()
        };
        let port = match setup.port {
            Some(number) => Port::take_again(number).await,
            None => Port::any(),
        };
        let port = port.ok_or(Unstartable::NoPort)?;
        let overlay = overlay && !lab.holds(&subject.folder);
        let copy = Copy::make(&place, subject, setup, overlay, &lab.0.root)?;
        let ways = match setup.network {
            Network::None => Some(Ways::open(&place, &attached).await?),
            Network::Host => None,
        };
        let mut spec = spec(&place, subject, setup, &copy);
        spec.ways = ways.as_ref().map(|ways| ways.told.clone());
        let temporary = place.join("tmp");
        fs::create_dir_all(&temporary)?;
        let environment = environment(subject, setup, &attached, port.number, &temporary);
        Ok(Self { place, spec, port, attached, environment, ways })
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
        network: setup.network,
        hostname: setup.hostname.clone(),
        umask: setup.umask,
        trace: setup.trace.clone(),
        ways: None,
        status: place.join("status.json"),
    }
}

fn environment(
    subject: &Subject,
    setup: &Setup,
    attached: &[Attached],
    port: u16,
    temporary: &Path,
) -> BTreeMap<String, String> {
    let mut variables = setup.only.clone().unwrap_or_else(|| subject.environment.clone());
    variables.insert("TMPDIR".to_owned(), temporary.to_string_lossy().into_owned());
    for one in attached {
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
