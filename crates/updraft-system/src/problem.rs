//! What is wrong with a manifest, where, and how to mend it.

use std::ops::Range;

use serde::Serialize;

/// Bytes of the manifest's text.
pub type Span = Range<usize>;

/// One finding about a manifest. All findings of a text are reported together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// A stable name for this class of problem, such as `manifest::unknown_key`.
    pub code: &'static str,
    /// What is wrong, in one sentence without a full stop.
    pub message: String,
    /// Where it is.
    pub span: Span,
    /// What to print under the place.
    pub label: String,
    /// How to mend it; the nearest known name, where there is one.
    pub help: Option<String>,
}

impl Problem {
    /// The line and the column, both from 1 and the column in characters, at
    /// which the problem starts in the `text` it was found in.
    pub fn line_column(&self, text: &str) -> (usize, usize) {
        let before = &text[..text.floor_char_boundary(self.span.start)];
        let line_start = before.rfind('\n').map_or(0, |feed| feed + 1);
        (1 + before.matches('\n').count(), 1 + before[line_start..].chars().count())
    }
}
