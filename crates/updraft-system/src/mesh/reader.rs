//! Reads the configuration of a gateway from text. Each mistake in its form is found, not
//! only the first: what is wrong is set aside, and the rest is read again.

use std::collections::BTreeSet;

use serde::Deserialize as _;
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue, ValueDeserializer};

use super::problems::Pointer;
use super::{GatewayConfig, GatewayProblem, Place, Severity};
use crate::Span;

/// The most mistakes that are looked for; each takes another reading of the whole.
const MISTAKES_MAX: usize = 64;

type Node<'t> = Spanned<DeValue<'t>>;

impl GatewayConfig {
    /// Reads TOML.
    ///
    /// # Errors
    ///
    /// All that is wrong with its form, or else all that [`problems`](Self::problems) finds
    /// where one of that is an error; each with its line and column.
    pub fn from_toml(text: &str) -> Result<Self, Vec<GatewayProblem>> {
        let (root, errors) = DeTable::parse_recoverable(text);
        let place = |span: &Span| Some(place(text, span.start));
        if !errors.is_empty() {
            let syntax = |error: &toml::de::Error| GatewayProblem {
                pointer: String::new(),
                message: format!("this is not TOML: {}", error.message()),
                severity: Severity::Error,
                place: place(&error.span().unwrap_or_default()),
            };
            return Err(errors.iter().map(syntax).collect());
        }
        let span = root.span();
        let root = Spanned::new(span, DeValue::Table(root.into_inner()));
        read(&root, Vec::new(), place)
    }

    /// Reads JSON. A key that is `null` counts as absent.
    ///
    /// # Errors
    ///
    /// As those of [`from_toml`](Self::from_toml), but only mistakes in the syntax have a line
    /// and a column.
    pub fn from_json(text: &str) -> Result<Self, Vec<GatewayProblem>> {
        let value: serde_json::Value = match serde_json::from_str(text) {
            Ok(value) => value,
            Err(error) => {
                return Err(vec![GatewayProblem {
                    pointer: String::new(),
                    message: format!("this is not JSON: {error}"),
                    severity: Severity::Error,
                    // An end at the begin of a line has the column 0.
                    place: Some(Place { line: error.line(), column: error.column().max(1) }),
                }]);
            }
        };
        let mut texts = Vec::new();
        numbers(&value, &mut texts);
        let mut tree = Tree { next: 0, numbers: texts.iter(), problems: Vec::new() };
        let root = tree.node(value, &Pointer::default());
        read(&root, tree.problems, |_| None)
    }
}

/// `problems` were found before; `place` tells where a span of the tree is in the text.
fn read(
    root: &Node<'_>,
    mut problems: Vec<GatewayProblem>,
    place: impl Fn(&Span) -> Option<Place>,
) -> Result<GatewayConfig, Vec<GatewayProblem>> {
    let mut rest = root.clone();
    let mut gone: BTreeSet<String> = BTreeSet::new();
    while problems.len() < MISTAKES_MAX {
        let error = match GatewayConfig::deserialize(ValueDeserializer::from(rest.clone())) {
            Ok(config) if problems.is_empty() => return sound(config, root, place),
            Ok(_) => break,
            Err(error) => error,
        };
        let span = error.span().unwrap_or_else(|| root.span());
        let items = wrong_items(&rest, &span);
        if !items.is_empty() {
            for (item, message) in items {
                let pointer = find(root, &item, &Pointer::default()).unwrap_or_default();
                problems.push(GatewayProblem {
                    pointer: pointer.into_text(),
                    message,
                    severity: Severity::Error,
                    place: place(&item),
                });
                remove(&mut rest, &item);
            }
            continue;
        }
        let pointer = find(root, &span, &Pointer::default()).unwrap_or_default().into_text();
        let follows =
            missing(error.message()).is_some_and(|key| gone.contains(&format!("{pointer}/{key}")));
        if !follows {
            problems.push(GatewayProblem {
                pointer: pointer.clone(),
                message: error.message().to_owned(),
                severity: Severity::Error,
                place: place(&span),
            });
        }
        let removed = remove(&mut rest, &span);
        gone.insert(pointer);
        if !removed {
            break;
        }
    }
    problems.sort_by(|a, b| (a.place, &a.pointer).cmp(&(b.place, &b.pointer)));
    Err(problems)
}

/// Which items of the list at `span` are wrong: an error in a list of texts has the place of
/// the list, so each item is tried alone.
fn wrong_items(root: &Node<'_>, span: &Span) -> Vec<(Span, String)> {
    let mut only = root.clone();
    let Some(items) = list(&mut only, span).map(|items| items.clone()) else {
        return Vec::new();
    };
    let mut wrong = Vec::new();
    for item in items.into_iter().take(MISTAKES_MAX) {
        let place = item.span();
        if let Some(list) = list(&mut only, span) {
            *list = DeArray::new();
            list.push(item);
        }
        let read = GatewayConfig::deserialize(ValueDeserializer::from(only.clone()));
        if let Err(error) = read
            && error.span().is_some_and(|found| found == *span)
        {
            wrong.push((place, error.message().to_owned()));
        }
    }
    wrong
}

/// The list of texts at `span`.
fn list<'n, 't>(node: &'n mut Node<'t>, span: &Span) -> Option<&'n mut DeArray<'t>> {
    let here = node.span() == *span;
    match node.get_mut() {
        DeValue::Table(table) => table.iter_mut().find_map(|(_, value)| list(value, span)),
        DeValue::Array(items) => {
            if here && items.iter().all(|item| item.get_ref().is_str()) {
                Some(items)
            } else {
                items.iter_mut().find_map(|item| list(item, span))
            }
        }
        _ => None,
    }
}

