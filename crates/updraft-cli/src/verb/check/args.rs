//! The words of `updraft check`.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, ValueEnum};
use updraft_audit::{
    Factor, Feature, InvalidJourney, PROBES, ProbeId, Shape, Step, journey_from_json,
};
use updraft_system::audit::Ask;
use updraft_system::{ConfigType, Name, ResourceKind};

use crate::failure::Failure;

/// Audit programs against the twelve factors
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  updraft check -- node server.js      any program, without a manifest
  updraft check                        every process of the system of this folder
  updraft check api.web --quick        one process, within 15 s
  updraft check --format html -o report.html
  updraft check --only IX.drain --slow 'GET /reports' -- ./server
  updraft check --need DATABASE_URL=postgres -- gunicorn app:app

The program is run many times in copies of its folder, with throw-away resources and without
any other network, and gets what a platform does to it. What could not be seen is `unknown`, never a pass; `updraft explain
ID` tells about a probe. Exit codes: 0 nothing failed, 1 something did, 2 the command line or
the manifest is wrong, 3 something is unknown and --strict was given, 4 this machine lacks
something.")]
pub(crate) struct CheckArgs {
    /// What to audit: `service` or `service.process`; all where none is named
    #[arg(value_name = "SERVICE[.PROCESS]", conflicts_with = "command")]
    pub(super) names: Vec<Selector>,
    /// A program and its arguments, instead of what a manifest says
    #[arg(last = true, value_name = "CMD")]
    pub(super) command: Vec<String>,
    /// Ask the probes that find most, within 15 seconds
    #[arg(long)]
    pub(super) quick: bool,
    /// Ask these only: probes such as IX.drain, or factors such as IX
    #[arg(long, value_name = "ID|FACTOR", value_delimiter = ',')]
    pub(super) only: Vec<String>,
    /// Exit with 3 when something is unknown
    #[arg(long)]
    pub(super) strict: bool,
    /// Fail only where it is worse than in this earlier report (JSON)
    #[arg(long, value_name = "FILE")]
    pub(super) baseline: Option<PathBuf>,
    /// Write what was measured, for deploys, as TOML
    #[arg(long, value_name = "FILE")]
    pub(super) derive: Option<PathBuf>,
    /// How to write the report
    #[arg(long, value_name = "FORMAT", default_value = "terminal")]
    pub(super) format: Format,
    /// Write the report to this file
    #[arg(short, long, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,
    /// How many copies run at a time
    #[arg(long, value_name = "N")]
    pub(super) lanes: Option<NonZeroUsize>,
    /// As what the program runs: child of a supervisor, first process of a container
    #[arg(long, value_name = "SHAPE", default_value = "both")]
    pub(super) shape: ShapeChoice,
    /// Let programs reach what this machine reaches, and not only what they are given
    #[arg(long)]
    pub(super) allow_egress: bool,
    /// Do without something, as on a machine that does not have it
    #[arg(long, value_name = "FEATURE", value_delimiter = ',')]
    pub(super) without: Vec<FeatureName>,
    /// Show what each probe says of programs of Updraft's own whose verdicts are known
    #[arg(long, conflicts_with_all = ["command", "names", "baseline", "derive"])]
    pub(super) self_test: bool,
    #[command(flatten)]
    pub(super) known: Known,
}

