//! What a client has saved, and how it stands in later requests: `{name}` in a path and in the
//! strings of a body.

use std::collections::BTreeMap;

use serde_json::Value;

/// A word that differs in each journey, so that it can be walked twice on one database.
const UNIQUE: &str = "unique";

/// Values by name.
#[derive(Clone, Debug)]
pub(super) struct Saved(BTreeMap<String, Value>);

impl Saved {
    /// Nothing but `{unique}`.
    pub(super) fn new() -> Self {
        let unique: String = std::iter::repeat_with(fastrand::lowercase).take(12).collect();
        Self(BTreeMap::from([(UNIQUE.to_owned(), Value::String(unique))]))
    }

    /// What is kept under a name.
    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// Keeps a value.
    pub(super) fn insert(&mut self, name: String, value: Value) {
        self.0.insert(name, value);
    }

    /// A path with what is saved, percent-encoded (RFC 3986, 2.1).
    pub(super) fn path(&self, path: &str) -> String {
        self.filled(path, |value| encoded(&plain(value)))
    }

    /// The text of a body with what is saved.
    pub(super) fn json(&self, text: &str) -> String {
        match serde_json::from_str(text) {
            Ok(body) => self.value(&body).to_string(),
            Err(_) => self.filled(text, plain),
        }
    }

    /// A JSON value with what is saved. A string that is nothing but `{name}` becomes the value
    /// with its type.
    pub(super) fn value(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => {
                let name = text.strip_prefix('{').and_then(|text| text.strip_suffix('}'));
                match name.and_then(|name| self.0.get(name)) {
                    Some(whole) => whole.clone(),
                    None => Value::String(self.filled(text, plain)),
                }
            }
            Value::Array(items) => items.iter().map(|item| self.value(item)).collect(),
            Value::Object(fields) => {
                fields.iter().map(|(name, value)| (name.clone(), self.value(value))).collect()
            }
            other => other.clone(),
        }
    }

    /// What was put in is not looked at again.
    fn filled(&self, text: &str, written: impl Fn(&Value) -> String) -> String {
        let mut filled = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            filled.push_str(before);
            let known = after
                .split_once('}')
                .and_then(|(name, after)| self.0.get(name).map(|value| (value, after)));
            rest = match known {
                Some((value, after)) => {
                    filled.push_str(&written(value));
                    after
                }
                None => {
                    filled.push('{');
                    after
                }
            };
        }
        filled.push_str(rest);
        filled
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}
