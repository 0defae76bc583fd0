//! One fast pass over a file for what secrets begin with, and the judge of each place.

use regex::bytes::Regex;

use super::{address, armour, assignment, aws, token};

/// How much a finding says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Weight {
    /// Its format is proven.
    Fail,
    /// It looks like one.
    Warn,
    /// It is one that is encrypted.
    Info,
}

/// A place in a file that holds a secret, without the secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// From 1.
    pub(super) line: usize,
    pub(super) weight: Weight,
    /// Its kind, with at most the prefix that all of its kind share.
    pub(super) what: &'static str,
}

/// What a judge says of a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Judgement {
    pub(super) weight: Weight,
    pub(super) what: &'static str,
    /// Where the secret ends: what is inside it is not judged again.
    pub(super) end: usize,
}

/// What looks for secrets.
#[derive(Debug)]
pub(super) struct Scanner {
    beginnings: Regex,
    assignments: Regex,
}

/// The most findings of one file; more say nothing more.
const FOUND_MAX: usize = 20;

impl Scanner {
    pub(super) fn new() -> Result<Self, regex::Error> {
        Ok(Self {
            // Literals only: the search for them uses vector instructions.
            beginnings: Regex::new(
                "(?-u)gh[pousr]_|github_pat_|glpat-|AKIA|ASIA|xox[abeprs]-|sk_live_|rk_live_|AIza\
                 |npm_|pypi-AgE|-----BEGIN |AccountKey=|eyJ|://|cio",
            )?,
            assignments: Regex::new(assignment::PATTERN)?,
        })
    }

    /// The secrets in a file, in their order. The path is the one inside the audited folder.
    pub(super) fn scan(&self, path: &str, text: &[u8]) -> Vec<Found> {
        let is_fixture = is_fixture(path);
        let tests = start_of_tests(path, text);
        let mut found = Vec::new();
        let mut lines = Lines { text, at: 0, line: 1 };
        let mut done = 0;
        for hit in self.beginnings.find_iter(text) {
            if hit.start() < done || found.len() >= FOUND_MAX {
                continue;
            }
            let Some(judgement) = judge(text, hit.start(), hit.as_bytes()) else { continue };
            done = judgement.end;
            let is_shown = is_prose(path) && matches!(hit.as_bytes(), b"-----BEGIN " | b"eyJ");
            let is_harmless = is_fixture || is_shown || hit.start() > tests;
            if let Some(weight) = weighed(judgement.weight, is_harmless) {
                let line = lines.of(hit.start());
                found.push(Found { line, weight, what: judgement.what });
            }
        }
        if !is_fixture {
            let mut lines = Lines { text, at: 0, line: 1 };
            let values = assignment::find(&self.assignments, path, text);
            for (start, what) in values.into_iter().filter(|(start, _)| *start < tests) {
                let line = lines.of(start);
                let is_known = found.iter().any(|known: &Found| known.line == line);
                if !is_known && found.len() < FOUND_MAX {
                    found.push(Found { line, weight: Weight::Warn, what });
                }
            }
        }
        found
    }
}

fn judge(text: &[u8], start: usize, beginning: &[u8]) -> Option<Judgement> {
    match beginning {
        b"AKIA" | b"ASIA" => aws::judge(text, start),
        b"-----BEGIN " => armour::judge(text, start),
        b"://" => address::judge(text, start),
        _ => token::judge(text, start, beginning),
    }
}

/// What a finding weighs where secrets are made for tests.
fn weighed(weight: Weight, is_harmless: bool) -> Option<Weight> {
    match (weight, is_harmless) {
        (weight, false) => Some(weight),
        (Weight::Fail, true) => Some(Weight::Warn),
        (_, true) => None,
    }
}

/// Words of a path that say that its secrets open nothing.
const OF_FIXTURES: &[&str] = &[
    "test",
    "tests",
    "testing",
    "testdata",
    "conftest",
    "fixture",
    "fixtures",
    "example",
    "examples",
    "sample",
    "samples",
    "mock",
    "mocks",
    "spec",
    "specs",
    "dummy",
    "fake",
    "snakeoil",
    "template",
    "bench",
    "benches",
    "benchmark",
    "benchmarks",
];

/// Folders of what others have written, whose tests and manuals come with it.
const OF_OTHERS: &[&str] = &[
    "vendor",
    "third_party",
    "third-party",
    "node_modules",
    "site-packages",
    "bower_components",
    "Pods",
];

fn is_fixture(path: &str) -> bool {
    path.split('/').any(|folder| OF_OTHERS.contains(&folder))
        || path
            .split(|letter: char| !letter.is_ascii_alphanumeric())
            .any(|word| OF_FIXTURES.iter().any(|known| word.eq_ignore_ascii_case(known)))
}

/// Manuals show whole keys and tokens, which are made for them.
fn is_prose(path: &str) -> bool {
    let path = path.to_ascii_lowercase();
    [".md", ".rst", ".adoc", ".txt", ".html"].iter().any(|end| path.ends_with(end))
}

/// Where the tests begin that stand in a file of Rust below what they test.
fn start_of_tests(path: &str, text: &[u8]) -> usize {
    const MARK: &[u8] = b"#[cfg(test)]\nmod ";
    let opens = |place: &usize| {
        let line = text[place + MARK.len()..].split(|byte| *byte == b'\n').next();
        line.is_some_and(|line| line.ends_with(b"{"))
    };
    let places = text.windows(MARK.len()).enumerate();
    let mut places = places.filter(|(_, part)| *part == MARK).map(|(place, _)| place);
    let is_rust = path.ends_with(".rs");
    is_rust.then(|| places.find(opens)).flatten().unwrap_or(text.len())
}

/// The numbers of lines, for places that come in their order.
struct Lines<'a> {
    text: &'a [u8],
    at: usize,
    line: usize,
}

impl Lines<'_> {
    fn of(&mut self, place: usize) -> usize {
        let between = self.text.get(self.at..place).unwrap_or_default();
        self.line += between.iter().filter(|byte| **byte == b'\n').count();
        self.at = place;
        self.line
    }
}
