//! Values for the contract of a program's configuration: right ones, other right ones, wrong
//! ones; and what becomes of a program that is started without or with a wrong one.

use std::time::Duration;

use updraft_system::{ConfigKey, ConfigType};

use super::{Bench, unready};
use crate::lab::{Ended, Setup, Unstartable};
use crate::report::Moment;
use crate::seen::Seen;
use crate::subject::{Serves, Subject};

/// How long the last lines of a program that has ended may take to be read.
const LAST_LINES: Duration = Duration::from_millis(500);
/// The shortest name that is looked for without regard to how words are put together.
const LOOSE_NAME_MIN: usize = 6;

/// For probes that need a contract.
pub(super) fn declared(subject: &Subject) -> Result<(), Seen> {
    if subject.config.is_empty() {
        return Err(Seen::unknown(
            "no contract of its configuration is known: declare it in [service.NAME.config]",
        ));
    }
    Ok(())
}

/// A value that the contract allows, made up.
pub(super) fn valid(name: &str, key: &ConfigKey) -> String {
    key.default.clone().unwrap_or_else(|| candidates(name, &key.shape).swap_remove(0))
}

/// Another value that the contract allows; `None`: there is no other.
pub(super) fn other(name: &str, key: &ConfigKey, given: &str) -> Option<String> {
    let fits = |value: &String| value != given && key.shape.check(value).is_ok();
    candidates(name, &key.shape).into_iter().find(fits)
}

/// A value that no reader of this type can take for one; `None`: any text is right.
pub(super) fn malformed(shape: &ConfigType) -> Option<&'static str> {
    match shape {
        ConfigType::String | ConfigType::Secret => None,
        // Refused by parsers, which take "not a url" for a relative reference, and by those who
        // only look for a scheme.
        ConfigType::Url => Some("//[not a url"),
        _ => Some("not-a-value!"),
    }
}

/// A secret that stands nowhere else.
pub(super) fn canary(name: &str) -> String {
    let random: String = std::iter::repeat_with(fastrand::alphanumeric).take(24).collect();
    format!("canary-{}-{random}", name.to_ascii_lowercase().replace('_', "-"))
}

/// Right values by type, the most harmless first. Never empty.
fn candidates(name: &str, shape: &ConfigType) -> Vec<String> {
    let texts = |all: &[&str]| all.iter().map(|text| (*text).to_owned()).collect();
    match shape {
        ConfigType::String => texts(&["one", "two"]),
        ConfigType::Secret => vec![canary(name), canary(name)],
        ConfigType::Url => texts(&["http://one.localhost/", "http://two.localhost/"]),
        ConfigType::Bool => texts(&["true", "false"]),
        ConfigType::Int { min, max } => {
            let low = min.or(max.map(|max| max.min(1))).unwrap_or(1);
            let high = low.saturating_add(1).min(max.unwrap_or(i64::MAX));
            vec![low.to_string(), high.to_string()]
        }
        ConfigType::Float { min, max } => {
            let low = min.or(max.map(|max| max.min(0.5))).unwrap_or(0.5);
            let high = max.map_or(low + 1.0, |max| f64::midpoint(low, max));
            vec![low.to_string(), high.to_string()]
        }
        ConfigType::Duration => texts(&["10s", "20s"]),
        ConfigType::OneOf { values } if values.is_empty() => texts(&["one"]),
        ConfigType::OneOf { values } => values.clone(),
    }
}

/// A program with made-up values where its configuration requires one and nobody gave it.
pub(crate) fn completed(subject: &Subject) -> Subject {
    let mut subject = subject.clone();
    for (name, key) in subject.config.iter().filter(|(_, key)| key.default.is_none()) {
        subject.environment.entry(name.clone()).or_insert_with(|| valid(name, key));
    }
    subject
}

/// The surroundings of the contract's values: those that are given, and made up ones where a
/// variable is required and nobody gave it.
pub(super) fn setup(bench: &Bench) -> Setup {
    let subject = &bench.subject;
    let required = |(_, key): &(&String, &ConfigKey)| key.default.is_none();
    let missing = subject
        .config
        .iter()
        .filter(required)
        .filter(|(name, _)| !subject.environment.contains_key(*name));
    missing.fold(Setup::new(bench.shape), |setup, (name, key)| {
        setup.variable(name, Some(&valid(name, key)))
    })
}