/// What has the right form must have a sound meaning as well.
fn sound(
    config: GatewayConfig,
    root: &Node<'_>,
    place: impl Fn(&Span) -> Option<Place>,
) -> Result<GatewayConfig, Vec<GatewayProblem>> {
    let mut problems = config.problems();
    if problems.iter().all(|problem| problem.severity == Severity::Warning) {
        return Ok(config);
    }
    for problem in &mut problems {
        problem.place = place(&locate(root, &problem.pointer));
    }
    problems.sort_by(|a, b| (a.place, &a.pointer).cmp(&(b.place, &b.pointer)));
    Err(problems)
}

/// The key that a message of serde's tells to be missing.
fn missing(message: &str) -> Option<&str> {
    message.strip_prefix("missing field `")?.strip_suffix('`')
}

/// The innermost value whose place, or that of its key, is `span`.
fn find(node: &Node<'_>, span: &Span, at: &Pointer) -> Option<Pointer> {
    let inner = match node.get_ref() {
        DeValue::Table(table) => table.iter().find_map(|(key, value)| {
            let at = at.key(key.get_ref());
            find(value, span, &at).or_else(|| (key.span() == *span).then_some(at))
        }),
        DeValue::Array(items) => {
            let mut items = items.iter().enumerate();
            items.find_map(|(position, item)| find(item, span, &at.key(position)))
        }
        _ => None,
    };
    inner.or_else(|| (node.span() == *span).then(|| at.clone()))
}

/// Takes out what [`find`] finds; the root stays.
fn remove(node: &mut Node<'_>, span: &Span) -> bool {
    match node.get_mut() {
        DeValue::Table(table) => {
            if table.iter_mut().any(|(_, value)| remove(value, span)) {
                return true;
            }
            let mut entries = table.iter();
            let found = entries.find(|(key, value)| key.span() == *span || value.span() == *span);
            let key = found.map(|(key, _)| key.get_ref().clone());
            key.is_some_and(|key| table.remove(&*key).is_some())
        }
        DeValue::Array(items) => {
            if items.iter_mut().any(|item| remove(item, span)) {
                return true;
            }
            let before = items.len();
            let kept = items.iter().filter(|item| item.span() != *span).cloned();
            *items = kept.collect::<DeArray<'_>>();
            items.len() != before
        }
        _ => false,
    }
}

/// The place of what a pointer leads to, or of the last that is there on the way.
fn locate(root: &Node<'_>, pointer: &str) -> Span {
    let mut node = root;
    let mut span = root.span();
    for segment in pointer.split('/').skip(1) {
        let key = segment.replace("~1", "/").replace("~0", "~");
        match node.get_ref() {
            DeValue::Table(table) => {
                let Some((found, value)) = table.get_key_value(key.as_str()) else {
                    return span;
                };
                (span, node) = (found.span(), value);
            }
            DeValue::Array(items) => {
                let item = key.parse().ok().and_then(|position: usize| items.get(position));
                let Some(item) = item else {
                    return span;
                };
                (span, node) = (item.span(), item);
            }
            _ => return span,
        }
    }
    span
}

fn place(text: &str, at: usize) -> Place {
    let before = text.get(..text.floor_char_boundary(at)).unwrap_or_default();
    let line = before.rsplit('\n').next().unwrap_or_default();
    Place { line: 1 + before.matches('\n').count(), column: 1 + line.chars().count() }
}

/// The numbers of a value in the order in which [`Tree`] meets them: it borrows their texts.
fn numbers(value: &serde_json::Value, texts: &mut Vec<String>) {
    match value {
        serde_json::Value::Number(number) => texts.push(number.to_string()),
        serde_json::Value::Array(items) => items.iter().for_each(|item| numbers(item, texts)),
        serde_json::Value::Object(fields) => {
            fields.values().for_each(|value| numbers(value, texts));
        }
        _ => {}
    }
}

/// Makes a tree of a JSON value, whose spans are numbers of its nodes.
struct Tree<'t> {
    next: usize,
    numbers: std::slice::Iter<'t, String>,
    problems: Vec<GatewayProblem>,
}

impl<'t> Tree<'t> {
    fn span(&mut self) -> Span {
        self.next += 1;
        self.next - 1..self.next
    }

    fn node(&mut self, value: serde_json::Value, at: &Pointer) -> Node<'t> {
        use serde_json::Value;
        let span = self.span();
        let value = match value {
            Value::Null => {
                self.problems.push(GatewayProblem {
                    pointer: at.clone().into_text(),
                    message: "there is a `null` where a value must be".to_owned(),
                    severity: Severity::Error,
                    place: None,
                });
                DeValue::Boolean(false)
            }
            Value::Bool(flag) => DeValue::Boolean(flag),
            Value::Number(_) => {
                let text = self.numbers.next().map_or("", String::as_str);
                // What TOML does not take for a number has the wrong type as a text, too.
                DeValue::parse(text).map_or(DeValue::String(text.into()), Spanned::into_inner)
            }
            Value::String(text) => DeValue::String(text.into()),
            Value::Array(items) => {
                let items = items.into_iter().enumerate();
                DeValue::Array(items.map(|(n, item)| self.node(item, &at.key(n))).collect())
            }
            Value::Object(fields) => {
                let mut table = DeTable::new();
                for (key, value) in fields {
                    if !value.is_null() {
                        let span = self.span();
                        let value = self.node(value, &at.key(&key));
                        table.insert(Spanned::new(span, key.into()), value);
                    }
                }
                DeValue::Table(table)
            }
        };
        Spanned::new(span, value)
    }
}

#[cfg(test)]
#[path = "reader_tests.rs"]
mod tests;
