//! The corpus of `tests/corpus/requests.toml` through the gate and hyper on a real socket.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::recorder::{self, converse, ended, statuses};

/// Entries of the corpus, so that a broken reader of it cannot make the test empty.
const LEAST_ENTRIES: usize = 320;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Corpus {
    request: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Entry {
    pub(super) name: String,
    #[expect(dead_code, reason = "for readers, and for the report beside nginx and HAProxy")]
    class: String,
    raw: String,
    pub(super) verdict: Verdict,
    answers: Option<Vec<u16>>,
    pub(super) rule: Option<String>,
    #[serde(default)]
    seen: Vec<String>,
    #[serde(default)]
    cut: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Verdict {
    Reject,
    Forward,
    Cut,
}

impl Entry {
    pub(super) fn bytes(&self) -> Vec<u8> {
        unescape(&self.raw)
    }
}

pub(super) fn entries() -> Vec<Entry> {
    let text = include_str!("../../tests/corpus/requests.toml");
    toml::from_str::<Corpus>(text).unwrap().request
}

fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        bytes.extend_from_slice(&rest.as_bytes()[..at]);
        let code = &rest[at + 1..];
        let used = match code.as_bytes()[0] {
            b'r' => {
                bytes.push(b'\r');
                1
            }
            b'n' => {
                bytes.push(b'\n');
                1
            }
            b't' => {
                bytes.push(b'\t');
                1
            }
            b'x' => {
                bytes.push(u8::from_str_radix(&code[1..3], 16).unwrap());
                3
            }
            b'{' => {
                let end = code.find('}').unwrap();
                let (count, part) = code[1..end].split_once('*').unwrap();
                bytes.extend(unescape(part).repeat(count.parse().unwrap()));
                end + 1
            }
            _ => panic!("{text}"),
        };
        rest = &code[used..];
    }
    bytes.extend_from_slice(rest.as_bytes());
    bytes
}

/// What an entry should come to, and what it came to, in words that can be compared.
async fn outcome(entry: &Entry, step: usize) -> (String, String) {
    let (address, records) = recorder::serve().await;
    let raw = entry.bytes();
    let expected = match &entry.answers {
        _ if entry.cut => 0,
        Some(answers) => answers.len(),
        None => usize::MAX,
    };
    let text = converse(address, raw.chunks(step), expected).await;
    let record = ended(&records, 0).await;
    let answers = statuses(&text);
    let rules: Vec<_> = record.rules.iter().map(|rule| rule.name()).collect();
    let seen: Vec<_> = entry
        .seen
        .iter()
        .map(|line| String::from_utf8_lossy(&unescape(line)).into_owned())
        .collect();
    let wanted_rules: Vec<_> = entry.rule.as_deref().into_iter().collect();
    let wanted = entry.answers.as_ref().unwrap_or(&answers);
    (
        format!("{wanted:?} {wanted_rules:?} {seen:?}"),
        format!("{answers:?} {rules:?} {:?}", record.seen),
    )
}

async fn run(step: usize) {
    let entries = entries();
    assert!(entries.len() >= LEAST_ENTRIES);
    let mut wrong = BTreeMap::new();
    for entry in &entries {
        let (wanted, got) = outcome(entry, step).await;
        if wanted != got {
            wrong.insert(&entry.name, format!("\n  wanted {wanted}\n  got    {got}\n"));
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{wrong:#?}", wrong.len());
}

#[test]
fn the_corpus_says_of_each_entry_what_becomes_of_it_once() {
    let entries = entries();
    let mut names: Vec<_> = entries.iter().map(|entry| &entry.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), entries.len());
    for entry in &entries {
        let answers = entry.answers.as_deref().unwrap_or_default();
        let refused = answers.iter().any(|status| *status >= 400) || entry.rule.is_some();
        let verdict = match (refused, entry.cut) {
            (true, _) => Verdict::Reject,
            (false, true) => Verdict::Cut,
            (false, false) => Verdict::Forward,
        };
        assert_eq!(entry.verdict, verdict, "{}", entry.name);
        assert_eq!(verdict == Verdict::Reject, entry.rule.is_some(), "{}", entry.name);
        assert!(verdict != Verdict::Forward || !entry.seen.is_empty(), "{}", entry.name);
    }
}

#[tokio::test]
async fn every_request_of_the_corpus_meets_its_verdict() {
    run(usize::MAX).await;
}

#[tokio::test]
async fn every_request_of_the_corpus_meets_its_verdict_in_pieces() {
    run(7).await;
}
