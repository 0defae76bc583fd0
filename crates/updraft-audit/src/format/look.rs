//! How verdicts look: marks, colours and words, the same in each format for people.

use anstyle::{AnsiColor, Style};

use crate::verdict::Verdict;

/// What the terminal of the reader can show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// Its columns. Less than 40 count as 40: text has to stand somewhere.
    pub width: usize,
    /// Whether to use colours.
    pub colour: bool,
    /// Whether it shows more than ASCII.
    pub unicode: bool,
}

impl Default for Look {
    fn default() -> Self {
        Self { width: 80, colour: false, unicode: true }
    }
}

impl Look {
    /// The mark of a verdict, one column wide.
    pub(super) const fn mark(self, verdict: Verdict) -> &'static str {
        if self.unicode { mark(verdict) } else { ascii(verdict) }
    }

    /// Where a line was cut.
    pub(super) const fn more(self) -> &'static str {
        if self.unicode { "…" } else { "..." }
    }

    /// Text in a style, where there are colours.
    pub(super) fn paint(self, style: Style, text: &str) -> String {
        if self.colour { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }
}

pub(super) const fn mark(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "✓",
        Verdict::Info => "·",
        Verdict::NotApplicable => "–",
        Verdict::Waived => "○",
        Verdict::Warn => "▲",
        Verdict::Flaky => "≈",
        Verdict::Unknown => "?",
        Verdict::Fail => "✗",
    }
}

const fn ascii(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "+",
        Verdict::Info => ".",
        Verdict::NotApplicable => "-",
        Verdict::Waived => "o",
        Verdict::Warn => "!",
        Verdict::Flaky => "~",
        Verdict::Unknown => "?",
        Verdict::Fail => "X",
    }
}

pub(super) const fn style(verdict: Verdict) -> Style {
    match verdict {
        Verdict::Pass => AnsiColor::Green.on_default(),
        Verdict::Info | Verdict::NotApplicable => Style::new().dimmed(),
        Verdict::Waived => AnsiColor::Blue.on_default(),
        Verdict::Warn | Verdict::Flaky => AnsiColor::Yellow.on_default().bold(),
        Verdict::Unknown => AnsiColor::Magenta.on_default(),
        Verdict::Fail => AnsiColor::Red.on_default().bold(),
    }
}

/// A verdict for people.
pub(super) const fn words(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::NotApplicable => "not applicable",
        other => other.as_str(),
    }
}
