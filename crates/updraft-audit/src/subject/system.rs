//! The programs of a system as subjects: what its manifest says of them, and no value that
//! differs between deploys.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use updraft_engine::environment::{self, ConfigError, Environment};
use updraft_system::{
    ConfigKey, ConfigType, Name, Need, Probe, ProbeKind, Process, Service, System, Target,
    TaskTrigger,
};

use super::{AdminTask, BOOT, Budget, Building, Dependency, DependencyKind, Jobs, Serves, Subject};
use crate::verdict::Shape;

/// How deep services that need each other are run for one that is judged.
const PEERS_DEEP: usize = 4;
/// How long a program may take to be ready, where nobody says.
const STARTUP: Duration = Duration::from_secs(5);
/// How long all builds that are made to be compared may take together.
const BUILDS: Duration = Duration::from_secs(60);

/// A system whose services are built.
#[derive(Clone, Debug)]
pub struct BuiltSystem {
    /// The graph.
    pub system: System,
    /// The folder of its manifest.
    pub directory: PathBuf,
    /// The folders that come first in `PATH`, by service.
    pub paths: BTreeMap<Name, Vec<PathBuf>>,
    /// How each is built.
    builds: BTreeMap<Name, Arc<Building>>,
}

impl BuiltSystem {
    pub(crate) fn new(
        system: &System,
        directory: &Path,
        paths: BTreeMap<Name, Vec<PathBuf>>,
    ) -> Self {
        let budget = Budget::of(BUILDS);
        let building = |service: &Service| {
            let building = Building::new(service.clone(), directory.to_owned(), budget.clone());
            let building = Building { system: Some(system.name.clone()), ..building };
            (service.name.clone(), Arc::new(building))
        };
        let builds = system.services.values().map(building).collect();
        Self { system: system.clone(), directory: directory.to_owned(), paths, builds }
    }

    /// One process of a service.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] when its files of values cannot be read.
    pub fn subject(&self, service: &Service, process: &Process) -> Result<Subject, ConfigError> {
        self.at_depth(service, process, 0)
    }

    fn at_depth(
        &self,
        service: &Service,
        process: &Process,
        depth: usize,
    ) -> Result<Subject, ConfigError> {
        let given = environment::given_values(&self.directory, service)?;
        let config = values(&service.config, &given);
        let nothing = Vec::new();
        let made = Environment {
            system: &self.system,
            service,
            config: &config,
            path_prefix: self.paths.get(&service.name).unwrap_or(&nothing),
            addresses: &BTreeMap::new(),
        };
        let ready = match &process.ready.kind {
            ProbeKind::Http(path) => Some(path.clone()),
            ProbeKind::Tcp | ProbeKind::Log(_) | ProbeKind::Started => None,
        };
        let serves = if process.serves().is_some() || ready.is_some() {
            Serves::Http
        } else {
            Serves::Nothing
        };
        let audit = &process.audit;
        // The journey of a worker is one through its service.
        let jobs = match service.processes.get(&Name::web()) {
            Some(web) if serves == Serves::Nothing && !audit.journey.is_empty() => {
                let web = self.at_depth(service, web, depth)?;
                Some(Jobs::through(web, audit.journey.clone()))
            }
            _ => None,
        };
        Ok(Subject {
            name: format!("{}.{}", service.name, process.name),
            argv: environment::argv(&process.run),
            folder: folder(&self.directory, service),
            environment: made.of(&process.name, 1, None),
            serves,
            port_variable: "PORT".to_owned(),
            ready,
            live: process.live.as_ref().map(|live| live.path.clone()),
            config: service.config.clone(),
            needs: self.needs(service, depth)?,
            slow: audit.slow.clone(),
            journey: if serves == Serves::Http { audit.journey.clone() } else { Vec::new() },
            startup: audit.startup.unwrap_or(STARTUP),
            boot: boot(&process.ready),
            grace: process.stop,
            scratch: audit.scratch.clone(),
            deployed: Shape::Child,
            exclusive: false,
            api: service.api.clone(),
            tasks: tasks(service, &made),
            jobs,
            build: self.builds.get(&service.name).map(Arc::clone),
        })
    }

    fn needs(&self, service: &Service, depth: usize) -> Result<Vec<Dependency>, ConfigError> {
        let databases = service
            .needs
            .iter()
            .filter(|need| environment::is_database(&self.system, &need.target))
            .count();
        let mut needs = Vec::new();
        for need in &service.needs {
            let Some(kind) = self.kind(need, depth)? else { continue };
            let name = need.target.name();
            let mut variables = vec![format!("{}_URL", name.to_env())];
            if databases == 1 && environment::is_database(&self.system, &need.target) {
                variables.push("DATABASE_URL".to_owned());
            }
            needs.push(Dependency { name: name.clone(), variables, kind });
        }
        Ok(needs)
    }

