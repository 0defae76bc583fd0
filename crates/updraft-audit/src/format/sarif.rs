//! SARIF 2.1.0, for what shows the findings of tools beside the code.
//!
//! What does not hold and what could not be seen become results; what holds does not, since the
//! readers of SARIF take each result for an alert. A program has no line: only findings that were
//! read from files have physical locations, all have a logical one.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::text::{printable, title, told};
use crate::catalogue::{ProbeId, Text, Texts};
use crate::factors::{Judgement, weight};
use crate::facts;
use crate::report::{Fact, Finding, Report};
use crate::verdict::{Factor, Shape, Verdict};

/// Where the schema of the format is.
const SCHEMA: &str = "https://json.schemastore.org/sarif-2.1.0.json";

/// The report as one SARIF log.
#[must_use]
pub fn sarif(report: &Report, texts: &Texts) -> String {
    let judgements: Vec<_> = report
        .judgements()
        .into_iter()
        .filter(|one| weight(one.counts) > weight(Verdict::Pass))
        .collect();
    let ids: BTreeSet<ProbeId> = report.probes.iter().map(|finding| finding.id).collect();
    let ids: Vec<ProbeId> = ids.into_iter().collect();
    let rules: Vec<_> = ids.iter().map(|id| rule(*id, texts)).collect();
    let results: Vec<_> = judgements.iter().map(|one| result(one, &ids)).collect();
    let log = json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "updraft check",
                "version": report.version,
                "informationUri": "https://12factor.net/",
                "rules": rules,
            }},
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    });
    format!("{log:#}\n")
}

fn rule(id: ProbeId, texts: &Texts) -> Value {
    let text = texts.of(id);
    let mut rule = json!({
        "id": id,
        "name": title(texts, id),
        "shortDescription": { "text": title(texts, id) },
        "help": { "text": help(id, text, false), "markdown": help(id, text, true) },
        "properties": { "tags": ["twelve-factor", id.factor().name()] },
    });
    if !text.why.trim().is_empty() {
        rule["fullDescription"] = json!({ "text": text.why.trim() });
    }
    if let Some(page) = page(id.factor()) {
        rule["helpUri"] = json!(format!("https://12factor.net/{page}"));
    }
    rule
}

/// The text of the factor, where it is one of the twelve.
const fn page(factor: Factor) -> Option<&'static str> {
    Some(match factor {
        Factor::I => "codebase",
        Factor::II => "dependencies",
        Factor::III => "config",
        Factor::IV => "backing-services",
        Factor::V => "build-release-run",
        Factor::VI => "processes",
        Factor::VII => "port-binding",
        Factor::VIII => "concurrency",
        Factor::IX => "disposability",
        Factor::X => "dev-prod-parity",
        Factor::XI => "logs",
        Factor::XII => "admin-processes",
        Factor::S | Factor::H | Factor::A | Factor::Id => return None,
    })
}

fn help(id: ProbeId, text: &Text, markdown: bool) -> String {
    let mut parts: Vec<String> = [&text.why, &text.how, &text.limits]
        .into_iter()
        .map(|part| part.trim().to_owned())
        .filter(|part| !part.is_empty())
        .collect();
    for (language, mend) in told(text) {
        let name = language.name();
        parts.push(if markdown {
            format!("**{name}**: {mend}")
        } else {
            format!("{name}: {mend}")
        });
    }
    parts.push(if markdown {
        format!("All of it: `updraft explain {id}`")
    } else {
        format!("All of it: updraft explain {id}")
    });
    parts.join("\n\n")
}

fn result(judgement: &Judgement<'_>, ids: &[ProbeId]) -> Value {
    let finding = judgement.finding;
    let identity = identity(judgement);
    let (kind, level) = match judgement.counts {
        Verdict::Unknown => ("open", "none"),
        Verdict::Fail => ("fail", "error"),
        Verdict::Waived if waived_from(finding) == Some(Verdict::Fail) => ("fail", "error"),
        _ => ("fail", "warning"),
    };
    let mut result = json!({
        "ruleId": finding.id,
        "ruleIndex": ids.iter().position(|id| *id == finding.id),
        "kind": kind,
        "level": level,
        "message": { "text": printable(&message(judgement)) },
        "locations": locations(finding),
        "fingerprints": { "updraft.finding/v1": &identity },
        "partialFingerprints": { "updraft.finding/v1": &identity },
        "properties": {
            "verdict": if judgement.is_own() { finding.verdict } else { judgement.counts },
            "shape": judgement.shape(),
            "tier": finding.tier,
            "program": printable(&finding.program),
        },
    });
    if let Some(line) = &finding.reproducer {
        result["properties"]["reproducer"] = json!(printable(line));
    }
    if let Some(note) = &finding.waiver {
        result["suppressions"] = json!([{
            "kind": "external",
            "status": "accepted",
            "justification": printable(&format!("until {}: {}", note.until, note.because)),
        }]);
    }
    result
}

fn waived_from(finding: &Finding) -> Option<Verdict> {
    finding.waiver.as_ref().map(|note| note.instead_of)
}

fn message(judgement: &Judgement<'_>) -> String {
    // The reason of a waiver stands in its suppression.
    match judgement.counts {
        Verdict::Waived => judgement.finding.evidence.clone(),
        _ => judgement.evidence(),
    }
}

/// The same for the same finding in each audit.
fn identity(judgement: &Judgement<'_>) -> String {
    let finding = judgement.finding;
    let shape = judgement.shape().map_or("any", Shape::as_str);
    printable(&format!("{}:{shape}:{}", finding.id, finding.program))
}

fn locations(finding: &Finding) -> Value {
    let name = printable(&finding.program);
    let logical = json!([{ "name": name, "fullyQualifiedName": name, "kind": "process" }]);
    let places = finding.trials.iter().filter_map(|trial| match trial.facts.get(facts::FILE) {
        Some(Fact::List(places)) => Some(places),
        _ => None,
    });
    let places: BTreeSet<&String> = places.flatten().collect();
    if places.is_empty() {
        return json!([{ "logicalLocations": logical }]);
    }
    let locations = places
        .into_iter()
        .map(|place| json!({ "physicalLocation": physical(place), "logicalLocations": logical }));
    Value::Array(locations.collect())
}

/// `PATH` or `PATH:LINE`.
fn physical(place: &str) -> Value {
    let line = place.rsplit_once(':').and_then(|(path, line)| {
        let line: u32 = line.parse().ok().filter(|line| *line > 0)?;
        Some((path, line))
    });
    match line {
        Some((path, line)) => json!({
            "artifactLocation": { "uri": uri(path) },
            "region": { "startLine": line },
        }),
        None => json!({ "artifactLocation": { "uri": uri(place) } }),
    }
}

/// A path as a reference of RFC 3986.
fn uri(path: &str) -> String {
    let mut uri = String::from(if path.starts_with('/') { "file://" } else { "" });
    for byte in path.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                uri.push(char::from(byte));
            }
            _ => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    uri
}

#[cfg(test)]
#[path = "sarif_tests.rs"]
mod tests;
