//! Findings on their way into one report, in the order of the text.

use crate::nearest;
use std::ops::Range;

use crate::{Problem, Span};

/// Collects what is wrong with one text.
#[derive(Debug)]
pub(super) struct Report<'a> {
    text: &'a str,
    problems: Vec<Problem>,
    /// Lines with a syntax error; what else is found there follows from it.
    broken_lines: Vec<Range<usize>>,
}

impl<'a> Report<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, problems: Vec::new(), broken_lines: Vec::new() }
    }

    /// Adds a finding; `label` is printed under its place.
    pub(super) fn add(
        &mut self,
        code: &'static str,
        span: Span,
        message: impl Into<String>,
        label: impl Into<String>,
        help: impl Into<Option<String>>,
    ) {
        let start = self.text.floor_char_boundary(span.start);
        let end = self.text.ceil_char_boundary(span.end).max(start);
        self.problems.push(Problem {
            code,
            message: message.into(),
            span: start..end,
            label: label.into(),
            help: help.into(),
        });
    }

    /// Adds an error of the TOML parser.
    pub(super) fn add_syntax(&mut self, error: &toml::de::Error) {
        let span = error.span().unwrap_or_default();
        if error.message() == "duplicate key" {
            let key = self.text.get(span.clone()).unwrap_or_default().to_owned();
            let message = format!("`{key}` is given twice");
            let help = "remove one of the two, or merge them".to_owned();
            self.add("manifest::duplicate", span, message, "given here again", help);
            return;
        }
        let line = line_around(self.text, span.start);
        // One broken value gives several errors of the parser; the first one tells.
        if !self.broken_lines.iter().any(|broken| broken.start == line.start) {
            let message = format!("this is not TOML: {}", error.message());
            let help = syntax_help(error.message()).map(str::to_owned);
            self.add("manifest::syntax", span, message, "here", help);
            // What follows a broken header belongs to a table that nobody knows.
            let end = match self.text[line.start.min(self.text.len())..].starts_with('[') {
                true => next_header(self.text, line.end),
                false => line.end,
            };
            self.broken_lines.push(line.start..end);
        }
    }

    /// Whether parts of the text could not be read, so that what seems to be
    /// missing may well be there.
    pub(super) fn is_damaged(&self) -> bool {
        !self.broken_lines.is_empty()
    }

    /// Whether nothing was found.
    pub(super) fn is_empty(&self) -> bool {
        self.problems.is_empty()
    }

    /// How many findings there are.
    pub(super) fn len(&self) -> usize {
        self.problems.len()
    }

    /// All findings, in the order of the text.
    pub(super) fn into_problems(mut self) -> Vec<Problem> {
        let broken = self.broken_lines;
        self.problems.retain(|problem| {
            problem.code == "manifest::syntax"
                || !broken.iter().any(|line| line.contains(&problem.span.start))
        });
        self.problems.sort_by(|a, b| {
            (a.span.start, a.span.end, a.code).cmp(&(b.span.start, b.span.end, b.code))
        });
        self.problems.dedup();
        self.problems
    }
}

/// How to mend the slips that are made most.
fn syntax_help(message: &str) -> Option<&'static str> {
    let slips = [
        ("must be quoted", "put the text in quotes: `\"…\"`"),
        ("basic string", "close the text with `\"`"),
        ("literal string", "close the text with `'`"),
        ("unclosed table", "close the name of the table with `]`"),
        ("unclosed array", "close the list with `]`"),
        ("unclosed inline table", "close the table with `}`"),
        ("missing assignment", "write `key = value`"),
        ("key with no value", "write `key = value`"),
        ("missing comma", "put a `,` between the two"),
        ("missing value", "write a value after the `=`"),
    ];
    slips.iter().find(|(part, _)| message.contains(part)).map(|(_, help)| *help)
}

/// The line that holds the byte `at`, with its line feed.
fn line_around(text: &str, at: usize) -> Range<usize> {
    let at = text.floor_char_boundary(at);
    let start = text[..at].rfind('\n').map_or(0, |feed| feed + 1);
    let end = text[at..].find('\n').map_or(text.len() + 1, |feed| at + feed + 1);
    start..end
}

/// Where the next table starts, seen from the start of a line.
fn next_header(text: &str, from: usize) -> usize {
    let rest = text.get(from..).unwrap_or_default();
    match rest.find("\n[") {
        _ if rest.starts_with('[') => from,
        Some(feed) => from + feed + 1,
        None => text.len() + 1,
    }
}

/// The help for a name that is not known: the nearest one, and all of them.
pub(super) fn known_names<'k>(
    given: &str,
    known: impl IntoIterator<Item = &'k str> + Clone,
) -> Option<String> {
    let all: Vec<_> = known.clone().into_iter().map(|name| format!("`{name}`")).collect();
    match nearest(given, known) {
        Some(name) => Some(format!("did you mean `{name}`?")),
        None if all.is_empty() => None,
        None => Some(format!("known here: {}", all.join(", "))),
    }
}
