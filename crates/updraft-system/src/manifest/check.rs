//! Holds a tree of TOML values against the table of keys: unknown and missing
//! keys, wrong types, values out of their bounds, and what is not built yet.

use toml::de::{DeTable, DeValue};

use super::keys::homes;
use super::report::{Report, known_names};
use super::scalar;
use super::shape::{Absent, Key, Label, Record, Shape, Tagged, Unbuilt, Variant, alternatives};
use crate::Span;
use crate::nearest;

/// A value with its place in the text.
pub(super) type Value<'a> = toml::Spanned<DeValue<'a>>;

/// Reports everything in which `value`, found under `key`, differs from `shape`.
pub(super) fn value(shape: &Shape, key: &str, value: &Value<'_>, report: &mut Report<'_>) {
    let kind = value.get_ref().type_str();
    if !shape.takes(kind) {
        wrong_type(shape, &format!("`{key}`"), value, report);
        return;
    }
    match (shape, value.get_ref()) {
        (Shape::Either(shapes), _) => {
            if let Some(one) = shapes.iter().find(|one| one.takes(kind)) {
                self::value(one, key, value, report);
            }
        }
        (Shape::Unbuilt(unbuilt), _) => {
            refuse(unbuilt, value.span(), report);
            self::value(&unbuilt.shape, key, value, report);
        }
        (Shape::Record(one), DeValue::Table(table)) => {
            record(one, table, &value.span(), report);
        }
        (Shape::Tagged(one), DeValue::Table(table)) => {
            tagged(one, table, &value.span(), report);
        }
        (Shape::Map(label, each), DeValue::Table(table)) => map(*label, each, table, report),
        (Shape::List(each), DeValue::Array(items)) => {
            for item in items.iter() {
                if each.takes(item.get_ref().type_str()) {
                    self::value(each, key, item, report);
                } else {
                    wrong_type(each, &format!("each item of `{key}`"), item, report);
                }
            }
        }
        (_, found) => scalar::check(shape, key, found, &value.span(), report),
    }
}

fn wrong_type(shape: &Shape, what: &str, value: &Value<'_>, report: &mut Report<'_>) {
    let kind = value.get_ref().type_str();
    let message = format!("{what} must be {}, not {}", shape.describe(), with_article(kind));
    let help = match (shape, kind) {
        (Shape::List(_), _) => "put it into a list: `[…]`".to_owned(),
        (_, "string") if !shape.takes("table") => "write it without quotes".to_owned(),
        (_, "integer" | "float" | "boolean") if shape.takes("string") => {
            "put it in quotes".to_owned()
        }
        _ => format!("write {}", shape.describe()),
    };
    report.add("manifest::wrong_type", value.span(), message, format!("{kind} here"), help);
}

/// Reports everything in which `table` differs from `record`.
pub(super) fn record(record: &Record, table: &DeTable<'_>, span: &Span, report: &mut Report<'_>) {
    keys(record.keys, None, table, span, report);
    let names = record.exactly_one;
    let given: Vec<_> = names.iter().filter_map(|name| table.get_key_value(*name)).collect();
    let quoted: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
    match given.as_slice() {
        [] if !names.is_empty() && !report.is_damaged() => {
            let message = format!("{} is missing", alternatives(&quoted));
            let help = format!("give one of {}", quoted.join(", "));
            report.add("manifest::missing", span.clone(), message, "in this table", help);
        }
        [(first, _), rest @ ..] => {
            for (key, _) in rest {
                let message = format!("`{first}` and `{key}` exclude each other");
                let label = format!("beside `{first}`");
                let help = format!("keep one of {}", quoted.join(", "));
                report.add("manifest::exclusive", key.span(), message, label, help);
            }
        }
        [] => {}
    }
}

