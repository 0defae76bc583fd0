//! The page is whole whatever the audited program wrote.

use proptest::prelude::*;

use super::*;
use crate::catalogue::{PROBES, ProbeId};
use crate::example::{finding, report, report_of, texts};
use crate::report::{Fact, Lane, Moment, Trial, WaiverNote};

/// The page without its styles and its script.
fn content(report: &Report) -> String {
    let page = html(report, &texts());
    page.replace(STYLE, "").replace(SCRIPT, "")
}

#[test]
fn the_page_is_whole() {
    insta::assert_snapshot!(content(&report()));
}

/// Each opened element is closed in its order, and none is there that was not meant to be.
fn elements(page: &str) -> Vec<String> {
    const VOID: [&str; 6] = ["!doctype", "meta", "rect", "circle", "path", "br"];
    const MEANT: &[&str] = &[
        "html", "head", "title", "style", "body", "header", "p", "h1", "h2", "h5", "details",
        "summary", "table", "tr", "th", "td", "code", "pre", "ul", "li", "nav", "a", "span", "div",
        "button", "b", "em", "main", "section", "svg", "g", "text", "aside", "footer", "script",
    ];
    let mut open = Vec::new();
    let mut seen = Vec::new();
    for tag in page.split('<').skip(1) {
        let (tag, _) = tag.split_once('>').unwrap();
        let name = tag.split_whitespace().next().unwrap().to_owned();
        if let Some(name) = name.strip_prefix('/') {
            assert_eq!(open.pop().as_deref(), Some(name));
        } else if !VOID.iter().any(|void| name.trim_end_matches('/') == *void) {
            assert!(MEANT.contains(&name.as_str()), "<{tag}>");
            seen.push(name.clone());
            open.push(name);
        }
    }
    assert!(open.is_empty(), "{open:?}");
    seen
}

#[test]
fn the_elements_close_in_their_order_and_nothing_is_loaded() {
    let page = html(&report(), &texts());
    elements(&content(&report()));
    for outside in ["http:", "https:", "src=", "url(", "@import", "<link", "fetch(", "innerHTML"] {
        assert!(!page.contains(outside), "{outside}");
    }
    assert_eq!(page.matches("<script").count(), 1);
}

#[test]
fn each_factor_has_a_tile_that_leads_to_it() {
    let report = report();
    let page = content(&report);
    for factor in &report.factors {
        assert_eq!(page.matches(&format!("href=\"#factor-{}\"", factor.id)).count(), 1);
        assert_eq!(page.matches(&format!(" id=\"factor-{}\"", factor.id)).count(), 1);
    }
    assert_eq!(page.matches("<details class=\"finding ").count(), report.probes.len());
}

#[test]
fn failures_are_unfolded_and_what_holds_is_not() {
    for (verdict, open) in [
        (Verdict::Fail, true),
        (Verdict::Flaky, true),
        (Verdict::Pass, false),
        (Verdict::Unknown, false),
    ] {
        let page = content(&report_of(vec![finding(ProbeId::IxStart, "a", None, verdict)]));
        let tag = format!("data-verdict=\"{verdict}\" open>");
        assert_eq!(page.contains(&tag), open, "{verdict}");
    }
}

fn hostile(text: &str, verdict: Verdict) -> Report {
    let mut one = finding(ProbeId::IxDrain, text, None, verdict);
    text.clone_into(&mut one.evidence);
    one.reproducer = Some(text.to_owned());
    one.waiver = Some(WaiverNote {
        instead_of: Verdict::Fail,
        because: text.to_owned(),
        until: text.to_owned(),
    });
    let facts = [(text.to_owned(), Fact::List(vec![text.to_owned()]))];
    one.trials.push(Trial {
        verdict,
        evidence: text.to_owned(),
        timeline: vec![Moment { at_ms: 1.0, lane: Lane::Program, what: text.to_owned() }],
        facts: facts.into(),
    });
    let mut report = report_of(vec![one]);
    report.target.system = Some(text.to_owned());
    report.target.programs[0].command = vec![text.to_owned()];
    report.hints.push(text.to_owned());
    report.started = text.to_owned();
    report.machine.missing.insert(text.to_owned(), text.to_owned());
    report
}

proptest! {
    #[test]
    fn no_text_of_a_program_becomes_an_element_or_an_attribute(
        text in "(?s)([<>\"'&/= a-z]|.){0,40}", at in 0..8_usize,
    ) {
        let verdict = Verdict::ALL[at];
        let harmless = elements(&content(&hostile("x", verdict)));
        prop_assert_eq!(elements(&content(&hostile(&text, verdict))), harmless);
    }
}

#[test]
fn what_is_told_of_the_probes_makes_a_whole_page() {
    let failed = PROBES.iter().map(|probe| finding(probe.id, "a", None, Verdict::Fail));
    let report = report_of(failed.collect());
    let page = html(&report, Texts::carried()).replace(STYLE, "").replace(SCRIPT, "");
    elements(&page);
    for probe in PROBES {
        let title = quoted(&Texts::carried().of(probe.id).title);
        assert!(page.contains(&title) && !page.contains("```"), "{}", probe.id);
    }
}

#[test]
fn a_known_attack_is_text() {
    let attack = "\"><img src=x onerror=alert(1)></title><script>alert(1)</script>";
    let page = content(&hostile(attack, Verdict::Fail));
    assert!(!page.contains("<img") && !page.contains("<script>alert"), "{page}");
}
