//! One finding on the page: closed it is a line, open it is everything there is to know.

use super::super::look::{mark, words};
use super::super::text::{escaped, mend, quoted, told};
use super::timeline;
use crate::catalogue::Texts;
use crate::factors::{Judgement, Turned, in_words};
use crate::report::{Fact, Finding, Report, Trial};
use crate::verdict::{Shape, Verdict};

/// A finding with what it means for its factor, where it does mean anything.
pub(super) fn finding(
    finding: &Finding,
    judgements: &[Judgement<'_>],
    report: &Report,
    texts: &Texts,
) -> String {
    let open = match finding.verdict {
        Verdict::Fail | Verdict::Flaky => " open",
        _ => "",
    };
    let shape = finding.shape.map(|shape| format!(", {}", in_words(shape)));
    let notes: String = judgements.iter().filter_map(note).collect();
    let waiver = finding.waiver.as_ref().map(|note| {
        format!(
            "<p class=\"note\">Waived until <b>{}</b> instead of <b>{}</b>: {}</p>",
            quoted(&note.until),
            words(note.instead_of),
            quoted(&note.because)
        )
    });
    let reproducer = finding.reproducer.as_ref().map(|line| {
        format!("<h5>Shown again by</h5><pre class=\"shell\"><code>{}</code></pre>", quoted(line))
    });
    format!(
        "<details class=\"finding {verdict}\" data-verdict=\"{verdict}\"{open}>\
         <summary><span class=\"mark\">{mark}</span><code>{id}</code>\
         <span class=\"title\">{title}</span><span class=\"place\">{program}{shape}</span>\
         <span class=\"badge\">{words}</span></summary>\n\
         <div class=\"body\"><p class=\"evidence\">{evidence}</p>{notes}{waiver}{reproducer}\
         {mends}{why}{trials}<p class=\"note\">Tier {tier}. All of it: \
         <code>updraft explain {id}</code></p></div></details>\n",
        verdict = finding.verdict,
        mark = mark(finding.verdict),
        id = finding.id,
        title = quoted(texts.of(finding.id).title.trim()),
        program = quoted(&finding.program),
        shape = shape.unwrap_or_default(),
        words = words(finding.verdict),
        evidence = quoted(&finding.evidence),
        waiver = waiver.unwrap_or_default(),
        reproducer = reproducer.unwrap_or_default(),
        mends = mends(finding, report, texts),
        why = why(finding, texts),
        trials = trials(finding),
        tier = finding.tier,
    )
}

/// Why it counts otherwise than it says.
fn note(judgement: &Judgement<'_>) -> Option<String> {
    let text = match judgement.turned? {
        Turned::OtherShape => {
            let shape = judgement.finding.shape.map_or("so", in_words);
            let counts = words(judgement.counts);
            format!("The program is not deployed {shape}, so this counts as <b>{counts}</b>.")
        }
        Turned::DeployedUnseen(shape) => {
            let shape: Shape = shape;
            format!("It was not judged {}, as which the program is deployed.", in_words(shape))
        }
    };
    Some(format!("<p class=\"note\">{text}</p>"))
}

/// How to mend it, where there is something to mend; what fits the program is open.
fn mends(finding: &Finding, report: &Report, texts: &Texts) -> String {
    let told = told(texts.of(finding.id));
    let holds = matches!(
        finding.verdict,
        Verdict::Pass | Verdict::Info | Verdict::NotApplicable | Verdict::Unknown
    );
    if told.is_empty() || holds {
        return String::new();
    }
    let fitting = mend(report, texts, finding).map(|(language, _)| language);
    let mends = told.into_iter().map(|(one, mend)| {
        let open = if Some(one) == fitting { " open" } else { "" };
        format!(
            "<details class=\"mend\"{open}><summary>{}</summary>{}</details>",
            one.name(),
            prose(mend)
        )
    });
    format!("<h5>How to mend it</h5>{}", mends.collect::<String>())
}

fn why(finding: &Finding, texts: &Texts) -> String {
    let text = texts.of(finding.id);
    let parts = [
        ("Why it matters", &text.why),
        ("What the factor says", &text.factor),
        ("How it is seen", &text.how),
        ("What may mislead it", &text.limits),
    ];
    let told = parts.into_iter().filter(|(_, text)| !text.trim().is_empty());
    let told: String =
        told.map(|(title, text)| format!("<h5>{title}</h5>{}", prose(text.trim()))).collect();
    if told.is_empty() {
        return told;
    }
    format!("<details class=\"mend\"><summary>About this probe</summary>{told}</details>")
}

fn trials(finding: &Finding) -> String {
    let several = finding.trials.len() > 1;
    let trials = finding.trials.iter().enumerate().map(|(at, trial)| {
        let number = if several { format!("Trial {}", at + 1) } else { "Trial".to_owned() };
        let evidence = if trial.evidence == finding.evidence {
            String::new()
        } else {
            format!("<p>{}</p>", quoted(&trial.evidence))
        };
        format!(
            "<section class=\"trial {verdict}\"><h5>{number} \
             <span class=\"badge\">{words}</span></h5>{evidence}{timeline}{facts}</section>",
            verdict = trial.verdict,
            words = words(trial.verdict),
            timeline = timeline::svg(&trial.timeline),
            facts = facts(trial),
        )
    });
    trials.collect()
}

fn facts(trial: &Trial) -> String {
    if trial.facts.is_empty() {
        return String::new();
    }
    let rows = trial.facts.iter().map(|(name, fact)| {
        let value = match fact {
            Fact::Number(value) => quoted(&value.to_string()),
            Fact::List(values) => {
                let values = values.iter().map(|value| format!("<code>{}</code>", quoted(value)));
                values.collect::<Vec<_>>().join("<br>")
            }
        };
        format!("<tr><th scope=\"row\">{}</th><td>{value}</td></tr>", quoted(name))
    });
    format!("<table class=\"facts\">{}</table>", rows.collect::<String>())
}

/// Our own text: paragraphs, code between fences or in backticks.
pub(super) fn prose(text: &str) -> String {
    let mut html = String::new();
    for (at, block) in text.split("```").enumerate() {
        if at % 2 == 1 {
            // What stands behind the opening fence is the name of a language.
            let code = block.split_once('\n').map_or(block, |(_, code)| code);
            html.push_str(&format!("<pre><code>{}</code></pre>", escaped(code.trim_end())));
            continue;
        }
        let paragraphs = block.split("\n\n").map(str::trim).filter(|part| !part.is_empty());
        paragraphs.for_each(|part| html.push_str(&format!("<p>{}</p>", code_in(part))));
    }
    html
}

fn code_in(text: &str) -> String {
    let parts = text.split('`').enumerate().map(|(at, part)| {
        if at % 2 == 1 { format!("<code>{}</code>", escaped(part)) } else { escaped(part) }
    });
    parts.collect()
}

#[cfg(test)]
#[path = "finding_tests.rs"]
mod tests;
