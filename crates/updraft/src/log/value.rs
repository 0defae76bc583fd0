//! Values of fields, as they are written: as JSON or for eyes, without secrets, and bounded.

use std::fmt::{self, Write as _};

use tracing::field::{Field, Visit};

use super::redaction::{REDACTED, is_secret, scrubbed};

/// The longest text of one field, in bytes; what is longer is cut.
const VALUE_MOST: usize = 4 * 1024;

/// How lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// One JSON object.
    Json,
    /// For a terminal.
    Colour,
    /// For a terminal of somebody who set `NO_COLOR`.
    Plain,
}

/// A value that was recorded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Value<'a> {
    Bool(bool),
    Signed(i64),
    Unsigned(u64),
    Float(f64),
    Text(&'a str),
}

/// Gives each field to `each`. Texts that have to be made first are made in `scratch`.
pub(crate) struct Fields<'s, F> {
    pub(crate) scratch: &'s mut String,
    pub(crate) each: F,
}

impl<F: FnMut(&'static str, Value<'_>)> Fields<'_, F> {
    fn text(&mut self, field: &Field, write: impl FnOnce(&mut Bounded<'_>) -> fmt::Result) {
        self.scratch.clear();
        let mut bounded = Bounded { text: self.scratch, room: VALUE_MOST };
        // An error says that the text is full, which is all there is to it.
        write(&mut bounded).unwrap_or_default();
        (self.each)(field.name(), Value::Text(self.scratch));
    }
}

impl<F: FnMut(&'static str, Value<'_>)> Visit for Fields<'_, F> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        (self.each)(field.name(), Value::Float(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        (self.each)(field.name(), Value::Signed(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        (self.each)(field.name(), Value::Unsigned(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        (self.each)(field.name(), Value::Bool(value));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        (self.each)(field.name(), Value::Text(value));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.text(field, |text| {
            write!(text, "{value}")?;
            let mut source = value.source();
            while let Some(error) = source {
                write!(text, ": {error}")?;
                source = error.source();
            }
            Ok(())
        });
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.text(field, |text| write!(text, "{value:?}"));
    }
}

/// A text that takes no more than there is room for, so that a large value is not even made.
struct Bounded<'t> {
    text: &'t mut String,
    room: usize,
}

impl fmt::Write for Bounded<'_> {
    fn write_str(&mut self, more: &str) -> fmt::Result {
        if more.len() <= self.room {
            self.room -= more.len();
            self.text.push_str(more);
            return Ok(());
        }
        self.text.push_str(cut(more, self.room));
        self.text.push('…');
        self.room = 0;
        Err(fmt::Error)
    }
}

/// As much of a text as fits into so many bytes.
fn cut(text: &str, most: usize) -> &str {
    text.get(..text.floor_char_boundary(most)).unwrap_or_default()
}

impl Value<'_> {
    /// Writes the value of a field of this name.
    pub(super) fn write(self, name: &str, style: Style, out: &mut String) {
        let secret = is_secret(name);
        let written = match self {
            _ if secret && style == Style::Json => write!(out, "\"{REDACTED}\""),
            _ if secret => out.write_str(REDACTED),
            Self::Bool(value) => write!(out, "{value}"),
            Self::Signed(value) => write!(out, "{value}"),
            Self::Unsigned(value) => write!(out, "{value}"),
            // JSON has no word for what is no number.
            Self::Float(value) if !value.is_finite() => out.write_str("null"),
            Self::Float(value) => write!(out, "{value:?}"),
            Self::Text(text) => {
                let whole = text.len() <= VALUE_MOST + '…'.len_utf8();
                let clean = scrubbed(cut(text, if whole { text.len() } else { VALUE_MOST }));
                let end = if whole { "" } else { "…" };
                match style {
                    Style::Json => quoted(out, &clean, end),
                    Style::Colour | Style::Plain => {
                        printable(out, &clean);
                        out.push_str(end);
                    }
                }
                Ok(())
            }
        };
        // Writing to a String cannot fail, here and below.
        written.unwrap_or_default();
    }
}

/// A text as it stands in a line of JSON: scrubbed, bounded, quoted.
pub(crate) fn as_json(text: &str) -> String {
    let mut out = String::new();
    Value::Text(text).write("", Style::Json, &mut out);
    out
}

/// A JSON string (RFC 8259, §7).
pub(super) fn quoted(out: &mut String, text: &str, end: &str) {
    out.push('"');
    escaped(out, text);
    out.push_str(end);
    out.push('"');
}

/// The inside of a JSON string. Runs that need no escape are copied as they are.
pub(super) fn escaped(out: &mut String, text: &str) {
    let mut done = 0;
    for (at, byte) in text.bytes().enumerate() {
        if byte >= b' ' && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.push_str(text.get(done..at).unwrap_or_default());
        done = at + 1;
        match byte {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            _ => write!(out, "\\u{byte:04x}").unwrap_or_default(),
        }
    }
    out.push_str(text.get(done..).unwrap_or_default());
}

/// A text from outside must not steer the terminal.
fn printable(out: &mut String, text: &str) {
    out.extend(text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn json(name: &str, value: Value<'_>) -> String {
        let mut out = String::new();
        value.write(name, Style::Json, &mut out);
        out
    }

    #[test]
    fn numbers_stay_numbers_and_secrets_do_not_stay() {
        for (value, text) in [
            (Value::Signed(-3), "-3"),
            (Value::Unsigned(u64::MAX), "18446744073709551615"),
            (Value::Bool(true), "true"),
            (Value::Float(1.5), "1.5"),
            (Value::Float(1e300), "1e300"),
            (Value::Float(f64::NAN), "null"),
            (Value::Float(f64::INFINITY), "null"),
        ] {
            assert_eq!(json("n", value), text);
            assert_eq!(json("password", value), "\"[redacted]\"");
        }
    }

    #[test]
    fn a_long_text_is_cut_and_says_so() {
        let long = "ä".repeat(VALUE_MOST);
        let text = json("n", Value::Text(&long));
        assert!(text.len() <= VALUE_MOST + 8 && text.ends_with("…\""), "{}", text.len());
        let mut scratch = String::new();
        let mut bounded = Bounded { text: &mut scratch, room: 5 };
        assert!(write!(bounded, "{:?}", ["ab", "cd", "ef"]).is_err());
        assert_eq!(scratch, "[\"ab\"…");
    }

    proptest! {
        #[test]
        fn a_text_is_the_same_text_in_json(text in any::<String>()) {
            let mut out = String::new();
            quoted(&mut out, &text, "");
            prop_assert_eq!(serde_json::from_str::<String>(&out).unwrap(), text);
            prop_assert!(!out.contains('\n'));
        }

        #[test]
        fn a_number_is_the_same_number_in_json(number in any::<f64>()) {
            let text = json("n", Value::Float(number));
            let is_number = serde_json::from_str::<serde_json::Value>(&text).unwrap().is_number();
            prop_assert_eq!(is_number, number.is_finite());
            prop_assert!(!is_number || text.parse() == Ok(number));
        }
    }
}
