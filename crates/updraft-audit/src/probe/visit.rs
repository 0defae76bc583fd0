//! What is asked of a program to see whether it works: its journey, or what can be found
//! without one; which resources that touches; and how a finding is shown again.

use std::time::Duration;

use updraft_mesh::instrument::Instrument;
use updraft_system::ResourceKind;

use super::Bench;
use crate::catalogue::ProbeId;
use crate::control::site::RESOURCE;
use crate::journey::Client;
use crate::lab::client::Request;
use crate::lab::{Address, Attached, Running};
use crate::seen::Seen;
use crate::subject::steps::journey_to_json;
use crate::subject::{Ask, Dependency, DependencyKind, Serves, Step, Subject};
use crate::verdict::Verdict;

/// How long one request may take where nothing is done to it.
const REQUEST: Duration = Duration::from_secs(5);
/// The same on the slowest machine: what takes longer would take an audit too long.
const REQUEST_MAX: Duration = Duration::from_secs(10);

/// How long one request may take on this machine.
pub(super) fn request_limit(bench: &Bench) -> Duration {
    bench.limit(REQUEST).min(REQUEST_MAX)
}

/// Paths that many programs answer.
const COMMON_PATHS: &[&str] =
    &["/", "/readyz", "/ready", "/health/ready", "/healthz", "/health", "/status"];

/// Something that is asked of a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Visit {
    /// Its whole journey.
    Journey(Vec<Step>),
    /// One page.
    Get(String),
}

impl Visit {
    /// Pays it; the error says what went wrong.
    pub(super) async fn pay(
        &self,
        address: impl Into<Address>,
        within: Duration,
    ) -> Result<(), String> {
        let address = address.into();
        match self {
            Self::Journey(steps) => {
                let walked = Client::new(within).walk(steps, &[address]).await;
                walked.map(drop).map_err(|broken| broken.to_string())
            }
            Self::Get(path) => match Request::get(path).send(address, within).await {
                Ok(answer) if answer.is_success() => Ok(()),
                Ok(answer) => Err(format!("GET {path}: status {}", answer.status)),
                Err(lost) => Err(format!("GET {path}: {lost}")),
            },
        }
    }
}

impl Visit {
    /// Whether this failure says that there is no such page, rather than that it fails.
    pub(super) fn is_missing(&self, why: &str) -> bool {
        matches!(self, Self::Get(_)) && why.contains(": status 4")
    }
}

impl std::fmt::Display for Visit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Journey(_) => f.write_str("its journey"),
            Self::Get(path) => write!(f, "GET {path}"),
        }
    }
}

/// What can be asked of a program, what tells most first.
pub(super) fn candidates(subject: &Subject) -> Vec<Visit> {
    let journey = Some(subject.journey.clone()).filter(|steps| !steps.is_empty());
    let ready = subject.ready.clone().into_iter();
    let paths = ready.chain(COMMON_PATHS.iter().map(|path| (*path).to_owned()));
    let mut all: Vec<_> =
        journey.into_iter().map(Visit::Journey).chain(paths.map(Visit::Get)).collect();
    let mut seen = Vec::new();
    all.retain(|visit| {
        let new = !seen.contains(visit);
        seen.push(visit.clone());
        new
    });
    all
}

/// What has passed towards a resource so far.
pub(super) fn traffic(instrument: &Instrument) -> u64 {
    let counts = instrument.counts();
    counts.messages_to_server + counts.connections_total
}

/// The first visit that works, and works again, and goes to this resource both times.
pub(super) async fn touching(
    bench: &Bench,
    running: &Running,
    instrument: &Instrument,
) -> Option<Visit> {
    for visit in candidates(&bench.subject) {
        let mut touches = true;
        for _ in 0..2 {
            let before = traffic(instrument);
            let paid = visit.pay(running.address(), request_limit(bench)).await;
            touches = touches && paid.is_ok() && traffic(instrument) > before;
        }
        if touches {
            return Some(visit);
        }
    }
    None
}

/// For a resource that cannot be seen from outside.
pub(super) fn without_wire(attached: &Attached) -> Seen {
    Seen::unknown(format!("`{}` is no server here: there is no wire to it", attached.name))
}

/// For a resource that no request goes to.
pub(super) fn untouched(attached: &Attached, subject: &Subject) -> Seen {
    let more = if subject.journey.is_empty() { ": a journey would decide it" } else { "" };
    Seen::unknown(format!("no request that is known goes to `{}`{more}", attached.name))
}

/// For probes that need a resource and requests.
pub(super) fn needs_resources(subject: &Subject) -> Result<(), Seen> {
    if subject.needs.is_empty() {
        return Err(Seen::unknown(
            "no resource of it is known: say which variable holds the address of one \
             (`--need DATABASE_URL=postgres`, or `needs` in the manifest)",
        ));
    }
    Ok(())
}

/// The same for probes that ask by HTTP.
pub(super) fn needs_resources_and_http(subject: &Subject) -> Result<(), Seen> {
    needs_resources(subject)?;
    match subject.serves {
        Serves::Http => Ok(()),
        Serves::Nothing => Err(Seen::unknown(
            "it answers no requests, so that nobody sees from outside whether it works",
        )),
    }
}

