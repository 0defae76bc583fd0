//! The report on a terminal: first what has to be mended, with how, then the rest in a table.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use anstyle::Style;

use super::look::{Look, style, words};
use super::text::{mend, printable, shortened};
use crate::catalogue::Texts;
use crate::factors::{Judgement, in_words, summary, weight};
use crate::report::{FactorResult, Report};
use crate::verdict::Verdict;

/// Less is no room for words.
const NARROWEST: usize = 40;
/// Stands for a space at which no line ends, so that a command can be copied.
const TOGETHER: char = '\u{a0}';
/// What stands before the lines of a finding.
const INDENT: usize = 4;
/// The widest factor, and the widest name of one.
const COLUMNS: [usize; 2] = [4, 19];
/// `not applicable`.
const VERDICT_COLUMN: usize = 14;

/// The report as text, its last line the summary.
#[must_use]
pub fn terminal(report: &Report, texts: &Texts, look: Look) -> String {
    let look = Look { width: look.width.max(NARROWEST), ..look };
    let mut page = Page { report, texts, look, text: String::new() };
    page.head();
    let judgements = report.judgements();
    let mut order: Vec<&FactorResult> = report.factors.iter().collect();
    order.sort_by_key(|factor| Reverse(weight(factor.verdict)));
    let troubled = order.iter().filter(|factor| is_trouble(factor.verdict)).count();
    let (troubled, rest) = order.split_at(troubled);
    for factor in troubled {
        page.factor(factor, &judgements);
    }
    page.table(rest);
    page.unseen(&judgements);
    page.waived(&judgements);
    page.hints();
    page.line(&look.paint(Style::new().bold(), &summary(report)));
    page.text
}

const fn is_trouble(verdict: Verdict) -> bool {
    weight(verdict) >= weight(Verdict::Warn)
}

struct Page<'a> {
    report: &'a Report,
    texts: &'a Texts,
    look: Look,
    text: String,
}

