//! All findings about a manifest in one report: for people by miette, for programs as JSON.

use std::fmt;
use std::path::PathBuf;

use miette::{
    Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, Severity,
    SourceCode,
};
use serde_json::{Value, json};
use updraft_system::Problem;

use crate::output::stderr_is_terminal;

/// The widest a report becomes on a terminal.
const WIDTH_MAX: usize = 120;

/// What is wrong with a manifest.
#[derive(Debug)]
pub(crate) struct ManifestProblems {
    pub(crate) file: PathBuf,
    pub(crate) text: String,
    pub(crate) problems: Vec<Problem>,
}

impl ManifestProblems {
    /// The report for stderr as it is: with colour on a terminal, plain elsewhere.
    pub(crate) fn to_text(&self) -> String {
        let terminal = stderr_is_terminal();
        let handler = match (terminal, std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())) {
            (true, true) => GraphicalReportHandler::new_themed(GraphicalTheme::unicode()),
            (true, false) => GraphicalReportHandler::new_themed(GraphicalTheme::unicode_nocolor()),
            (false, _) => plain(),
        };
        let width = console_width().min(WIDTH_MAX);
        self.render(&if terminal { handler.with_width(width) } else { handler })
    }

    /// The report as one JSON object.
    pub(crate) fn to_json(&self) -> Value {
        let problems: Vec<Value> = self
            .problems
            .iter()
            .map(|problem| {
                let (line, column) = position(&self.text, problem.span.start);
                json!({
                    "file": self.file,
                    "line": line,
                    "column": column,
                    "code": problem.code,
                    "message": problem.message,
                    "help": problem.help,
                })
            })
            .collect();
        json!({ "error": self.summary(), "exit": 2, "problems": problems })
    }

    fn summary(&self) -> String {
        let count = self.problems.len();
        let noun = if count == 1 { "problem" } else { "problems" };
        format!("{count} {noun} in {}", self.file.display())
    }

    fn render(&self, handler: &GraphicalReportHandler) -> String {
        let source = NamedSource::new(self.file.display().to_string(), self.text.clone());
        let mut report = String::new();
        for problem in &self.problems {
            let finding = Finding { problem, source: &source };
            if handler.render_report(&mut report, &finding).is_err() {
                // A span outside the text: the sentence is still worth its line.
                report.push_str(&problem.message);
            }
            report.push('\n');
        }
        report.push_str(&self.summary());
        report.push('\n');
        report
    }
}

fn plain() -> GraphicalReportHandler {
    // Lines are not wrapped: a program that reads them finds each sentence whole.
    GraphicalReportHandler::new_themed(GraphicalTheme::none()).with_wrap_lines(false)
}

fn console_width() -> usize {
    let size = rustix::termios::tcgetwinsize(std::io::stderr());
    size.map_or(80, |size| usize::from(size.ws_col)).max(40)
}

/// Line and column of a byte, both from 1; the column counts characters.
fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |end| end + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

/// One problem as miette wants it.
struct Finding<'a> {
    problem: &'a Problem,
    source: &'a NamedSource<String>,
}

impl fmt::Debug for Finding<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.problem.fmt(f)
    }
}

impl fmt::Display for Finding<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problem.message)
    }
}

impl std::error::Error for Finding<'_> {}

impl Diagnostic for Finding<'_> {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(self.problem.code))
    }

    fn severity(&self) -> Option<Severity> {
        Some(Severity::Error)
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.problem.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(self.source)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let label = (!self.problem.label.is_empty()).then(|| self.problem.label.clone());
        let span = self.problem.span.clone();
        Some(Box::new(std::iter::once(LabeledSpan::new_with_span(label, span))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two_problems() -> ManifestProblems {
        let text = "system = \"shop\"\n[service.äpi]\nrun = \"./api\"\nrute = \"/\"\n".to_owned();
        let name = text.find("äpi").unwrap();
        let key = text.find("rute").unwrap();
        let problem = |code, message: &str, span, help: Option<&str>| Problem {
            code,
            message: message.to_owned(),
            span,
            label: "here".to_owned(),
            help: help.map(str::to_owned),
        };
        ManifestProblems {
            file: "shop/updraft.toml".into(),
            problems: vec![
                problem("manifest::name", "`äpi` is not a name", name..name + "äpi".len(), None),
                problem(
                    "manifest::unknown_key",
                    "unknown key `rute`",
                    key..key + 4,
                    Some("did you mean `route`?"),
                ),
            ],
            text,
        }
    }

    #[test]
    fn the_plain_report_has_each_place_with_its_source_line_and_help() {
        insta::assert_snapshot!(two_problems().render(&plain()));
    }

    #[test]
    fn the_json_report_has_each_place() {
        insta::assert_json_snapshot!(two_problems().to_json());
    }

    #[test]
    fn positions_count_lines_and_characters_from_one() {
        let text = "a\nöb\n";
        assert_eq!(position(text, 0), (1, 1));
        assert_eq!(position(text, 2), (2, 1));
        assert_eq!(position(text, 4), (2, 2));
        assert_eq!(position(text, text.len()), (3, 1));
        assert_eq!(position("", 0), (1, 1));
    }
}
