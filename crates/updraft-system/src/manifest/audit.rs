//! Builds what an audit cannot guess, `[check.SERVICE.PROCESS]`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::{Number, Value};
use toml::de::DeValue;

use super::check;
use super::process::WEB;
use super::references::Index;
use super::report::{Report, known_names};
use super::scalar;
use super::tree::Tree;
use crate::audit::{Ask, Audit, Step, Waiver};
use crate::{Name, Service};

/// Gives each process what the manifest says of its audit.
pub(super) fn attach(
    root: Tree<'_>,
    services: &mut BTreeMap<Name, Service>,
    index: &Index<'_>,
    report: &mut Report<'_>,
) {
    for (service, span, value) in root.table("check").entries() {
        // A text that is no name was reported as that.
        if service.parse::<Name>().is_err() || report.is_damaged() {
            continue;
        }
        if !index.is_service(service) {
            let message = format!("there is no service `{service}`");
            let help = known_names(service, index.service_names());
            report.add("manifest::unknown_reference", span, message, "not known", help);
            continue;
        }
        for (process, span, value) in Tree::of(value).entries() {
            let audit = audit(Tree::of(value), report);
            let found = services.iter_mut().find(|(name, _)| name.as_str() == service);
            let processes = found.map(|(_, service)| &mut service.processes);
            let Some(processes) = processes else { continue };
            let known: Vec<_> = processes.keys().map(ToString::to_string).collect();
            match processes.iter_mut().find(|(name, _)| name.as_str() == process) {
                Some((_, process)) => process.audit = audit,
                None if process.parse::<Name>().is_err() => {}
                None => {
                    let message = format!("`{service}` has no process `{process}`");
                    let names = known.iter().map(String::as_str);
                    let help = known_names(process, names)
                        .or_else(|| Some(format!("`run` of a service is its process `{WEB}`")));
                    report.add("manifest::unknown_reference", span, message, "not known", help);
                }
            }
        }
    }
}

fn audit(table: Tree<'_>, report: &mut Report<'_>) -> Audit {
    let waivers = table.value("waive").and_then(|value| value.get_ref().as_array());
    let steps = table.value("journey").and_then(|value| value.get_ref().as_array());
    Audit {
        slow: table.text("slow").and_then(|(ask, _)| ask.parse().ok()),
        journey: steps.into_iter().flat_map(|steps| steps.iter()).filter_map(step).collect(),
        startup: table.duration("startup"),
        scratch: table.texts("scratch").map(|(path, _)| PathBuf::from(path)).collect(),
        waivers: waivers
            .into_iter()
            .flat_map(|waivers| waivers.iter())
            .filter_map(|value| waiver(value, report))
            .collect(),
    }
}

fn step(value: &check::Value<'_>) -> Option<Step> {
    let table = Tree::of(value);
    let mut ask: Ask = table.text("do")?.0.parse().ok()?;
    ask.json = table.value("json").map(|value| json(value.get_ref()).to_string());
    let pairs = |key| table.table(key).entries();
    Some(Step {
        ask,
        expect: table.whole("expect").and_then(|status| u16::try_from(status).ok()),
        save: pairs("save")
            .filter_map(|(name, _, value)| {
                Some((name.to_owned(), value.get_ref().as_str()?.to_owned()))
            })
            .collect(),
        matches: pairs("match")
            .map(|(pointer, _, value)| (pointer.to_owned(), json(value.get_ref())))
            .collect(),
    })
}

fn waiver(value: &check::Value<'_>, report: &mut Report<'_>) -> Option<Waiver> {
    let table = Tree::of(value);
    let until = table.value("until")?;
    // Another type was reported as that.
    let DeValue::Datetime(day) = until.get_ref() else { return None };
    let day = day.to_string();
    let Ok(until_day) = day.parse() else {
        let message = format!("`{day}` is not a day");
        let help = "write the last day it holds, such as 2027-03-01".to_owned();
        report.add("manifest::invalid_date", until.span(), message, "not a day", help);
        return None;
    };
    let text = |key| table.text(key).map(|(text, _)| text.to_owned());
    Some(Waiver { id: text("id")?, because: text("because")?, until: until_day })
}

/// A TOML value as JSON; a time is its text.
fn json(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => Value::String(text.to_string()),
        DeValue::Integer(number) => scalar::integer(number).map_or(Value::Null, Value::from),
        DeValue::Float(number) => {
            let number = number.as_str().parse().ok().and_then(Number::from_f64);
            number.map_or(Value::Null, Value::Number)
        }
        DeValue::Boolean(flag) => Value::Bool(*flag),
        DeValue::Datetime(time) => Value::String(time.to_string()),
        DeValue::Array(items) => items.iter().map(|item| json(item.get_ref())).collect(),
        DeValue::Table(table) => Value::Object(
            table
                .iter()
                .map(|(key, value)| (key.get_ref().to_string(), json(value.get_ref())))
                .collect(),
        ),
    }
}