/// The command for a shell with a value for each required variable but for what is changed;
/// `None` takes one away. Secrets are made up, whatever the program was given.
pub(super) fn pasted(bench: &Bench, changes: &[(&str, Option<&str>)]) -> String {
    let subject = &bench.subject;
    let mut words = vec!["env".to_owned()];
    let changed = |name: &str| changes.iter().find(|(own, _)| *own == name);
    for (name, key) in subject.config.iter().filter(|(name, _)| changed(name).is_none()) {
        let given = subject.environment.get(name).filter(|_| !key.shape.is_secret());
        let value = given.cloned().or_else(|| key.default.is_none().then(|| valid(name, key)));
        words.extend(value.map(|value| format!("{name}={value}")));
    }
    for (name, value) in changes {
        match value {
            Some(value) => words.push(format!("{name}={value}")),
            None => drop(words.splice(1..1, ["-u".to_owned(), (*name).to_owned()])),
        }
    }
    words.extend(["sh".to_owned(), "-c".to_owned(), bench.pasted(8080)]);
    shell_words::join(words)
}

/// What became of a program whose configuration breaks its contract.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It ended by itself; whether with a word on the variable.
    Ended { how: Ended, named: bool },
    /// It is ready, or works on.
    Ready,
    /// It neither ended nor became ready in this time.
    Hung(Duration),
    /// It could not be seen.
    Unseen(String),
}

/// Starts it so and sees what becomes of it.
pub(super) async fn fate(bench: &Bench, setup: &Setup, variable: &str) -> (Fate, Vec<Moment>) {
    let mut running = match bench.lab.launch(&bench.subject, setup).await {
        Ok(running) => running,
        Err(error) => return (Fate::Unseen(unready(&error)), Vec::new()),
    };
    // A program that serves nothing is never seen to be ready: it has the time of its start.
    let within = bench.limit(bench.subject.startup);
    let fate = if bench.subject.serves == Serves::Nothing {
        running.ended(within).await.map_or(Fate::Ready, |how| Fate::Ended { how, named: false })
    } else {
        match running.ready(within).await {
            Ok(()) => Fate::Ready,
            Err(Unstartable::Ended { .. }) => match running.ended(Duration::ZERO).await {
                Some(how) => Fate::Ended { how, named: false },
                None => Fate::Unseen("nobody knows how it ended".to_owned()),
            },
            Err(Unstartable::NotReady { within, .. }) => Fate::Hung(within),
            Err(error) => Fate::Unseen(unready(&error)),
        }
    };
    let fate = match fate {
        Fate::Ended { how, .. } => {
            let named = |text: &str| names(text, variable);
            let line = running.output().line(bench.limit(LAST_LINES), |line| named(&line.text));
            Fate::Ended { how, named: line.await.is_some() }
        }
        other => other,
    };
    (fate, running.end().await)
}

/// Whether a line names a variable, as it is or as libraries write its words: `page_size`,
/// `pageSize`, `--page-size`.
pub(super) fn names(line: &str, variable: &str) -> bool {
    let loose = |text: &str| -> String {
        let kept = text.chars().filter(|c| c.is_ascii_alphanumeric());
        kept.map(|c| c.to_ascii_lowercase()).collect()
    };
    let name = loose(variable);
    let is_part = |c: char| !(c.is_ascii_alphanumeric() || c == '_');
    line.split(is_part).any(|word| word.eq_ignore_ascii_case(variable))
        || (name.len() >= LOOSE_NAME_MIN && loose(line).contains(&name))
}

/// What follows from the fates of a program, each with a sentence on what was done to its
/// configuration. Nothing that ought to have stopped it did: that weighs most.
pub(super) fn judged(fates: &[(String, Fate)], all_well: String) -> Seen {
    let told = |fits: fn(&Fate) -> bool| -> Vec<String> {
        let fitting = fates.iter().filter(|(_, fate)| fits(fate));
        fitting.map(|(what, fate)| format!("{what} {fate}")).collect()
    };
    let failed = told(|fate| matches!(fate, Fate::Ready | Fate::Hung(_)));
    if !failed.is_empty() {
        return Seen::fail(failed.join("; "));
    }
    let unseen = told(|fate| matches!(fate, Fate::Unseen(_)));
    if !unseen.is_empty() {
        return Seen::unknown(unseen.join("; "));
    }
    let orderly = |how: &Ended| matches!(how, Ended::Code(1..));
    let harmed: Vec<_> = fates
        .iter()
        .filter(|(_, fate)| !matches!(fate, Fate::Ended { how, named: true } if orderly(how)))
        .map(|(what, fate)| format!("{what} {fate}"))
        .collect();
    if harmed.is_empty() { Seen::pass(all_well) } else { Seen::warn(harmed.join("; ")) }
}

impl std::fmt::Display for Fate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Ended { how, named: true } => write!(f, "it ends and names it ({how})"),
            Self::Ended { how, named: false } => {
                write!(f, "it ends without a word on which variable is wrong ({how})")
            }
            Self::Ready => f.write_str("it runs as if nothing were wrong"),
            Self::Hung(within) => {
                write!(f, "it neither ends nor is ready within {:.1} s", within.as_secs_f64())
            }
            Self::Unseen(why) => f.write_str(why),
        }
    }
}

#[cfg(test)]
#[path = "contract_tests.rs"]
mod tests;