impl Page<'_> {
    fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    /// Words after a label, in as many lines as they need, the later ones under the first.
    fn wrapped(&mut self, indent: usize, label: (&str, Style), words: &str) {
        let hang = indent + label.0.chars().count();
        let mut line = format!("{}{}", " ".repeat(indent), self.look.paint(label.1, label.0));
        let mut at = hang;
        for word in words.split(|letter: char| letter.is_whitespace() && letter != TOGETHER) {
            if word.is_empty() {
                continue;
            }
            let width = word.chars().count();
            let gap = usize::from(at > hang);
            if at > hang && at + gap + width > self.look.width {
                self.line(&line);
                line = " ".repeat(hang);
                at = hang;
            } else if gap > 0 {
                line.push(' ');
                at += 1;
            }
            line.push_str(&word.replace(TOGETHER, " "));
            at += width;
        }
        self.line(line.trim_end());
    }

    fn head(&mut self) {
        let target = &self.report.target;
        let names: Vec<_> = target.programs.iter().map(|one| printable(&one.name)).collect();
        let system = target.system.as_ref().map(|name| format!("{}: ", printable(name)));
        let text = format!("{}{}", system.unwrap_or_default(), names.join(", "));
        self.wrapped(0, ("updraft check  ", Style::new().bold()), &text);
        self.line("");
    }

    fn factor(&mut self, factor: &FactorResult, judgements: &[Judgement<'_>]) {
        let mark = self.look.mark(factor.verdict);
        let painted = self.look.paint(style(factor.verdict), &format!("{mark} {}", factor.verdict));
        let name = self.look.paint(Style::new().bold(), &format!("{} {}", factor.id, factor.name));
        self.line(&format!("{painted}  {name}"));
        let mut ours: Vec<_> = judgements
            .iter()
            .filter(|one| one.finding.id.factor() == factor.id && is_trouble(one.counts))
            .collect();
        ours.sort_by_key(|one| Reverse(weight(one.counts)));
        for judgement in ours {
            self.finding(judgement);
        }
        self.line("");
    }

    fn finding(&mut self, judgement: &Judgement<'_>) {
        let finding = judgement.finding;
        let mut place = printable(&finding.program);
        if let Some(shape) = finding.shape {
            place.push(' ');
            place.push_str(in_words(shape));
            if judgement.turned.is_some() {
                place.push_str(&format!(" (not deployed so: {} counts as warn)", finding.verdict));
            }
        }
        let id = format!("{} {}  ", self.look.mark(judgement.counts), finding.id);
        self.wrapped(2, (&id, style(judgement.counts)), &place);
        let plain = Style::new();
        self.wrapped(INDENT, ("", plain), &printable(&judgement.evidence()));
        let more = format!("updraft{TOGETHER}explain{TOGETHER}{}", finding.id);
        match mend(self.report, self.texts, finding) {
            Some((language, mend)) => {
                let first = mend.lines().next().unwrap_or_default();
                let text = format!("{}: {first} (`{more}`)", language.name());
                self.wrapped(INDENT, ("mend  ", plain.dimmed()), &text);
            }
            None => self.wrapped(INDENT, ("mend  ", plain.dimmed()), &format!("`{more}`")),
        }
        if let Some(line) = &finding.reproducer {
            // In one line however long: it is there to be pasted.
            let label = self.look.paint(plain.dimmed(), "show  ");
            self.line(&format!("{}{label}{}", " ".repeat(INDENT), printable(line)));
        }
    }

    fn table(&mut self, factors: &[&FactorResult]) {
        let [id, name] = COLUMNS;
        let before = 2 + id + 1 + name + 1 + VERDICT_COLUMN + 1;
        for factor in factors {
            let mark = self.look.paint(style(factor.verdict), self.look.mark(factor.verdict));
            let verdict = format!("{:VERDICT_COLUMN$}", words(factor.verdict));
            let verdict = self.look.paint(style(factor.verdict), &verdict);
            let evidence = printable(&factor.evidence);
            let room = self.look.width.saturating_sub(before);
            // A word or two of a sentence say nothing.
            let evidence = if room < 20 {
                String::new()
            } else {
                shortened(&evidence, room, self.look.more())
            };
            let line = format!(
                "{mark} {:id$} {:name$} {verdict} {evidence}",
                factor.id.as_str(),
                factor.name
            );
            self.line(line.trim_end());
        }
        if !factors.is_empty() {
            self.line("");
        }
    }

    /// Why something could not be seen, once for all probes it holds for.
    fn unseen(&mut self, judgements: &[Judgement<'_>]) {
        let mut reasons: BTreeMap<String, BTreeSet<_>> = BTreeMap::new();
        for one in judgements.iter().filter(|one| one.counts == Verdict::Unknown) {
            reasons.entry(printable(&one.evidence())).or_default().insert(one.finding.id);
        }
        let mut reasons: Vec<_> = reasons.into_iter().collect();
        reasons.sort_by_key(|(_, ids)| ids.first().copied());
        self.list(
            "Not seen",
            reasons.into_iter().map(|(reason, ids)| {
                let ids: Vec<_> = ids.into_iter().map(|id| id.as_str()).collect();
                (Verdict::Unknown, format!("{}: {reason}", ids.join(", ")))
            }),
        );
    }

    fn waived(&mut self, judgements: &[Judgement<'_>]) {
        let waived = judgements.iter().filter(|one| one.counts == Verdict::Waived);
        self.list(
            "Waived",
            waived.map(|one| {
                let finding = one.finding;
                let shape = finding.shape.map(|shape| format!(" {}", in_words(shape)));
                let text = format!(
                    "{} of {}{}, {}",
                    finding.id,
                    finding.program,
                    shape.unwrap_or_default(),
                    one.evidence()
                );
                (Verdict::Waived, printable(&text))
            }),
        );
    }

    fn list(&mut self, title: &str, items: impl Iterator<Item = (Verdict, String)>) {
        let mut items = items.peekable();
        if items.peek().is_none() {
            return;
        }
        self.line(&self.look.paint(Style::new().bold(), title));
        for (verdict, text) in items {
            let mark = format!("{} ", self.look.mark(verdict));
            self.wrapped(2, (&mark, style(verdict)), &text);
        }
        self.line("");
    }

    fn hints(&mut self) {
        for hint in &self.report.hints {
            self.wrapped(0, ("hint  ", Style::new().dimmed()), &printable(hint));
        }
        if !self.report.hints.is_empty() {
            self.line("");
        }
    }
}

#[cfg(test)]
#[path = "terminal_tests.rs"]
mod tests;
