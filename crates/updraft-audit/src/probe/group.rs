//! `III.group`: no single variable switches the program as a whole, such as `NODE_ENV`. The
//! program is run with the names of two environments, and its answers are compared.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use super::contract::setup;
use super::visit::request_limit;
use super::{Bench, Control, Dynamic, Looking, always};
use crate::catalogue::ProbeId;
use crate::control::Behaviour;
use crate::journey::Client;
use crate::lab::client::Request;
use crate::lab::{Running, Setup};
use crate::report::Moment;
use crate::seen::Seen;
use crate::subject::Serves;
use crate::verdict::Verdict;

/// Variables that name an environment as a whole.
const VARIABLES: &[&str] = &[
    "NODE_ENV",
    "RAILS_ENV",
    "RACK_ENV",
    "APP_ENV",
    "FLASK_ENV",
    "GO_ENV",
    "DEPLOY_ENV",
    "ENVIRONMENT",
    "ASPNETCORE_ENVIRONMENT",
    "DOTNET_ENVIRONMENT",
];
/// What is asked of each copy.
const PATHS: &[&str] = &["/", "/no-such-page-here", "/%ff", "/healthz"];
/// The largest source that is searched, in bytes, how many of them, and how deep.
const SOURCE_BYTES_MAX: u64 = 256 * 1024;
const SOURCES_MAX: usize = 2000;
const DEPTH_MAX: usize = 5;
/// What has written nothing for so long has written all; it is waited for a few times.
const SETTLED: Duration = Duration::from_millis(200);
const SETTLES_MAX: usize = 5;
/// The most differences that are told.
const TOLD_MAX: usize = 3;

pub(super) const GROUP: Dynamic = Dynamic {
    id: ProbeId::IiiGroup,
    applies: always,
    look: |bench| -> Looking { Box::pin(look(bench)) },
    needs: &[],
    controls: &[
        Control::new(&[Behaviour::Good], Verdict::Pass),
        Control::new(&[Behaviour::EnvironmentName], Verdict::Warn),
    ],
};

async fn look(bench: Bench) -> Seen {
    let (first, second, third, fourth) = tokio::join!(
        named(&bench, "production"),
        named(&bench, "production"),
        named(&bench, "development"),
        named(&bench, "development")
    );
    let ((first, _), (second, _)) = match (first, second) {
        (Ok(first), Ok(second)) => (first, second),
        (Err(seen), _) | (_, Err(seen)) => return seen,
    };
    let ((third, timeline), (fourth, _)) = match (third, fourth) {
        (Ok(third), Ok(fourth)) => (third, fourth),
        (Err(seen), Err(_)) => {
            return Seen::warn(format!(
                "named `development` instead of `production` it does not start: {}",
                seen.evidence
            ));
        }
        (Err(seen), _) | (_, Err(seen)) => return seen,
    };
    let known = known(&bench.subject.folder);
    let mut seen = judged(&differing([&first, &second], [&third, &fourth]), &known);
    if let Some(name) = known.first().or(Some(&VARIABLES[0].to_owned())) {
        let line = super::contract::pasted(&bench, &[(name, Some("development"))]);
        seen = seen.reproduced_by(format!("{line} # and again with production"));
    }
    seen.timeline = timeline;
    seen
}

async fn named(bench: &Bench, environment: &str) -> Result<(Ways, Vec<Moment>), Seen> {
    let setup =
        VARIABLES.iter().fold(setup(bench), |setup, name| setup.variable(name, Some(environment)));
    ways(bench, &setup, environment).await
}

/// How a program behaves: its answers by what was asked, and the kinds of lines it wrote.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Ways {
    answers: Vec<(String, String)>,
    lines: BTreeSet<String>,
}

/// How it behaves in given surroundings, whatever its environment is called there.
pub(super) async fn ways(
    bench: &Bench,
    setup: &Setup,
    environment: &str,
) -> Result<(Ways, Vec<Moment>), Seen> {
    let running = bench.start_with(setup).await?;
    let mut ways = Ways::default();
    if bench.subject.serves == Serves::Http {
        for path in PATHS {
            let answer = Request::get(path).send(running.address(), request_limit(bench)).await;
            let told = match answer {
                Ok(answer) => format!("{} {}", answer.status, plain(&answer.text(), environment)),
                Err(_) => "no answer".to_owned(),
            };
            ways.answers.push((format!("GET {path}"), told));
        }
        let journey = &bench.subject.journey;
        let walked = Client::new(request_limit(bench)).walk(journey, &[running.address()]).await;
        let told = walked.map_or_else(|broken| broken.to_string(), |_| "works".to_owned());
        ways.answers.push(("its journey".to_owned(), plain(&told, environment)));
    }
    settled(&running, bench.limit(SETTLED)).await;
    ways.lines = running.output().all().iter().map(|it| plain(&it.text, environment)).collect();
    Ok((ways, running.end().await))
}

