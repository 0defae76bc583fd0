//! The form of one line of the log. JSON is the contract; the other forms are for eyes.

use std::fmt::Write as _;

use super::{Fields, Identity};

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

/// Names that the line itself uses: a field of the same name gets a `_` behind it.
const RESERVED: [&str; 6] = ["time", "level", "message", "target", "service", "process"];

/// One event.
#[derive(Debug)]
pub(super) struct Line<'a> {
    pub(super) time: jiff::Timestamp,
    pub(super) level: tracing::Level,
    pub(super) target: &'a str,
    pub(super) identity: Identity,
    pub(super) fields: Fields,
}

impl Line<'_> {
    /// The line with its line feed.
    pub(super) fn render(mut self, style: Style) -> String {
        let message = match self.fields.take("message") {
            Some(serde_json::Value::String(text)) => text,
            Some(other) => other.to_string(),
            None => String::new(),
        };
        let mut line = match style {
            Style::Json => self.json(&message),
            Style::Colour => self.readable(&message, true),
            Style::Plain => self.readable(&message, false),
        };
        line.push('\n');
        line
    }

    fn json(&self, message: &str) -> String {
        let mut text = String::with_capacity(256);
        // Writing to a String cannot fail, so the results say nothing.
        let _ = write!(text, r#"{{"time":"{:.6}","level":"{}""#, self.time, self.level);
        let own = [
            ("message", message),
            ("target", self.target),
            ("service", self.identity.service),
            ("process", self.identity.process),
        ];
        for (name, value) in own {
            let _ = write!(text, r#","{name}":{}"#, serde_json::Value::from(value));
        }
        for (name, value) in self.fields.iter() {
            let mark = if RESERVED.contains(&name) { "_" } else { "" };
            let key = serde_json::Value::from(format!("{name}{mark}"));
            let _ = write!(text, ",{key}:{value}");
        }
        text.push('}');
        text
    }

    fn readable(&self, message: &str, colour: bool) -> String {
        let paint = |code: &str, text: &str| {
            if colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
        };
        let code = match self.level {
            tracing::Level::ERROR => "31",
            tracing::Level::WARN => "33",
            tracing::Level::INFO => "32",
            _ => "2",
        };
        let time = self.time.strftime("%H:%M:%S%.3f").to_string();
        let level = format!("{:>5}", self.level.as_str());
        let mut text =
            format!("{} {} {}", paint("2", &time), paint(code, &level), printable(message));
        for (name, value) in self.fields.iter() {
            let value = match value {
                serde_json::Value::String(value) => printable(value),
                other => other.to_string(),
            };
            let _ = write!(text, " {}{value}", paint("2", &format!("{name}=")));
        }
        text
    }
}

/// A text from outside must not steer the terminal.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line() -> Line<'static> {
        let mut fields = Fields::default();
        fields.set("message", "order \"placed\"\nreally");
        fields.set("level", "high");
        fields.set("quantity", 3);
        fields.set("request_id", "abc");
        Line {
            time: jiff::Timestamp::UNIX_EPOCH,
            level: tracing::Level::INFO,
            target: "orders::web",
            identity: Identity { service: "orders", process: "web" },
            fields,
        }
    }

    #[test]
    fn the_json_form_is_one_object_on_one_line() {
        assert_eq!(
            line().render(Style::Json),
            concat!(
                r#"{"time":"1970-01-01T00:00:00.000000Z","level":"INFO","#,
                r#""message":"order \"placed\"\nreally","target":"orders::web","#,
                r#""service":"orders","process":"web","level_":"high","quantity":3,"#,
                r#""request_id":"abc"}"#,
                "\n"
            )
        );
    }

    #[test]
    fn the_readable_form_lets_no_control_character_through() {
        let text = line().render(Style::Plain);
        assert_eq!(
            text,
            "00:00:00.000  INFO order \"placed\"\u{fffd}really level=high quantity=3 request_id=abc\n"
        );
    }
}
