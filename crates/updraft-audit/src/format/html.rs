//! The report as one page that needs nothing else: no network, no script, a printer if you like.

mod finding;
mod timeline;

use super::look::{mark, words};
use super::text::quoted;
use crate::catalogue::Texts;
use crate::factors::{Judgement, in_words, summary};
use crate::report::{FactorResult, Report};
use crate::verdict::Verdict;

const STYLE: &str = include_str!("html/style.css");
/// Filters and unfolds; the page is whole without it.
const SCRIPT: &str = include_str!("html/script.js");

/// The report as one HTML document.
#[must_use]
pub fn html(report: &Report, texts: &Texts) -> String {
    let judgements = report.judgements();
    let tiles: String = report.factors.iter().map(tile).collect();
    let factors = report.factors.iter().map(|one| factor(one, &judgements, report, texts));
    let factors: String = factors.collect();
    let name = quoted(&name(report));
    // The policy holds even if something here were not escaped: nothing is ever loaded.
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; \
         style-src 'unsafe-inline'; script-src 'unsafe-inline'; base-uri 'none'; \
         form-action 'none'\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>{name}: twelve factors</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n\
         <header>\n<p class=\"kicker\">updraft check</p>\n<h1>{name}</h1>\n\
         <p class=\"summary\">{summary}</p>\n{about}</header>\n\
         <nav class=\"tiles\" aria-label=\"Factors\">\n{tiles}</nav>\n\
         <div class=\"filter\" hidden>{filter}</div>\n<main>\n{factors}</main>\n{hints}\
         <footer>Updraft {version}. Begun {started}, {seconds:.1} s. A verdict of \
         <em>unknown</em> is never a pass.</footer>\n<script>\n{SCRIPT}</script>\n\
         </body>\n</html>\n",
        summary = quoted(&summary(report)),
        about = about(report),
        filter = filter(report),
        hints = hints(report),
        version = quoted(&report.version),
        started = quoted(&report.started),
        seconds = report.seconds,
    )
}

fn name(report: &Report) -> String {
    match (&report.target.system, report.target.programs.as_slice()) {
        (Some(system), _) => system.clone(),
        (None, [one]) => one.name.clone(),
        (None, programs) => format!("{} programs", programs.len()),
    }
}

/// What was run, and with what.
fn about(report: &Report) -> String {
    let programs = report.target.programs.iter().map(|program| {
        format!(
            "<tr><th scope=\"row\">{}</th><td><code>{}</code></td><td>{}</td></tr>\n",
            quoted(&program.name),
            quoted(&shell_words::join(&program.command)),
            in_words(program.deployed)
        )
    });
    let programs: String = programs.collect();
    let machine = &report.machine;
    let tiers: Vec<_> = machine.tiers.iter().map(ToString::to_string).collect();
    let missing = machine.missing.iter().map(|(tier, reason)| {
        format!("<li>{} is missing: {}</li>\n", quoted(tier), quoted(reason))
    });
    let missing: String = missing.collect();
    let reached = if machine.egress { "what the machine reaches" } else { "what they were given" };
    format!(
        "<details class=\"about\"><summary>What was run</summary>\n<table>\n<tr><th \
         scope=\"col\">Program</th><th scope=\"col\">Command</th><th scope=\"col\">Deployed</th>\
         </tr>\n{programs}</table>\n<ul><li>The machine offers {}.</li>\n<li>The \
         programs could reach {reached}.</li>\n{missing}</ul></details>\n",
        quoted(&tiers.join(", ")),
    )
}

fn tile(factor: &FactorResult) -> String {
    format!(
        "<a class=\"tile {verdict}\" href=\"#factor-{id}\" title=\"{evidence}\">\
         <span class=\"number\">{id}</span><span class=\"name\">{name}</span>\
         <span class=\"state\"><span class=\"mark\">{mark}</span> {words}</span></a>\n",
        verdict = factor.verdict,
        id = factor.id,
        name = quoted(&factor.name),
        mark = mark(factor.verdict),
        words = words(factor.verdict),
        evidence = quoted(&factor.evidence),
    )
}

fn factor(
    factor: &FactorResult,
    judgements: &[Judgement<'_>],
    report: &Report,
    texts: &Texts,
) -> String {
    let findings = report.probes.iter().filter(|one| one.id.factor() == factor.id);
    let findings = findings.map(|one| {
        let ours = judgements.iter().filter(|judgement| std::ptr::eq(judgement.finding, one));
        finding::finding(one, &ours.copied().collect::<Vec<_>>(), report, texts)
    });
    format!(
        "<section class=\"factor {verdict}\" id=\"factor-{id}\"><h2><span \
         class=\"number\">{id}</span> {name} <span class=\"badge\">{words}</span></h2>\n\
         <p class=\"decided\">{evidence}</p>\n{findings}</section>\n",
        verdict = factor.verdict,
        id = factor.id,
        name = quoted(&factor.name),
        words = words(factor.verdict),
        evidence = quoted(&factor.evidence),
        findings = findings.collect::<String>(),
    )
}

/// A button for each verdict there is, for the script to fill with life.
fn filter(report: &Report) -> String {
    let mut buttons = String::new();
    for verdict in Verdict::ALL.into_iter().rev() {
        let count = report.probes.iter().filter(|one| one.verdict == verdict).count();
        if count > 0 {
            buttons.push_str(&format!(
                "<button type=\"button\" class=\"{verdict}\" data-show=\"{verdict}\" \
                 aria-pressed=\"true\"><span class=\"mark\">{}</span> {} <b>{count}</b></button>",
                mark(verdict),
                words(verdict)
            ));
        }
    }
    format!("{buttons}<button type=\"button\" data-unfold>Unfold all</button>")
}

fn hints(report: &Report) -> String {
    if report.hints.is_empty() {
        return String::new();
    }
    let hints = report.hints.iter().map(|hint| format!("<li>{}</li>\n", quoted(hint)));
    let hints: String = hints.collect();
    format!("<aside><h2>For the next audit</h2>\n<ul>\n{hints}</ul></aside>\n")
}

#[cfg(test)]
#[path = "html_tests.rs"]
mod tests;