/// Waits until nothing more is written.
async fn settled(running: &Running, quiet: Duration) {
    for _ in 0..SETTLES_MAX {
        let before = running.output().all().len();
        tokio::time::sleep(quiet).await;
        if running.output().all().len() == before {
            return;
        }
    }
}

impl Ways {
    /// What differs in the answers of another, and not in those of one that should be the same.
    pub(super) fn other_answers(&self, same: &Self, other: &Self) -> Vec<String> {
        let pairs = self.answers.iter().zip(same.answers.iter().zip(&other.answers));
        let differs =
            pairs.filter(|((_, one), ((_, same), (_, other)))| one == same && one != other);
        differs.map(|((asked, _), _)| format!("the answer to {asked}")).collect()
    }
}

/// A text without what differs from one run to the next: numbers, and the name that was given.
fn plain(text: &str, environment: &str) -> String {
    let text = text.replace(environment, "‹name›");
    let mut plain = String::new();
    for c in text.chars() {
        match (c.is_ascii_digit(), plain.ends_with('#')) {
            (true, true) => {}
            (true, false) => plain.push('#'),
            (false, _) => plain.push(c),
        }
    }
    plain
}

/// What differs with the name, and not without it.
fn differing(one: [&Ways; 2], other: [&Ways; 2]) -> Vec<String> {
    let mut all = one[0].other_answers(one[1], other[0]);
    let again = one[0].other_answers(one[1], other[1]);
    all.retain(|answer| again.contains(answer));
    let steady = |both: [&Ways; 2]| both[0].lines == both[1].lines;
    if steady(one)
        && steady(other)
        && let Some(line) = one[0].lines.symmetric_difference(&other[0].lines).next()
    {
        all.push(format!("the line `{}`", line.chars().take(120).collect::<String>()));
    }
    all
}

fn judged(differing: &[String], known: &[String]) -> Seen {
    let named = if known.is_empty() {
        String::new()
    } else {
        format!(" (its sources name {})", known.join(", "))
    };
    if differing.is_empty() {
        return Seen::pass(format!(
            "it answers and says the same, whether its environment is named production or \
             development{named}"
        ));
    }
    let told: Vec<_> = differing.iter().take(TOLD_MAX).cloned().collect();
    Seen::warn(format!(
        "the name of its environment alone, production or development, changes {}{named}",
        told.join(", ")
    ))
    .listing("variables", known.to_vec())
}

/// Those of the variables that the sources of a program name.
fn known(folder: &Path) -> Vec<String> {
    let (mut found, mut left) = (BTreeSet::new(), SOURCES_MAX);
    search(folder, 0, &mut left, &mut found);
    found.into_iter().collect()
}

fn search(folder: &Path, depth: usize, left: &mut usize, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let (Ok(kind), name) = (entry.file_type(), entry.file_name()) else { continue };
        let skipped = [".git", "node_modules", ".venv", "venv", "target", "vendor"];
        if kind.is_dir() && depth < DEPTH_MAX && !skipped.iter().any(|skip| name == *skip) {
            search(&entry.path(), depth + 1, left, found);
        } else if kind.is_file() && *left > 0 {
            *left -= 1;
            let small = entry.metadata().is_ok_and(|it| it.len() <= SOURCE_BYTES_MAX);
            let text = small.then(|| fs::read_to_string(entry.path()).ok()).flatten();
            let text = text.unwrap_or_default();
            found.extend(
                VARIABLES
                    .iter()
                    .filter(|name| text.contains(**name))
                    .map(|name| (*name).to_owned()),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ways(answer: &str, lines: &[&str]) -> Ways {
        Ways {
            answers: vec![("GET /".into(), answer.into())],
            lines: lines.iter().map(|line| (*line).to_owned()).collect(),
        }
    }

    #[test]
    fn what_differs_without_the_name_says_nothing() {
        let one = || ways("200 a", &["up"]);
        let table = [
            ([one(), one()], [one(), one()], 0),
            ([one(), one()], [ways("200 b", &["up"]), ways("200 b", &["up"])], 1),
            ([one(), one()], [ways("200 b", &["down"]), ways("200 b", &["down"])], 2),
            ([one(), one()], [ways("200 b", &["up"]), one()], 0),
            ([one(), ways("200 c", &["up"])], [ways("200 b", &["up"]), ways("200 b", &["up"])], 0),
            (
                [one(), ways("200 a", &["up", "x"])],
                [ways("200 a", &["x"]), ways("200 a", &["x"])],
                0,
            ),
            ([one(), one()], [ways("200 a", &["x"]), ways("200 a", &["up"])], 0),
        ];
        for (one, other, count) in table {
            let found = differing([&one[0], &one[1]], [&other[0], &other[1]]);
            assert_eq!(found.len(), count, "{found:?}");
            let expected = if count == 0 { Verdict::Pass } else { Verdict::Warn };
            assert_eq!(judged(&found, &[]).verdict, expected);
        }
    }

    #[test]
    fn numbers_and_the_name_itself_are_no_difference() {
        assert_eq!(
            plain("production: pid 123 at 4:56", "production"),
            plain("development: pid 7 at 12:34", "development")
        );
    }
}
