//! Builds the contract of a service's configuration.

use std::collections::BTreeMap;

use toml::de::DeValue;

use super::check::Value;
use super::report::Report;
use super::scalar;
use super::tree::{self, Tree};
use crate::{ConfigKey, ConfigType, Span};

/// The variables that are sound.
pub(super) fn contract(service: Tree<'_>, report: &mut Report<'_>) -> BTreeMap<String, ConfigKey> {
    service
        .table("config")
        .entries()
        .filter_map(|(name, _, value)| Some((name.to_owned(), variable(name, value, report)?)))
        .collect()
}

fn variable<'a>(name: &str, value: &'a Value<'a>, report: &mut Report<'_>) -> Option<ConfigKey> {
    if let Some((word, _)) = tree::text(value) {
        return Some(ConfigKey { shape: plain(word)?, default: None });
    }
    let table = Tree::of(value);
    let shape = match table.text("type") {
        Some((word, _)) => bounded(word, table, report)?,
        None => one_of(table, report)?,
    };
    let default = table.value("default").and_then(|value| {
        let text = scalar_text(value)?;
        check_default(name, &shape, &text, value.span(), report);
        Some(text)
    });
    Some(ConfigKey { shape, default })
}

fn plain(word: &str) -> Option<ConfigType> {
    Some(match word {
        "string" => ConfigType::String,
        "secret" => ConfigType::Secret,
        "url" => ConfigType::Url,
        "bool" => ConfigType::Bool,
        "int" => ConfigType::Int { min: None, max: None },
        "float" => ConfigType::Float { min: None, max: None },
        "duration" => ConfigType::Duration,
        _ => return None,
    })
}

fn bounded(word: &str, table: Tree<'_>, report: &mut Report<'_>) -> Option<ConfigType> {
    let shape = match plain(word)? {
        ConfigType::Int { .. } => {
            ConfigType::Int { min: whole(table, "min", report), max: whole(table, "max", report) }
        }
        ConfigType::Float { .. } => {
            ConfigType::Float { min: number(table, "min"), max: number(table, "max") }
        }
        other => {
            refuse_bounds(word, table, report);
            other
        }
    };
    let crossed = match &shape {
        ConfigType::Int { min: Some(min), max: Some(max) } => max < min,
        ConfigType::Float { min: Some(min), max: Some(max) } => max < min,
        _ => false,
    };
    if let (true, Some(max)) = (crossed, table.value("max")) {
        let help = "exchange the two".to_owned();
        let message = "`max` is less than `min`: no value can be right";
        report.add("manifest::invalid_config", max.span(), message, "less than `min`", help);
    }
    Some(shape)
}

fn one_of(table: Tree<'_>, report: &mut Report<'_>) -> Option<ConfigType> {
    let list = table.value("one_of")?;
    let mut values: Vec<String> = Vec::new();
    for (text, span) in table.texts("one_of") {
        if values.iter().any(|known| known == text) {
            let message = format!("`{text}` is in the list twice");
            let help = "remove one of the two".to_owned();
            report.add("manifest::duplicate", span, message, "here again", help);
        } else {
            values.push(text.to_owned());
        }
    }
    if list.get_ref().as_array().is_some_and(|items| items.is_empty()) {
        let message = "the list of values is empty: no value can be right";
        let help = "list the values that are allowed".to_owned();
        report.add("manifest::invalid_config", list.span(), message, "empty", help);
    }
    refuse_bounds("one_of", table, report);
    Some(ConfigType::OneOf { values })
}

fn refuse_bounds(what: &str, table: Tree<'_>, report: &mut Report<'_>) {
    for bound in ["min", "max"] {
        if let Some(span) = table.key_span(bound) {
            let message = format!("`{bound}` says nothing about a `{what}`");
            let help = format!("leave `{bound}` out, or write `type = \"int\"` or \"float\"");
            report.add("manifest::invalid_config", span, message, "not for this type", help);
        }
    }
}

fn check_default(name: &str, shape: &ConfigType, text: &str, span: Span, report: &mut Report<'_>) {
    if shape.is_secret() {
        let message = format!("`{name}` is a secret: its value does not belong in the manifest");
        let help = "leave `default` out, and give the value where the system runs".to_owned();
        report.add("manifest::invalid_config", span, message, "not here", help);
    } else if let Err(reason) = shape.check(text) {
        let message = format!("the default of `{name}` {reason}");
        let help = "change the default or the type".to_owned();
        report.add("manifest::invalid_config", span, message, "breaks its own type", help);
    }
}

fn whole(table: Tree<'_>, key: &str, report: &mut Report<'_>) -> Option<i64> {
    let value = table.value(key)?;
    match value.get_ref() {
        DeValue::Integer(number) => {
            let whole = scalar::integer(number);
            if whole.is_none() {
                let message = format!("`{key}` is too large");
                let help = format!("write a number of at most {}", i64::MAX);
                report.add("manifest::out_of_range", value.span(), message, "too large", help);
            }
            whole
        }
        DeValue::Float(_) => {
            let message = format!("`{key}` of an `int` must be a whole number");
            let help = "round it, or write `type = \"float\"`".to_owned();
            report.add("manifest::wrong_type", value.span(), message, "a fraction", help);
            None
        }
        _ => None,
    }
}

fn number(table: Tree<'_>, key: &str) -> Option<f64> {
    scalar_text(table.value(key)?)?.parse().ok()
}

/// A value as the environment will hold it.
fn scalar_text(value: &Value<'_>) -> Option<String> {
    match value.get_ref() {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) => Some(
            scalar::integer(number).map_or_else(|| number.as_str().to_owned(), |n| n.to_string()),
        ),
        DeValue::Float(number) => Some(number.as_str().to_owned()),
        DeValue::Boolean(flag) => Some(flag.to_string()),
        _ => None,
    }
}
