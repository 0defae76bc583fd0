//! Builds: how the artefact of a service is made from its source, and when that can
//! be left out because nothing that goes into it has changed.
//!
//! Nothing here runs a build. [`BuildRequest::plan`] says that it is done already or
//! gives a [`RunningBuild`], whose command the caller runs; it shows it every line of
//! the output and ends with [`RunningBuild::finish`]. Both block while files are read.
//!
//! Builds of packages with the same target folder run one after another, however they
//! are started: Cargo locks it.
//!
//! A build gets the environment of the caller, since it is the work of the developer's
//! toolchain; without what `cargo run` adds for the program it runs.

mod cargo;
mod command;
mod conditions;
mod copy;
mod inputs;
mod network;
mod preset;
mod run;
mod stage;
mod transcript;
mod verified;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use updraft_system::{Build, LogStream, Name, Service};

use self::command::Recipe;
use self::inputs::InputError;
use self::stage::{Stamp, StoreError};
use self::transcript::Transcript;
use crate::scope::{CommandPlan, Exit};

pub use conditions::{Conditions, Variation};
pub use copy::copy_system;
pub use inputs::Digest;
pub(crate) use inputs::sources;
pub use network::{Cut, Network};
pub(crate) use run::read_lines;
pub use run::{NotBuilt, build};
pub use verified::Verified;

/// What is to be built.
#[derive(Clone, Copy, Debug)]
pub struct BuildRequest<'a> {
    /// The service.
    pub service: &'a Service,
    /// The folder of the manifest.
    pub directory: &'a Path,
    /// Where the artefact and the memory of this service's builds are kept.
    pub store: &'a Path,
    /// What the build finds around it.
    pub conditions: &'a Conditions,
}

/// The artefact of a service is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Built {
    /// Folders to put before `PATH`.
    pub path_prefix: Vec<PathBuf>,
    /// It was there before, made from the same inputs.
    pub skipped: bool,
    /// Identifies what it was made from; `None` where nothing is built.
    pub inputs: Option<Digest>,
}

/// What to do for an artefact.
#[derive(Debug)]
pub enum BuildStep {
    /// Nothing.
    Skip(Built),
    /// Run a command.
    Run(Box<RunningBuild>),
}

/// A build whose command runs.
#[derive(Debug)]
pub struct RunningBuild {
    service: Name,
    fetch: Option<CommandPlan>,
    command: CommandPlan,
    store: PathBuf,
    transcript: Transcript,
    method: Method,
    /// Folders of programs that run still.
    spared: Vec<PathBuf>,
}

#[derive(Debug)]
enum Method {
    Cargo(cargo::CargoBuild),
    Command(command::CommandBuild),
}

/// What a line of a build's output tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Where it stands; replaces the step before.
    Step {
        /// How many packages are compiled.
        done: u32,
        /// What is done now, such as `Compiling serde v1.0.0`.
        text: String,
    },
    /// A line for people: a warning, an error, or what a command prints.
    Line(String),
}

/// The artefact of a service could not be made.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The folder of the service is not there.
    #[error("service `{service}` is to be built in {folder}, which cannot be opened")]
    Folder {
        /// The service.
        service: Name,
        /// Its folder.
        folder: String,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// The files that a preset needs are not there.
    #[error("service `{service}` cannot be built by the preset `{preset}`: {why}")]
    Preset {
        /// The service.
        service: Name,
        /// The preset.
        preset: &'static str,
        /// What is missing, and what to do.
        why: String,
    },
    /// There is no Cargo.
    #[error(
        "service `{service}` is built with `cargo`, which cannot be run: install Rust from https://rustup.rs or with the system's package manager"
    )]
    NoCargo {
        /// The service.
        service: Name,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// The command failed.
    #[error("the build of service `{service}` failed: `{command}` ended with {exit}")]
    Failed {
        /// The service.
        service: Name,
        /// The command.
        command: String,
        /// How it ended.
        exit: String,
        /// What it printed.
        output: String,
    },
    /// The package of the service has no program.
    #[error(
        "the build of service `{service}` made no program: its package needs a `src/main.rs` or a `[[bin]]`"
    )]
    NoProgram {
        /// The service.
        service: Name,
    },
    /// The command succeeded, and what it should make is not there.
    #[error(
        "the build of service `{service}` did not make `{missing}`, which its `keep` names: mend `keep` or the command `{command}`"
    )]
    NotKept {
        /// The service.
        service: Name,
        /// The command.
        command: String,
        /// The first missing path.
        missing: String,
        /// What the command printed.
        output: String,
    },
    /// What goes into the build could not be read.
    #[error("cannot tell what goes into the build of service `{service}`")]
    Inputs {
        /// The service.
        service: Name,
        /// What could not be read.
        #[source]
        source: InputError,
    },
    /// The artefact could not be put away.
    #[error("cannot keep the build of service `{service}`")]
    Store {
        /// The service.
        service: Name,
        /// What could not be written.
        #[source]
        source: StoreError,
    },
}

