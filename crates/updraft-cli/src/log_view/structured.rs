//! Programs that log JSON do it for machines; on a terminal a person reads along.

use std::borrow::Cow;

use serde_json::{Map, Value};
use updraft_system::LogSource;

/// What a line of JSON says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Structured {
    pub(super) level: Option<String>,
    pub(super) message: String,
    /// All other keys, as `key=value`.
    pub(super) fields: String,
}

/// Reads a line that is a JSON object with a message; anything else is shown as it is.
/// The time is left out, as the log has its own, and so is what the source says already.
pub(super) fn read_structured(text: &str, source: &LogSource) -> Option<Structured> {
    if !text.starts_with('{') {
        return None;
    }
    let mut object: Map<String, Value> = serde_json::from_str(text).ok()?;
    let message = take_text(&mut object, &["message", "msg"])?;
    let level = take_text(&mut object, &["level", "severity"]).map(|level| level.to_uppercase());
    for time in ["time", "timestamp", "ts"] {
        object.remove(time);
    }
    for (key, name) in [("service", &source.service), ("process", &source.process)] {
        if object.get(key).and_then(Value::as_str) == Some(name.as_str()) {
            object.remove(key);
        }
    }
    let fields = object.iter().map(|(key, value)| format!("{key}={}", shown(value)));
    Some(Structured { level, message, fields: fields.collect::<Vec<_>>().join(" ") })
}

fn take_text(object: &mut Map<String, Value>, keys: &[&str]) -> Option<String> {
    let key = keys.iter().find(|key| object.get(**key).is_some_and(Value::is_string))?;
    match object.remove(*key)? {
        Value::String(text) => Some(text),
        _ => None,
    }
}

/// A value without the quotes that it can do without.
fn shown(value: &Value) -> Cow<'_, str> {
    match value {
        Value::String(text) if is_plain(text) => Cow::Borrowed(text),
        other => Cow::Owned(other.to_string()),
    }
}

fn is_plain(text: &str) -> bool {
    let needs_quotes = |char: char| char.is_whitespace() || matches!(char, '"' | '=' | '{' | '[');
    !text.is_empty() && !text.contains(needs_quotes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_table() {
        let source = LogSource::new("orders".parse().unwrap(), "web".parse().unwrap(), 1);
        for (text, expected) in [
            (
                r#"{"time":"2026-11-24T10:00:00Z","level":"info","message":"order placed","service":"orders","process":"web","id":7,"sku":"tea","note":"two words"}"#,
                Some(("INFO", "order placed", r#"id=7 note="two words" sku=tea"#)),
            ),
            (
                r#"{"severity":"WARN","msg":"slow","service":"other","tags":["a"],"empty":""}"#,
                Some(("WARN", "slow", r#"empty="" service=other tags=["a"]"#)),
            ),
            (r#"{"message":"no level"}"#, Some(("", "no level", ""))),
            (r#"{"message":7}"#, None),
            (r#"{"level":"info"}"#, None),
            (r#"{"message":"cut"#, None),
            (r#"["message"]"#, None),
            ("plain", None),
        ] {
            let got = read_structured(text, &source);
            let got = got.as_ref().map(|line| {
                (line.level.as_deref().unwrap_or(""), line.message.as_str(), line.fields.as_str())
            });
            assert_eq!(got, expected, "{text}");
        }
    }
}
