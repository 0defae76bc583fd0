//! What `updraft explain` says of a probe, and the page of the reference that says the same:
//! both are made of the table and its texts, so that they cannot differ from what is audited.

mod prose;

use crate::catalogue::{PROBES, Probe, ProbeId, Text, Texts, UnknownProbe};
use crate::verdict::{Factor, Shape, Tier};

/// Where a line of a terminal is broken.
const WIDTH: usize = 80;

/// Everything about a probe, as plain text for a terminal of 80 columns; code is not broken.
#[must_use]
pub fn explain(id: ProbeId) -> String {
    let probe = id.probe();
    let text = Texts::carried().of(id);
    let mut out = prose::wrapped(&format!("{id}: {}", text.title.trim()), WIDTH, "");
    out.push('\n');
    for (name, value) in facts(probe) {
        out.push_str(&format!("  {name:<8} {value}\n"));
    }
    for (title, part) in parts(text) {
        out.push_str(&format!("\n{title}\n\n{}", prose::plain(part, WIDTH, "  ")));
    }
    out.push_str(&format!("\n{MENDING}\n"));
    for (language, mend) in &text.mend {
        out.push_str(&format!("\n  {}\n\n{}", language.name(), prose::plain(mend, WIDTH, "    ")));
    }
    out
}

/// The page of a probe in the reference, as Markdown.
#[must_use]
pub fn page(id: ProbeId) -> String {
    let text = Texts::carried().of(id);
    let file = id.factor();
    let mut out = format!(
        "# {id}: {}

<!-- Made from crates/updraft-audit/src/catalogue/{file}.toml: change it there, then run
     UPDATE_DOCS=1 cargo nextest run -p updraft-audit reference -->

| | |
|---|---|
",
        text.title.trim()
    );
    for (name, value) in facts(id.probe()) {
        out.push_str(&format!("| {name} | {value} |\n"));
    }
    for (title, part) in parts(text) {
        out.push_str(&format!("\n## {title}\n\n{}", prose::markdown(part)));
    }
    out.push_str(&format!("\n## {MENDING}\n"));
    for (language, mend) in &text.mend {
        out.push_str(&format!("\n### {}\n\n{}", language.name(), prose::markdown(mend)));
    }
    out.push_str("\n[All probes](README.md) · [The guide](../../guide/check.md)\n");
    out
}

/// The page that lists the pages of all probes, by factor, as Markdown.
#[must_use]
pub fn index() -> String {
    let mut out = String::from(
        "# The probes of `updraft check`

<!-- Made from crates/updraft-audit/src/catalogue.rs: change it there, then run
     UPDATE_DOCS=1 cargo nextest run -p updraft-audit reference -->

What a report means is told in [the guide](../../guide/check.md). `updraft explain ID` prints
the page of a probe in the terminal.

| tier | what the probe needs of the machine; without it the verdict is `unknown` |
|---|---|
",
    );
    for tier in [Tier::Static, Tier::T0, Tier::T1, Tier::T2] {
        out.push_str(&format!("| {tier} | {} |\n", needs(tier)));
    }
    for factor in Factor::ALL {
        out.push_str(&format!("\n## {}\n", heading(factor)));
        out.push_str("\n| probe | what should hold | tier | judged | `--quick` |\n");
        out.push_str("|---|---|---|---|---|\n");
        for probe in PROBES.iter().filter(|probe| probe.factor == factor) {
            let (id, tier) = (probe.id, probe.tier);
            let title = Texts::carried().of(id).title.trim();
            let quick = if probe.quick { "yes" } else { "" };
            let shapes = shapes(probe);
            let row = format!("| [{id}]({id}.md) | {title} | {tier} | {shapes} | {quick} |\n");
            out.push_str(&row);
        }
    }
    out
}

impl UnknownProbe {
    /// The probe that was probably meant.
    #[must_use]
    pub fn nearest(&self) -> Option<ProbeId> {
        let known: Vec<String> =
            PROBES.iter().map(|probe| probe.id.as_str().to_lowercase()).collect();
        let given = self.0.trim().to_lowercase();
        let found = updraft_system::nearest(&given, known.iter().map(String::as_str))?;
        PROBES.iter().map(|probe| probe.id).find(|id| id.as_str().eq_ignore_ascii_case(found))
    }
}

/// The heading above the mends.
const MENDING: &str = "How to mend it";

/// What stands in a probe's head, each with its name.
fn facts(probe: &Probe) -> [(&'static str, String); 4] {
    let factor = match reference(probe.factor) {
        Some(address) => format!("{}, {address}", heading(probe.factor)),
        None => heading(probe.factor),
    };
    let quick = if probe.quick { "yes" } else { "no, in the whole audit only" };
    [
        ("factor", factor),
        ("tier", format!("{}: {}", probe.tier, needs(probe.tier))),
        ("judged", shapes(probe)),
        ("quick", quick.to_owned()),
    ]
}

fn parts(text: &Text) -> [(&'static str, &str); 4] {
    [
        ("Why", text.why.as_str()),
        ("What the factor says", text.factor.as_str()),
        ("How it looks", text.how.as_str()),
        ("What may mislead it", text.limits.as_str()),
    ]
}

fn heading(factor: Factor) -> String {
    let beside = if factor.is_of_the_twelve() { "" } else { " (beside the twelve)" };
    format!("{factor}. {}{beside}", factor.name())
}

fn shapes(probe: &Probe) -> String {
    let shape = |shape: &Option<Shape>| match shape {
        Some(Shape::Child) => "as a child",
        Some(Shape::Pid1) => "as process 1",
        None => "once",
    };
    probe.shapes().iter().map(shape).collect::<Vec<_>>().join(" and ")
}

const fn needs(tier: Tier) -> &'static str {
    match tier {
        Tier::Static => "files alone, nothing is run",
        Tier::T0 => "`/proc`, pipes and sockets",
        Tier::T1 => "Linux namespaces, as root or by `user_namespaces(7)`",
        Tier::T2 => "`ptrace(2)` or seccomp notification",
    }
}

/// The text of the factor.
const fn reference(factor: Factor) -> Option<&'static str> {
    Some(match factor {
        Factor::I => "https://12factor.net/codebase",
        Factor::II => "https://12factor.net/dependencies",
        Factor::III => "https://12factor.net/config",
        Factor::IV => "https://12factor.net/backing-services",
        Factor::V => "https://12factor.net/build-release-run",
        Factor::VI => "https://12factor.net/processes",
        Factor::VII => "https://12factor.net/port-binding",
        Factor::VIII => "https://12factor.net/concurrency",
        Factor::IX => "https://12factor.net/disposability",
        Factor::X => "https://12factor.net/dev-prod-parity",
        Factor::XI => "https://12factor.net/logs",
        Factor::XII => "https://12factor.net/admin-processes",
        Factor::S | Factor::H | Factor::A | Factor::Id => return None,
    })
}

#[cfg(test)]
#[path = "explain_tests.rs"]
mod tests;