/// What is known of a program that has no manifest.
#[derive(Debug, Args)]
#[command(next_help_heading = "Options of a program without a manifest")]
pub(crate) struct Known {
    /// The variable it learns its port from
    #[arg(long, value_name = "NAME", default_value = "PORT")]
    pub(super) port_variable: String,
    /// The path that says whether it is ready
    #[arg(long, value_name = "PATH")]
    #[arg(alias = "ready")]
    pub(super) path: Option<String>,
    /// The path that says whether it lives
    #[arg(long, value_name = "PATH")]
    pub(super) live: Option<String>,
    /// The file of its contract, an OpenAPI document, relative to the folder it runs in
    #[arg(long, value_name = "FILE")]
    pub(super) api: Option<PathBuf>,
    /// A request that takes a second or more, such as `GET /reports`
    #[arg(long, value_name = "REQUEST")]
    pub(super) slow: Option<Ask>,
    /// Set a variable
    #[arg(long, value_name = "NAME=VALUE")]
    pub(super) env: Vec<Assignment>,
    /// Give it a throw-away resource: sql, cache, queue, blob, postgres, redis or nats
    #[arg(long, value_name = "VARIABLE=KIND")]
    pub(super) need: Vec<NeedOption>,
    /// A required variable of its configuration: string, secret, url, bool, int, float,
    /// duration, or words such as a|b
    #[arg(long, value_name = "VARIABLE=TYPE")]
    pub(super) config: Vec<KeyOption>,
    /// What a client does with it: a JSON array of steps, as `journey` of the manifest
    #[arg(long, value_name = "JSON", value_parser = journey)]
    pub(super) journey: Option<Journey>,
    /// From SIGTERM to SIGKILL
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(super) grace: Option<std::time::Duration>,
    /// It serves nothing on a port
    #[arg(long)]
    pub(super) worker: bool,
}

fn duration(text: &str) -> Result<std::time::Duration, String> {
    updraft_system::duration::parse(text).map_err(|error| error.to_string())
}

/// What a client does with a program.
#[derive(Clone, Debug)]
pub(crate) struct Journey(pub(super) Vec<Step>);

fn journey(text: &str) -> Result<Journey, InvalidJourney> {
    journey_from_json(text).map(Journey)
}

/// `VARIABLE=TYPE`.
#[derive(Clone, Debug)]
pub(crate) struct KeyOption {
    pub(super) variable: String,
    pub(super) shape: ConfigType,
}

/// A text is no variable with its type.
#[derive(Debug, thiserror::Error)]
#[error("write it as VARIABLE=TYPE, such as PAGE_SIZE=int or LEVEL=debug|info")]
pub(crate) struct InvalidKey;

impl FromStr for KeyOption {
    type Err = InvalidKey;

    fn from_str(text: &str) -> Result<Self, InvalidKey> {
        let Assignment { name, value } = text.parse().ok().ok_or(InvalidKey)?;
        let shape = match value.as_str() {
            "string" => ConfigType::String,
            "secret" => ConfigType::Secret,
            "url" => ConfigType::Url,
            "bool" => ConfigType::Bool,
            "int" => ConfigType::Int { min: None, max: None },
            "float" => ConfigType::Float { min: None, max: None },
            "duration" => ConfigType::Duration,
            words if words.contains('|') => {
                ConfigType::OneOf { values: words.split('|').map(str::to_owned).collect() }
            }
            _ => return Err(InvalidKey),
        };
        Ok(Self { variable: name, shape })
    }
}

/// `service` or `service.process`.
#[derive(Clone, Debug)]
pub(crate) struct Selector {
    pub(super) service: Name,
    pub(super) process: Option<Name>,
}

/// A text selects nothing.
#[derive(Debug, thiserror::Error)]
#[error("write it as `service` or `service.process`; a command comes behind `--`")]
pub(crate) struct InvalidSelector;

impl FromStr for Selector {
    type Err = InvalidSelector;

    fn from_str(text: &str) -> Result<Self, InvalidSelector> {
        let (service, process) = match text.split_once('.') {
            Some((service, process)) => (service, Some(process)),
            None => (text, None),
        };
        let name = |text: &str| text.parse::<Name>().ok().ok_or(InvalidSelector);
        Ok(Self { service: name(service)?, process: process.map(name).transpose()? })
    }
}

/// `NAME=VALUE`.
#[derive(Clone, Debug)]
pub(crate) struct Assignment {
    pub(super) name: String,
    pub(super) value: String,
}

/// A text is no assignment. It is not repeated: it may hold a secret.
#[derive(Debug, thiserror::Error)]
#[error("write it as NAME=VALUE")]
pub(crate) struct InvalidAssignment;

impl FromStr for Assignment {
    type Err = InvalidAssignment;