    /// `None`: a peer of peers of peers, which nobody will ask for anything.
    fn kind(&self, need: &Need, depth: usize) -> Result<Option<DependencyKind>, ConfigError> {
        match &need.target {
            Target::Resource(name) => {
                let resource = self.system.resources.get(name).cloned();
                Ok(resource.map(DependencyKind::Resource))
            }
            Target::Service(_) if depth == PEERS_DEEP => Ok(None),
            Target::Service(name) => {
                let peer = self.system.services.get(name);
                let web = peer.and_then(|peer| Some((peer, peer.processes.get(&Name::web())?)));
                let Some((peer, web)) = web else { return Ok(None) };
                let peer = self.at_depth(peer, web, depth + 1)?;
                Ok(Some(DependencyKind::Service(Box::new(peer))))
            }
        }
    }
}

/// The boot budget ends with the first answer only where that is what readiness asks for: what
/// says it by its log, or by a port that opens, is not restarted for a later answer.
fn boot(ready: &Probe) -> Duration {
    match ready.kind {
        ProbeKind::Http(_) => ready.within,
        ProbeKind::Tcp | ProbeKind::Log(_) | ProbeKind::Started => BOOT,
    }
}

fn folder(directory: &Path, service: &Service) -> PathBuf {
    let folder = directory.join(&service.path);
    // `a/.` and `a` are one folder, and an overlay wants its own name.
    folder.canonicalize().unwrap_or(folder)
}

fn tasks(service: &Service, made: &Environment<'_>) -> Vec<AdminTask> {
    let task = |task: &updraft_system::Task| AdminTask {
        name: task.name.clone(),
        argv: environment::argv(&task.run),
        environment: made.of(&task.name, 1, None),
        on_release: task.when == TaskTrigger::Release,
        timeout: task.timeout,
    };
    service.tasks.values().map(task).collect()
}

/// The values that were given, the defaults, and for what is required and not given a sample:
/// an audit needs no secret of anybody.
fn values(
    contract: &BTreeMap<String, ConfigKey>,
    given: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let value = |(name, key): (&String, &ConfigKey)| {
        let sound = given.get(name).filter(|value| key.shape.check(value).is_ok());
        let value = sound.or(key.default.as_ref()).cloned();
        (name.clone(), value.unwrap_or_else(|| sample(&key.shape)))
    };
    contract.iter().map(value).collect()
}

/// A value of this type.
pub(crate) fn sample(shape: &ConfigType) -> String {
    match shape {
        ConfigType::String => "sample".to_owned(),
        ConfigType::Secret => format!("sample-{:016x}", fastrand::u64(..)),
        ConfigType::Url => "http://127.0.0.1:9/".to_owned(),
        ConfigType::Bool => "true".to_owned(),
        ConfigType::Int { min, max } => {
            let number = min.or(max.map(|max| max.min(1))).unwrap_or(1);
            number.to_string()
        }
        ConfigType::Float { min, max } => {
            let number = min.or(max.map(|max| max.min(1.0))).unwrap_or(1.0);
            number.to_string()
        }
        ConfigType::Duration => "1s".to_owned(),
        ConfigType::OneOf { values } => values.first().cloned().unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_is_ready_by_an_answer_has_to_give_one_in_time() {
        let second = Duration::from_secs(1);
        let of = |kind| {
            boot(&Probe { kind, within: second, every: second, timeout: second, failures: 3 })
        };
        assert_eq!(of(ProbeKind::Http("/readyz".to_owned())), second);
        for other in [ProbeKind::Tcp, ProbeKind::Log("ready".to_owned()), ProbeKind::Started] {
            assert_eq!(of(other.clone()), BOOT, "{other:?}");
        }
    }

    #[test]
    fn a_sample_has_its_type() {
        let shapes = [
            ConfigType::String,
            ConfigType::Secret,
            ConfigType::Url,
            ConfigType::Bool,
            ConfigType::Int { min: None, max: None },
            ConfigType::Int { min: Some(3), max: Some(5) },
            ConfigType::Int { min: None, max: Some(-5) },
            ConfigType::Float { min: Some(0.5), max: None },
            ConfigType::Duration,
            ConfigType::OneOf { values: vec!["a".to_owned(), "b".to_owned()] },
        ];
        for shape in shapes {
            assert_eq!(shape.check(&sample(&shape)), Ok(()), "{shape:?}");
        }
    }

    #[test]
    fn what_was_given_is_taken_where_it_has_its_type() {
        let key = |default: Option<&str>| ConfigKey {
            shape: ConfigType::Int { min: Some(1), max: None },
            default: default.map(str::to_owned),
        };
        let contract = [("A", key(None)), ("B", key(Some("7"))), ("C", key(Some("7")))];
        let contract = contract.map(|(name, key)| (name.to_owned(), key)).into();
        let given = [("A", "x"), ("B", "9")].map(|(n, v)| (n.to_owned(), v.to_owned())).into();
        let expected = [("A", "1"), ("B", "9"), ("C", "7")];
        assert_eq!(values(&contract, &given), expected.map(|(n, v)| (n.into(), v.into())).into());
    }
}
