//! The environment as a source of configuration: each field of [`PolicyConfig`] by its path.

use serde_json::Value;

use super::config::PolicyConfig;
use crate::chaos::ChaosConfig;
use crate::invalid::{Findings, Invalid};

/// What every variable of this crate begins with.
const PREFIX: &str = "RESILIENCE";

/// Sets the fields that variables name.
pub(super) fn apply(
    policy: &str,
    config: PolicyConfig,
    variables: impl IntoIterator<Item = (String, String)>,
) -> Result<PolicyConfig, Invalid> {
    let prefix = format!("{PREFIX}_{}_", upper(policy));
    let mut ours: Vec<(String, String)> = variables
        .into_iter()
        .filter_map(|(key, value)| Some((key.strip_prefix(&prefix)?.to_owned(), value)))
        .collect();
    if ours.is_empty() {
        return Ok(config);
    }
    // The order of an environment is nobody's intention.
    ours.sort();
    let no_data = |error: serde_json::Error| {
        Invalid::of(format!("{prefix}*: the policy cannot be changed by variables: {error}"))
    };
    let schema = serde_json::to_value(every_part()).map_err(no_data)?;
    let mut tree = serde_json::to_value(&config).map_err(no_data)?;
    let mut config = config;
    let mut findings = Findings::default();
    for (path, text) in ours {
        match changed(&tree, &schema, &path, &text) {
            Ok((changed, as_config)) => (tree, config) = (changed, as_config),
            Err(reason) => findings.note(&format!("{prefix}{path}"), &reason),
        }
    }
    findings.into_result()?;
    Ok(config)
}

/// The tree with one field set, and the configuration that it then is.
fn changed(
    tree: &Value,
    schema: &Value,
    path: &str,
    text: &str,
) -> Result<(Value, PolicyConfig), String> {
    let mut changed = tree.clone();
    set(&mut changed, schema, path, text)?;
    let config = serde_json::from_value(changed.clone()).map_err(|error| error.to_string())?;
    Ok((changed, config))
}

/// A configuration in which each part is there, so that each field can be found.
fn every_part() -> PolicyConfig {
    PolicyConfig {
        idempotent: false,
        shed: Some(Default::default()),
        deadline: Some(std::time::Duration::from_secs(1)),
        hedge: Some(Default::default()),
        retry: Some(Default::default()),
        rate_limit: Some(Default::default()),
        throttle: Some(Default::default()),
        breaker: Some(Default::default()),
        bulkhead: Some(Default::default()),
        adaptive: Some(Default::default()),
        attempt_timeout: Some(std::time::Duration::from_secs(1)),
        chaos: Some(ChaosConfig { latency: Some(Default::default()), ..Default::default() }),
    }
}

/// Sets the field at `path`, whose parts are joined by `_`, as the words of a field are:
/// the longest field that fits wins.
fn set(tree: &mut Value, schema: &Value, path: &str, text: &str) -> Result<(), String> {
    let Value::Object(fields) = schema else {
        if !path.is_empty() {
            return Err(format!("there is no {path} below a field that is a value"));
        }
        *tree = parse(schema, text)?;
        return Ok(());
    };
    if path.is_empty() {
        *tree = serde_json::from_str(text).map_err(|error| format!("it takes JSON: {error}"))?;
        return Ok(());
    }
    let fitting = fields.iter().filter_map(|(field, below)| {
        let rest = path.strip_prefix(&upper(field))?;
        let rest = match rest.strip_prefix('_') {
            Some(below) if !below.is_empty() => below,
            None if rest.is_empty() => rest,
            _ => return None,
        };
        Some((field, below, rest))
    });
    let Some((field, below, rest)) = fitting.max_by_key(|(field, ..)| field.len()) else {
        let known: Vec<String> = fields.keys().map(|field| upper(field)).collect();
        return Err(format!("there is no {path} here; there are {}", known.join(", ")));
    };
    if !tree.is_object() {
        *tree = Value::Object(serde_json::Map::new());
    }
    let Value::Object(map) = tree else { return Ok(()) };
    set(map.entry(field.clone()).or_insert(Value::Null), below, rest, text)
}

/// A value of the kind that the field has.
fn parse(like: &Value, text: &str) -> Result<Value, String> {
    match like {
        Value::Bool(_) => match text {
            "true" => Ok(Value::Bool(true)),
            "false" => Ok(Value::Bool(false)),
            _ => Err(format!("it is `true` or `false`, not `{text}`")),
        },
        Value::Number(_) => {
            let number = serde_json::from_str::<serde_json::Number>(text);
            number.map(Value::Number).map_err(|_not_json| format!("it is a number, not `{text}`"))
        }
        Value::Array(_) | Value::Object(_) => {
            serde_json::from_str(text).map_err(|error| format!("it takes JSON: {error}"))
        }
        Value::String(_) | Value::Null => Ok(Value::String(text.to_owned())),
    }
}

/// A name as part of a variable: upper case, and `_` for all that is no letter or digit.
fn upper(name: &str) -> String {
    let letter = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    name.chars().map(letter).collect()
}