impl BuildRequest<'_> {
    /// Looks at the inputs and says what to do.
    pub fn plan(&self) -> Result<BuildStep, BuildError> {
        let service = &self.service.name;
        if self.service.build == Build::None {
            let built = Built { path_prefix: Vec::new(), skipped: true, inputs: None };
            return Ok(BuildStep::Skip(built));
        }
        let real = |path: &Path| {
            path.canonicalize().map_err(|source| BuildError::Folder {
                service: service.clone(),
                folder: path.display().to_string(),
                source,
            })
        };
        let base = real(self.directory)?;
        let folder = real(&self.directory.join(&self.service.path))?;
        let stamp = Stamp::read(self.store);
        let (store, conditions) = (self.store, self.conditions);
        let source = Source { service, base: &base, folder: &folder, store, conditions };
        let by = |preset: &'static str, recipe: Result<Recipe, String>| {
            recipe.map_err(|why| BuildError::Preset { service: service.clone(), preset, why })
        };
        let recipe = match &self.service.build {
            Build::Node => by("node", preset::node(&folder))?,
            Build::Python => by("python", preset::python(&folder))?,
            Build::Command { fetch, run, keep, .. } => {
                let (fetch, run, keep) = (fetch.clone(), run.clone(), keep.clone());
                Recipe { fetch, run, keep, programs: None }
            }
            Build::Cargo | Build::None => return cargo::plan(&source, stamp),
        };
        command::plan(&source, recipe, stamp)
    }
}

/// Where a build takes place.
struct Source<'a> {
    service: &'a Name,
    /// The folder of the manifest, to which paths are named relative.
    base: &'a Path,
    folder: &'a Path,
    store: &'a Path,
    conditions: &'a Conditions,
}

impl Source<'_> {
    fn run(&self, fetch: Option<Vec<String>>, argv: Vec<String>, method: Method) -> BuildStep {
        // The developer's own work, with the developer's own tools.
        let plan = |argv| {
            let (mut env, cwd) = (environment(), self.folder.to_owned());
            self.conditions.overlay(&mut env);
            CommandPlan { argv, env, cwd, confinement: None }
        };
        BuildStep::Run(Box::new(RunningBuild {
            service: self.service.clone(),
            fetch: fetch.map(|argv| plan(self.conditions.around(argv))),
            command: plan(argv),
            store: self.store.to_owned(),
            transcript: Transcript::default(),
            method,
            spared: Vec::new(),
        }))
    }

    fn unreadable(&self) -> impl Fn(InputError) -> BuildError {
        unreadable(self.service)
    }
}

impl RunningBuild {
    /// What to run before, with the network; there is such a step only where the network is
    /// cut afterwards.
    pub fn fetch(&self) -> Option<&CommandPlan> {
        self.fetch.as_ref()
    }

    /// The error of a fetch step that did not succeed.
    pub fn not_fetched(self, exit: Exit) -> BuildError {
        BuildError::Failed {
            command: match &self.method {
                Method::Cargo(_) => "cargo fetch".to_owned(),
                Method::Command(build) => build.fetch().to_owned(),
            },
            service: self.service,
            exit: exit.to_string(),
            output: self.transcript.into_text(),
        }
    }

    /// Programs that earlier builds have put into these folders run still, and stay.
    pub fn spare(&mut self, in_use: &[PathBuf]) {
        self.spared = in_use.to_vec();
    }

    /// What to run.
    pub fn command(&self) -> &CommandPlan {
        &self.command
    }

    /// Takes a line of the output, without its line feed and in full: those that Cargo
    /// writes for programs may be longer than any a person would read.
    pub fn observe(&mut self, stream: LogStream, line: &str) -> Option<Progress> {
        let progress = match &mut self.method {
            Method::Cargo(build) => build.observe(stream, line),
            Method::Command(_) => Some(Progress::Line(line.to_owned())),
        };
        if let Some(Progress::Line(line)) = &progress {
            self.transcript.push(line);
        }
        progress
    }

    /// To be called when the command has ended and all of its output was observed.
    pub fn finish(self, exit: Exit) -> Result<Built, BuildError> {
        if !exit.is_success() {
            return Err(BuildError::Failed {
                service: self.service,
                command: self.method.name(),
                exit: exit.to_string(),
                output: self.transcript.into_text(),
            });
        }
        match self.method {
            Method::Cargo(build) => build.finish(&self.service, &self.store, &self.spared),
            Method::Command(build) => build.finish(&self.service, &self.store, self.transcript),
        }
    }
}

impl Method {
    fn name(&self) -> String {
        match self {
            Self::Cargo(_) => "cargo build --release".to_owned(),
            Self::Command(build) => build.run().to_owned(),
        }
    }
}

/// The caller's variables, without those that `cargo run` sets for the program it
/// runs: build scripts of some packages would take each for a change and run again.
/// Variables that are not UTF-8 are left out.
fn environment() -> BTreeMap<String, String> {
    let of_cargo_run = |name: &str| {
        name.starts_with("CARGO_PKG_")
            || matches!(
                name,
                "CARGO"
                    | "CARGO_MANIFEST_DIR"
                    | "CARGO_MANIFEST_PATH"
                    | "CARGO_BIN_NAME"
                    | "CARGO_CRATE_NAME"
                    | "CARGO_PRIMARY_PACKAGE"
                    | "OUT_DIR"
            )
    };
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(name, _)| !of_cargo_run(name))
        .collect()
}

fn unreadable(service: &Name) -> impl Fn(InputError) -> BuildError {
    |source| BuildError::Inputs { service: service.clone(), source }
}

fn not_kept(service: &Name) -> impl Fn(StoreError) -> BuildError {
    |source| BuildError::Store { service: service.clone(), source }
}