    fn from_str(text: &str) -> Result<Self, InvalidAssignment> {
        let (name, value) = text.split_once('=').ok_or(InvalidAssignment)?;
        let sound = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if name.is_empty() || !name.chars().all(sound) {
            return Err(InvalidAssignment);
        }
        Ok(Self { name: name.to_owned(), value: value.to_owned() })
    }
}

/// `VARIABLE=KIND`.
#[derive(Clone, Debug)]
pub(crate) struct NeedOption {
    pub(super) variable: String,
    pub(super) kind: ResourceKind,
}

/// A text names no resource.
#[derive(Debug, thiserror::Error)]
#[error(
    "write it as VARIABLE=KIND, where KIND is sql, cache, queue, blob, postgres, redis or nats"
)]
pub(crate) struct InvalidNeed;

impl FromStr for NeedOption {
    type Err = InvalidNeed;

    fn from_str(text: &str) -> Result<Self, InvalidNeed> {
        let Assignment { name, value } = text.parse().ok().ok_or(InvalidNeed)?;
        let kind = match value.as_str() {
            "sql" => ResourceKind::Sql,
            "cache" => ResourceKind::Cache,
            "queue" => ResourceKind::Queue { on: None, max_attempts: 5 },
            "blob" => ResourceKind::Blob,
            "postgres" => ResourceKind::Postgres { version: None },
            "redis" => ResourceKind::Redis { version: None },
            "nats" => ResourceKind::Nats { version: None },
            _ => return Err(InvalidNeed),
        };
        Ok(Self { variable: name, kind })
    }
}

/// A feature, as it is typed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FeatureName(Feature);

impl FromStr for FeatureName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let typed = |feature: &Feature| feature.as_str().replace(' ', "-");
        let found = Feature::ALL.iter().find(|feature| typed(feature) == text);
        found.map(|feature| Self(*feature)).ok_or_else(|| {
            let all: Vec<_> = Feature::ALL.iter().map(typed).collect();
            format!("it is one of {}", all.join(", "))
        })
    }
}

/// How to write a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    Terminal,
    /// For programs
    Json,
    /// For code scanning (SARIF 2.1.0)
    Sarif,
    /// For CI (JUnit XML)
    Junit,
    /// One page with the timelines drawn
    Html,
}

/// The shapes to judge in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ShapeChoice {
    /// As the child of a supervisor
    Child,
    /// As the first process of a container, which is then the one that counts
    Pid1,
    /// Both; the child counts, the other warns
    Both,
}

impl ShapeChoice {
    pub(super) fn shapes(self) -> Vec<Shape> {
        match self {
            Self::Child => vec![Shape::Child],
            Self::Pid1 => vec![Shape::Pid1],
            Self::Both => vec![Shape::Child, Shape::Pid1],
        }
    }
}

impl CheckArgs {
    pub(super) fn without(&self) -> Vec<Feature> {
        self.without.iter().map(|name| name.0).collect()
    }

    /// How to write the report: `--json` is for all verbs.
    pub(super) fn format(&self, json: bool) -> Format {
        if json && self.format == Format::Terminal { Format::Json } else { self.format }
    }
}

/// The probes of a list of ids and factors.
pub(super) fn probes(only: &[String]) -> Result<Vec<ProbeId>, Failure> {
    let mut wanted = Vec::new();
    for text in only {
        let factor = Factor::ALL.iter().find(|one| one.as_str().eq_ignore_ascii_case(text));
        match (factor, text.parse::<ProbeId>()) {
            (Some(factor), _) => {
                let own = PROBES.iter().filter(|probe| probe.factor == *factor);
                wanted.extend(own.map(|probe| probe.id));
            }
            (None, Ok(id)) => wanted.push(id),
            (None, Err(error)) => {
                let failure = Failure::usage(error.to_string());
                return Err(match error.nearest() {
                    Some(near) => failure.help(format!("did you mean `{near}`?")),
                    None => failure.help("`updraft explain` lists the probes"),
                });
            }
        }
    }
    Ok(wanted)
}
