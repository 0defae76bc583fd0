//! What is to be audited: a command, or processes of the system of a folder.

use std::collections::BTreeMap;
use std::path::PathBuf;

use updraft_audit::{Audit, BuiltSystem, Dependency, DependencyKind, Deploy, Serves, Subject};
use updraft_engine::{Attachments, StateDir};
use updraft_system::{ConfigKey, Name, Process, Resource, Service, System};

use super::args::{CheckArgs, KeyOption, NeedOption};
use super::deploys;
use super::not_built;
use crate::failure::{Class, Failure};
use crate::global::Global;
use crate::names;
use crate::output;
use crate::progress::Progress;
use crate::system_dir::SystemDir;

/// What is to be audited.
pub(super) enum Selected {
    /// A command, in this folder.
    Command(PathBuf),
    /// Processes of a system.
    Processes { system: Box<System>, directory: PathBuf, wanted: Vec<(Name, Name)> },
    /// Nothing: the audit itself.
    Nothing,
}

impl Selected {
    /// Finds the manifest where one is needed, and every name in it.
    pub(super) fn find(global: &Global, args: &CheckArgs) -> Result<Self, Failure> {
        if args.self_test {
            return Ok(Self::Nothing);
        }
        if !args.command.is_empty() {
            let folder = global.directory.canonicalize().map_err(|error| {
                Failure::usage(format!("no folder {}", global.directory.display())).because(&error)
            })?;
            return Ok(Self::Command(folder));
        }
        let dir = SystemDir::find(&global.directory).map_err(|failure| match failure {
            failure @ Failure::Said(_) => {
                failure.help("a program without a manifest is audited by `updraft check -- CMD`")
            }
            failure => failure,
        })?;
        let system = Box::new(dir.system()?);
        let wanted = wanted(&system, args)?;
        Ok(Self::Processes { system, directory: dir.directory, wanted })
    }

    /// The system, where there is one.
    pub(super) fn system(&self) -> Option<&System> {
        match self {
            Self::Processes { system, .. } => Some(system),
            Self::Command(_) | Self::Nothing => None,
        }
    }

    /// The schemes of the addresses of resources that are somewhere else.
    pub(super) fn attached(&self) -> Result<BTreeMap<Name, String>, Failure> {
        let Self::Processes { system, directory, .. } = self else { return Ok(BTreeMap::new()) };
        let state = StateDir::locate(&system.name, directory)
            .map_err(|error| Failure::from_error(Class::Environment, &error))?;
        let attached = Attachments::load(state.root())
            .map_err(|error| Failure::from_error(Class::Environment, &error))?;
        let scheme = |name: &Name| Some((name.clone(), attached.get(name)?.scheme()));
        Ok(system.resources.keys().filter_map(scheme).collect())
    }

    /// What runs in the deploys of the system, or why that cannot be read.
    pub(super) fn deploys(&self) -> Result<Vec<Deploy>, String> {
        match self {
            Self::Processes { system, directory, .. } => deploys::known(system, directory),
            Self::Command(_) | Self::Nothing => Ok(Vec::new()),
        }
    }

    /// The programs, built.
    pub(super) async fn subjects(
        self,
        audit: &Audit,
        args: &CheckArgs,
        progress: &mut Progress,
    ) -> Result<Vec<Subject>, Failure> {
        let (system, directory, wanted) = match self {
            Self::Nothing => return Ok(Vec::new()),
            Self::Command(folder) => return Ok(vec![command(folder, args)]),
            Self::Processes { system, directory, wanted } => (system, directory, wanted),
        };
        let services: Vec<_> = wanted.iter().map(|(service, _)| service.clone()).collect();
        let shown = std::cell::RefCell::new(progress);
        let told = |service: &Name, step: updraft_engine::Progress| match step {
            updraft_engine::Progress::Step { text, .. } => {
                shown.borrow_mut().show(&format!("building {service}: {text}"));
            }
            updraft_engine::Progress::Line(line) if !shown.borrow().moves() => output::say(line),
            updraft_engine::Progress::Line(_) => {}
        };
        let built = audit.build(&system, &directory, &services, told).await;
        let built = built.map_err(|error| not_built(&error))?;
        wanted.iter().filter_map(|(service, process)| one(&built, service, process)).collect()
    }
}

fn one(built: &BuiltSystem, service: &Name, process: &Name) -> Option<Result<Subject, Failure>> {
    let service = built.system.services.get(service)?;
    let subject = built.subject(service, service.processes.get(process)?);
    Some(subject.map_err(|error| Failure::from_error(Class::Usage, &error)))
}

fn wanted(system: &System, args: &CheckArgs) -> Result<Vec<(Name, Name)>, Failure> {
    let pair = |service: &Service, process: &Process| (service.name.clone(), process.name.clone());
    let all = |service: &Service| {
        service.processes.values().map(|process| pair(service, process)).collect::<Vec<_>>()
    };
    if args.names.is_empty() {
        return Ok(system.services.values().flat_map(all).collect());
    }
    let mut wanted = Vec::new();
    for name in &args.names {
        let service = names::service(system, &name.service)
            .map_err(|error| Failure::from_error(Class::Usage, &error))?;
        match &name.process {
            None => wanted.extend(all(service)),
            Some(process) => {
                names::process(system, &name.service, process)
                    .map_err(|error| Failure::from_error(Class::Usage, &error))?;
                wanted.push((name.service.clone(), process.clone()));
            }
        }
    }
    wanted.sort();
    wanted.dedup();
    Ok(wanted)
}

/// A command gets the base of the caller's environment and what the command line adds.
fn command(folder: PathBuf, args: &CheckArgs) -> Subject {
    let known = &args.known;
    let mut environment = updraft_engine::environment::base();
    environment.extend(known.env.iter().map(|pair| (pair.name.clone(), pair.value.clone())));
    let mut subject = Subject::command(args.command.clone(), folder, environment);
    subject.port_variable.clone_from(&known.port_variable);
    subject.ready.clone_from(&known.path);
    subject.live.clone_from(&known.live);
    subject.api.clone_from(&known.api);
    subject.slow.clone_from(&known.slow);
    subject.grace = known.grace.unwrap_or(subject.grace);
    if known.worker {
        subject.serves = Serves::Nothing;
    }
    let needs = known.need.iter().enumerate();
    subject.needs = needs.filter_map(|(at, need)| dependency(at, need)).collect();
    let key = |key: &KeyOption| {
        (key.variable.clone(), ConfigKey { shape: key.shape.clone(), default: None })
    };
    subject.config = known.config.iter().map(key).collect();
    subject.journey = known.journey.as_ref().map(|one| one.0.clone()).unwrap_or_default();
    subject
}

fn dependency(at: usize, need: &NeedOption) -> Option<Dependency> {
    let name: Name = format!("need-{at}").parse().ok()?;
    let resource = Resource { name: name.clone(), kind: need.kind.clone() };
    let kind = DependencyKind::Resource(resource);
    Some(Dependency { name, variables: vec![need.variable.clone()], kind })
}
