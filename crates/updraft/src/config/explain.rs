//! What the process reads, where each value comes from, and what it is, as far as it may be
//! shown: for people as a table, for programs as JSON.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::Config;
use super::declared::{Declared, Group, Origin, Outcome};
use super::example::GROUPS;

impl Config {
    /// The table of all variables.
    pub(crate) fn explanation(&self) -> String {
        let width = self.declared().iter().map(|it| it.variable.len()).max().unwrap_or_default();
        let mut text = String::new();
        for (group, title) in GROUPS {
            let mut variables = self.declared().iter().filter(|it| it.group == group).peekable();
            if variables.peek().is_none() {
                continue;
            }
            let gap = if text.is_empty() { "" } else { "\n" };
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{gap}{title}");
            for declared in variables {
                let (source, value) = (declared.source(), declared.value());
                let name = declared.variable;
                let _ = writeln!(text, "  {name:width$}  {source:11}  {}", escaped(&value));
            }
        }
        text
    }

    /// All variables as JSON.
    pub(crate) fn explanation_json(&self) -> Value {
        json!({ "variables": self.declared().iter().map(Declared::json).collect::<Vec<_>>() })
    }

    /// What the process is attached to, and where, without connecting.
    pub(crate) fn attachments(&self) -> String {
        let rows: Vec<_> = self
            .places()
            .map(|it| {
                [
                    it.field.unwrap_or_default().to_owned(),
                    it.variable.to_owned(),
                    it.source().to_owned(),
                    it.value(),
                ]
            })
            .collect();
        let head = ["NAME", "VARIABLE", "SOURCE", "WHERE"].map(str::to_owned);
        let width = |column: usize| {
            rows.iter().chain([&head]).filter_map(|row| row.get(column)).map(String::len).max()
        };
        let widths = [0, 1, 2].map(|column| width(column).unwrap_or_default());
        let [name, variable, source] = widths;
        let mut text = String::new();
        for [of_name, of_variable, of_source, place] in [&head].into_iter().chain(&rows) {
            let place = escaped(place);
            let _ = writeln!(
                text,
                "{of_name:name$}  {of_variable:variable$}  {of_source:source$}  {place}"
            );
        }
        text
    }

    /// The variables that say where something is attached, without those of how it is used.
    fn places(&self) -> impl Iterator<Item = &Declared> {
        let attached = |it: &&Declared| it.group == Group::Attachment;
        self.declared().iter().filter(attached).filter(|it| it.variable.ends_with("_URL"))
    }

    /// The same as JSON.
    pub(crate) fn attachments_json(&self) -> Value {
        let rows = self.places().map(|declared| {
            let place = match &declared.outcome {
                Outcome::Value { shown, .. } => Some(shown.as_str()),
                Outcome::NotSet | Outcome::Wrong => None,
            };
            json!({
                "name": declared.field,
                "variable": declared.variable,
                "source": declared.source(),
                "kind": place.and_then(|place| place.split_once(':')).map(|(kind, _)| kind),
                "where": place,
                "shared": declared.shared,
            })
        });
        json!({ "attachments": rows.collect::<Vec<_>>() })
    }

    /// All variables for `--help`, with what they are.
    pub(crate) fn help(&self) -> String {
        let mut text = String::from(
            "Environment variables, each of which may come from a file that NAME_FILE names:\n",
        );
        let width = self.declared().iter().map(|it| it.variable.len()).max().unwrap_or_default();
        for (group, title) in GROUPS {
            let mut variables = self.declared().iter().filter(|it| it.group == group).peekable();
            if variables.peek().is_some() {
                let _ = writeln!(text, "\n{title}:");
            }
            for declared in variables {
                let about = declared.about;
                let _ =
                    writeln!(text, "  {:width$}  {about} [{}]", declared.variable, declared.need());
            }
        }
        text
    }
}

impl Declared {
    /// Where the value comes from, in one word.
    fn source(&self) -> &'static str {
        match &self.outcome {
            Outcome::Value { origin: Origin::Environment, .. } => "environment",
            Outcome::Value { origin: Origin::File, .. } => "file",
            Outcome::Value { origin: Origin::Default, .. } => "default",
            Outcome::NotSet => "not set",
            Outcome::Wrong => "wrong",
        }
    }

    fn value(&self) -> String {
        match &self.outcome {
            Outcome::Value { shown, .. } => shown.clone(),
            Outcome::NotSet => "-".to_owned(),
            Outcome::Wrong => "(config check says what is wrong)".to_owned(),
        }
    }

    fn json(&self) -> Value {
        let value = match &self.outcome {
            Outcome::Value { shown, .. } => Some(shown),
            Outcome::NotSet | Outcome::Wrong => None,
        };
        let group = match self.group {
            Group::Service => "service",
            Group::Attachment => "attachment",
            Group::Chassis => "chassis",
        };
        json!({
            "variable": self.variable,
            "group": group,
            "about": self.about,
            "expected": self.expected,
            "required": self.required,
            "secret": self.secret,
            "default": self.default,
            "source": self.source(),
            "value": value,
        })
    }

    /// Whether it must be set, in few words.
    fn need(&self) -> String {
        match (&self.default, self.required) {
            (_, true) => "required".to_owned(),
            (Some(default), false) => format!("default: {}", escaped(default)),
            (None, false) => "may be missing".to_owned(),
        }
    }
}

/// A value that cannot steer a terminal, on one line.
pub(crate) fn escaped(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for letter in text.chars() {
        if letter.is_control() {
            plain.extend(letter.escape_default());
        } else {
            plain.push(letter);
        }
    }
    plain
}