/// For probes that need a journey.
pub(super) fn needs_journey(subject: &Subject) -> Result<(), Seen> {
    super::serves_http(subject)?;
    if subject.journey.is_empty() {
        return Err(Seen::unknown("it has no journey: declare one in [check.NAME]"));
    }
    Ok(())
}

/// What is said of several resources at once: the worst of it.
pub(super) fn together(all: Vec<Seen>) -> Seen {
    let rank = |verdict| match verdict {
        Verdict::Fail => 0,
        Verdict::Warn => 1,
        Verdict::Unknown => 2,
        _ => 3,
    };
    let worst = all.iter().map(|seen| seen.verdict).min_by_key(|verdict| rank(*verdict));
    let mut parts = all.into_iter().filter(|seen| Some(seen.verdict) == worst);
    let Some(mut first) = parts.next() else { return Seen::unknown("it has no resource") };
    for part in parts {
        first.evidence = format!("{}; {}", first.evidence, part.evidence);
        first.facts.extend(part.facts);
    }
    first
}

/// One line that shows a finding on a resource again.
pub(super) fn again(bench: &Bench, id: ProbeId) -> String {
    let Subject { folder, ready, live, needs, journey, argv, .. } = &*bench.subject;
    let mut words =
        vec!["updraft".to_owned(), "check".to_owned(), "--only".to_owned(), id.to_string()];
    let option = |name: &str, value: &str| [format!("--{name}"), value.to_owned()];
    for (name, path) in [("ready", ready), ("live", live)] {
        words.extend(path.iter().flat_map(|path| option(name, path)));
    }
    for need in needs {
        let kind = kind(need);
        let all = need.variables.iter();
        words.extend(all.flat_map(|variable| option("need", &format!("{variable}={kind}"))));
    }
    if !journey.is_empty() {
        words.extend(option("journey", &journey_to_json(journey)));
    }
    words.push("--".to_owned());
    words.extend(argv.iter().cloned());
    format!("cd {} && {}", shell_words::quote(&folder.to_string_lossy()), shell_words::join(words))
}

fn kind(need: &Dependency) -> &'static str {
    match &need.kind {
        DependencyKind::Resource(resource) => match resource.kind {
            ResourceKind::Sql => "sql",
            ResourceKind::Cache => "cache",
            ResourceKind::Queue { .. } => "queue",
            ResourceKind::Blob => "blob",
            ResourceKind::Postgres { .. } => "postgres",
            ResourceKind::Redis { .. } => "redis",
            ResourceKind::Nats { .. } => "nats",
        },
        DependencyKind::Service(_) => "service",
        DependencyKind::Echo => "echo",
    }
}

/// A control with a resource, a journey, and paths that say whether it is ready and lives.
pub(super) fn with_resource(subject: &mut Subject) {
    if let Ok(name) = "echo".parse() {
        let variables = vec![RESOURCE.to_owned()];
        subject.needs.push(Dependency { name, variables, kind: DependencyKind::Echo });
    }
    subject.ready = Some("/ready".to_owned());
    subject.live = Some("/live".to_owned());
    let step = |method: &str, json: Option<&str>, expect, matches: &[(&str, &str)]| Step {
        ask: Ask {
            method: method.to_owned(),
            path: "/items/{unique}".to_owned(),
            json: json.map(str::to_owned),
        },
        expect: Some(expect),
        save: std::collections::BTreeMap::new(),
        matches: matches
            .iter()
            .map(|(pointer, value)| ((*pointer).to_owned(), (*value).into()))
            .collect(),
    };
    let write = step("PUT", Some(r#"{"value":"{unique}"}"#), 201, &[]);
    subject.journey = vec![write, step("GET", None, 200, &[("/value", "{unique}")])];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_of_several_resources_is_said_and_unknown_is_never_a_pass() {
        let (pass, warn) = (|| Seen::pass("p"), || Seen::warn("w"));
        let (fail, unknown) = (|| Seen::fail("f"), || Seen::unknown("u"));
        let table = [
            (vec![pass(), pass()], Verdict::Pass, "p; p"),
            (vec![pass(), unknown()], Verdict::Unknown, "u"),
            (vec![unknown(), warn()], Verdict::Warn, "w"),
            (vec![warn(), fail(), unknown()], Verdict::Fail, "f"),
            (vec![], Verdict::Unknown, "it has no resource"),
        ];
        for (all, verdict, evidence) in table {
            let seen = together(all);
            assert_eq!((seen.verdict, seen.evidence.as_str()), (verdict, evidence));
        }
    }

    #[test]
    fn a_journey_tells_more_than_pages_and_no_page_is_asked_twice() {
        let mut subject =
            Subject::command(vec!["x".into()], "/".into(), std::collections::BTreeMap::new());
        subject.ready = Some("/readyz".into());
        let all = candidates(&subject);
        assert_eq!(all[0], Visit::Get("/readyz".into()));
        assert_eq!(all.iter().filter(|visit| **visit == all[0]).count(), 1);
        with_resource(&mut subject);
        assert!(matches!(candidates(&subject)[0], Visit::Journey(_)));
    }
}