fn tagged(tagged: &Tagged, table: &DeTable<'_>, span: &Span, report: &mut Report<'_>) {
    let words = tagged.variants.iter().filter(|one| one.unbuilt.is_none()).map(|one| one.name);
    let Some(tag) = table.get(tagged.tag) else {
        let words: Vec<_> = words.map(|word| format!("\"{word}\"")).collect();
        missing(tagged.tag, &format!("one of {}", words.join(", ")), span, report);
        return;
    };
    let Some(word) = tag.get_ref().as_str() else {
        value(&Shape::Text, tagged.tag, tag, report);
        return;
    };
    match tagged.variants.iter().find(|one| one.name == word) {
        Some(Variant { keys: known, unbuilt, .. }) => {
            if let Some(instead) = unbuilt {
                not_built(&format!("`{} = \"{word}\"`", tagged.tag), instead, tag.span(), report);
            }
            keys(known, Some(tagged.tag), table, span, report);
        }
        None => {
            let message = format!("`{word}` is not a {} of Updraft's", tagged.tag);
            let help = known_names(word, words);
            report.add("manifest::unknown_word", tag.span(), message, "not known", help);
        }
    }
}

fn keys(
    known: &[Key],
    tag: Option<&str>,
    table: &DeTable<'_>,
    span: &Span,
    report: &mut Report<'_>,
) {
    for (key, found) in table.iter() {
        let name: &str = key.get_ref();
        match known.iter().find(|one| one.name == name) {
            Some(Key { shape: Shape::Unbuilt(unbuilt), .. }) => {
                // The key is what must go, so it is the place, not its value.
                refuse(unbuilt, key.span(), report);
                value(&unbuilt.shape, name, found, report);
            }
            Some(one) => value(&one.shape, name, found, report),
            None if tag == Some(name) => {}
            None => {
                let built = known.iter().filter(|one| !one.shape.is_unbuilt());
                let known = built.map(|one| one.name).chain(tag);
                let homes = homes(name);
                let elsewhere = nearest(name, known.clone()).is_none() && !homes.is_empty();
                // What a tagged table lacks is a key of another variant, not of another table.
                let help = match elsewhere && tag.is_none() {
                    true => Some(format!("`{name}` belongs in {}", alternatives(&homes))),
                    false => known_names(name, known),
                };
                let message = format!("`{name}` is not a key of this table");
                report.add("manifest::unknown_key", key.span(), message, "not known", help);
            }
        }
    }
    for one in known {
        if one.absent == Absent::Required && !table.contains_key(one.name) {
            missing(one.name, one.doc, span, report);
        }
    }
}

fn missing(name: &str, doc: &str, span: &Span, report: &mut Report<'_>) {
    if report.is_damaged() {
        return;
    }
    let help = format!("add `{name}`: {}", uncapitalised(doc.trim_end_matches('.')));
    let message = format!("`{name}` is missing");
    report.add("manifest::missing", span.clone(), message, "in this table", help);
}

fn map(label: Label, each: &Shape, table: &DeTable<'_>, report: &mut Report<'_>) {
    for (key, found) in table.iter() {
        let name: &str = key.get_ref();
        match label {
            Label::Name(what) => scalar::name(what, name, &key.span(), report),
            Label::Variable => scalar::variable(name, &key.span(), report),
            Label::Operation => drop(scalar::operation(name, &key.span(), report)),
            Label::Free => {}
        }
        value(each, name, found, report);
    }
}

fn refuse(unbuilt: &Unbuilt, span: Span, report: &mut Report<'_>) {
    not_built(unbuilt.what, unbuilt.instead, span, report);
}

/// Reports that this version knows a thing and does not do it.
pub(super) fn not_built(what: &str, instead: &str, span: Span, report: &mut Report<'_>) {
    let message = format!("{what} is not built yet: this version of Updraft does not do it");
    report.add("manifest::not_built", span, message, "not built yet", instead.to_owned());
}

fn with_article(kind: &str) -> String {
    match kind {
        "integer" | "array" => format!("an {kind}"),
        _ => format!("a {kind}"),
    }
}

fn uncapitalised(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| {
        // `GET` and the like stay as they are.
        let lower = chars.as_str().starts_with(|c: char| c.is_lowercase() || c == ' ' || c == '\'');
        if lower { first.to_lowercase().chain(chars).collect() } else { text.to_owned() }
    })
}
