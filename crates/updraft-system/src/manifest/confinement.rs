//! Builds what a process or task may use and do.

use std::path::PathBuf;

use toml::de::DeValue;

use super::check::Value;
use super::report::Report;
use super::scalar;
use super::tree::{self, Tree};
use crate::{Confinement, Limits};

/// The confinement of a process or task; what is absent has its default.
pub(super) fn confinement(table: Tree<'_>, report: &mut Report<'_>) -> Confinement {
    refuse_twice("writable", table, report);
    refuse_twice("capabilities", table, report);
    let writable = table.value("writable").and_then(|value| value.get_ref().as_array());
    let paths = || table.texts("writable").map(|(path, _)| PathBuf::from(path)).collect();
    Confinement {
        limits: limits(table.table("limits"), report),
        writable: writable.map(|_| paths()),
        capabilities: table.texts("capabilities").map(|(name, _)| name.to_owned()).collect(),
    }
}

fn refuse_twice(key: &str, table: Tree<'_>, report: &mut Report<'_>) {
    let mut known: Vec<&str> = Vec::new();
    for (text, span) in table.texts(key) {
        if known.contains(&text) {
            let message = format!("`{text}` is in `{key}` twice");
            let help = "remove one of the two".to_owned();
            report.add("manifest::duplicate", span, message, "here again", help);
        }
        known.push(text);
    }
}

fn limits(table: Tree<'_>, report: &mut Report<'_>) -> Limits {
    Limits {
        memory_bytes: table.value("memory").and_then(memory),
        cpu_millicores: table.value("cpu").and_then(|value| cpu(value, report)),
        files: table.whole("files"),
        pids: table.whole("pids"),
    }
}

fn memory(value: &Value<'_>) -> Option<u64> {
    match value.get_ref() {
        DeValue::Integer(number) => u64::try_from(scalar::integer(number)?).ok(),
        _ => Limits::memory(tree::text(value)?.0),
    }
}

fn cpu(value: &Value<'_>, report: &mut Report<'_>) -> Option<u32> {
    let cores = match value.get_ref() {
        DeValue::Integer(number) => scalar::integer(number)?.to_string(),
        // To the thousandth, however it is written.
        DeValue::Float(number) => {
            let cores: f64 = number.as_str().replace('_', "").parse().ok()?;
            format!("{cores:.3}")
        }
        // A text was held against its form.
        _ => return Limits::cpu(tree::text(value)?.0),
    };
    let cpu = Limits::cpu(&cores);
    if cpu.is_none() {
        let help = "write cores, such as 0.5, or a share of one, such as \"50%\"".to_owned();
        let message = "`cpu` must be from 0.01 to 1024 cores";
        report.add("manifest::out_of_range", value.span(), message, "out of range", help);
    }
    cpu
}
