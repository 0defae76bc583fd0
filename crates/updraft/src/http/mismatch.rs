//! Everything in a value that its schema does not allow, where serde would stop at the
//! first: it knows the keywords that `schemars` writes, and where it knows nothing it says
//! nothing, because serde has the last word.

use serde_json::{Map, Value};

use super::refusal::{FINDINGS_MOST, Finding};

/// Schemas that refer to each other are followed so deep.
const DEPTH_MOST: usize = 64;

/// So much is looked at in all: the alternatives of a type that holds itself multiply with
/// every level of a body, and no caller may keep a thread busy by that. Of what is not looked
/// at nothing is said: serde has the last word.
const LOOKS_MOST: usize = 200_000;

/// What is wrong at one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mismatch {
    /// The JSON pointer of the place; empty is the whole value.
    pub(crate) pointer: String,
    pub(crate) detail: String,
}

/// What is wrong with a body.
pub(crate) fn in_body(schema: &Value, value: &Value) -> Vec<Finding> {
    let found = mismatches(schema, value).into_iter();
    found.map(|it| Finding::in_body(&it.pointer, it.detail)).collect()
}

/// What is wrong with a value, in the order of its members.
pub(crate) fn mismatches(schema: &Value, value: &Value) -> Vec<Mismatch> {
    let mut search = Search { root: schema, found: Vec::new(), left: LOOKS_MOST };
    search.look(schema, value, &mut String::new(), 0);
    search.found
}

/// A member's name as a part of a JSON pointer.
pub(crate) fn token(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// The schema that a reference within `root` points at.
pub(crate) fn resolved<'a>(root: &'a Value, schema: &'a Value) -> &'a Value {
    let mut schema = schema;
    for _ in 0..DEPTH_MOST {
        let target = schema.get("$ref").and_then(Value::as_str);
        let Some(target) = target.and_then(|it| root.pointer(it.trim_start_matches('#'))) else {
            break;
        };
        schema = target;
    }
    schema
}

struct Search<'a> {
    root: &'a Value,
    found: Vec<Mismatch>,
    /// What may still be looked at.
    left: usize,
}

impl<'a> Search<'a> {
    fn is_over(&self) -> bool {
        self.left == 0 || self.found.len() > FINDINGS_MOST
    }

    fn look(&mut self, schema: &'a Value, value: &Value, place: &mut String, depth: usize) {
        if depth > DEPTH_MOST || self.is_over() {
            return;
        }
        self.left = self.left.saturating_sub(cost(value));
        let Some(rules) = schema.as_object() else {
            if *schema == Value::Bool(false) {
                self.add(place, "is not allowed");
            }
            return;
        };
        if let Some(target) = rules.get("$ref").and_then(Value::as_str)
            && let Some(target) = self.root.pointer(target.trim_start_matches('#'))
        {
            self.look(target, value, place, depth + 1);
        }
        if let Some(detail) = kind_mismatch(rules, value) {
            return self.add(place, detail);
        }
        if let Some(detail) = choice_mismatch(rules, value) {
            return self.add(place, detail);
        }
        match value {
            Value::Object(members) => self.look_in_object(rules, members, place, depth),
            Value::Array(items) => self.look_in_array(rules, items, place, depth),
            Value::String(text) => self.add_all(place, length_mismatch(rules, text)),
            Value::Number(_) => self.add_all(place, range_mismatch(rules, value)),
            _ => {}
        }
        for part in rules.get("allOf").and_then(Value::as_array).into_iter().flatten() {
            self.look(part, value, place, depth + 1);
        }
        for key in ["anyOf", "oneOf"] {
            if let Some(branches) = rules.get(key).and_then(Value::as_array) {
                self.look_in_branches(branches, value, place, depth);
            }
        }
    }

    fn look_in_object(
        &mut self,
        rules: &'a Map<String, Value>,
        members: &Map<String, Value>,
        place: &mut String,
        depth: usize,
    ) {
        let properties = rules.get("properties").and_then(Value::as_object);
        for name in rules.get("required").and_then(Value::as_array).into_iter().flatten() {
            if let Some(name) = name.as_str().filter(|name| !members.contains_key(*name)) {
                self.within(place, name, |this, place| this.add(place, "is missing"));
            }
        }
        for (name, value) in members {
            // An unknown member is a finding without a look.
            if self.is_over() {
                return;
            }
            let known = properties.and_then(|properties| properties.get(name));
            let schema = known.or_else(|| rules.get("additionalProperties"));
            match (known, schema) {
                (None, Some(Value::Bool(false))) => {
                    let detail = unknown(name, properties);
                    self.within(place, name, |this, place| this.add(place, detail));
                }
                (_, Some(schema)) => self.within(place, name, |this, place| {
                    this.look(schema, value, place, depth + 1);
                }),
                _ => {}
            }
        }
    }

    fn look_in_array(
        &mut self,
        rules: &'a Map<String, Value>,
        items: &[Value],
        place: &mut String,
        depth: usize,
    ) {
        let count = items.len() as u64;
        self.add_all(place, bounds_mismatch(rules, ["minItems", "maxItems"], count, "items"));
        let first = rules.get("prefixItems").and_then(Value::as_array);
        let first = first.map(Vec::as_slice).unwrap_or_default();
        for (index, item) in items.iter().enumerate() {
            if let Some(schema) = first.get(index).or_else(|| rules.get("items")) {
                let index = index.to_string();
                self.within(place, &index, |this, place| this.look(schema, item, place, depth + 1));
            }
        }
    }

    /// One of these must hold. Which one was meant is told by a constant member (the tag of
    /// an enum), or by there being only one besides `null`.
    fn look_in_branches(
        &mut self,
        branches: &'a [Value],
        value: &Value,
        place: &mut String,
        depth: usize,
    ) {
        let root = self.root;
        let mut nearest: Vec<(&Value, Vec<Mismatch>)> = Vec::new();
        for branch in branches {
            let mut search = Search { root, found: Vec::new(), left: self.left };
            search.look(branch, value, place, depth + 1);
            self.left = search.left;
            if search.found.is_empty() {
                return;
            }
            let is_null =
                resolved(root, branch).get("type").and_then(Value::as_str) == Some("null");
            if !is_null {
                nearest.push((branch, search.found));
            }
        }
        let tagged = |branch: &Value| tag_holds(resolved(root, branch), value);
        let meant = match nearest.len() {
            1 => nearest.pop(),
            _ => nearest.into_iter().find(|(branch, _)| tagged(branch)),
        };
        match meant {
            Some((_, found)) => self.found.extend(found),
            None => {
                let tags = tags(root, branches);
                let detail = if tags.is_empty() {
                    format!("is none of the {} forms that it can have", branches.len())
                } else {
                    format!("must be one of {}", tags.join(", "))
                };
                self.add(place, detail);
            }
        }
    }

    fn within(
        &mut self,
        place: &mut String,
        name: &str,
        look: impl FnOnce(&mut Self, &mut String),
    ) {
        let length = place.len();
        place.push('/');
        place.push_str(&token(name));
        look(self, place);
        place.truncate(length);
    }

    fn add(&mut self, place: &str, detail: impl Into<String>) {
        let mismatch = Mismatch { pointer: place.to_owned(), detail: detail.into() };
        if !self.found.contains(&mismatch) {
            self.found.push(mismatch);
        }
    }

    fn add_all(&mut self, place: &str, details: impl IntoIterator<Item = String>) {
        for detail in details {
            self.add(place, detail);
        }
    }
}

/// How much one look at a value costs: what is large costs more, each time that it is seen.
fn cost(value: &Value) -> usize {
    1 + match value {
        Value::Object(members) => members.len(),
        Value::Array(items) => items.len(),
        Value::String(text) => text.len() / 64,
        _ => 0,
    }
}

/// Whether the value has a member that says that this branch is meant.
fn tag_holds(branch: &Value, value: &Value) -> bool {
    let properties = branch.get("properties").and_then(Value::as_object);
    properties.into_iter().flatten().any(|(name, schema)| {
        schema.get("const").is_some_and(|constant| value.get(name) == Some(constant))
    })
}

/// The constants that tell the branches apart.
fn tags(root: &Value, branches: &[Value]) -> Vec<String> {
    let tag = |branch| {
        let branch = resolved(root, branch);
        branch.get("const").map(|constant| constant.to_string()).or_else(|| {
            let properties = branch.get("properties")?.as_object()?;
            properties.iter().find_map(|(name, schema)| {
                schema.get("const").map(|constant| format!("{name} = {constant}"))
            })
        })
    };
    branches.iter().map(tag).collect::<Option<Vec<_>>>().unwrap_or_default()
}

fn kind_mismatch(rules: &Map<String, Value>, value: &Value) -> Option<String> {
    let kinds: Vec<&str> = match rules.get("type")? {
        Value::String(kind) => vec![kind],
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
        _ => return None,
    };
    let holds = |kind: &&str| match (*kind, value) {
        ("null", Value::Null)
        | ("boolean", Value::Bool(_))
        | ("object", Value::Object(_))
        | ("array", Value::Array(_))
        | ("number", Value::Number(_))
        | ("string", Value::String(_)) => true,
        ("integer", Value::Number(number)) => !number.is_f64(),
        _ => false,
    };
    if kinds.iter().any(holds) {
        return None;
    }
    let words = kinds.iter().map(|kind| match *kind {
        "null" => "null",
        "boolean" => "true or false",
        "object" => "an object",
        "array" => "an array",
        "number" => "a number",
        "integer" => "a whole number",
        _ => "a string",
    });
    Some(format!("must be {}", words.collect::<Vec<_>>().join(" or ")))
}

fn choice_mismatch(rules: &Map<String, Value>, value: &Value) -> Option<String> {
    let choices: Vec<&Value> = match (rules.get("const"), rules.get("enum")) {
        (Some(constant), _) => vec![constant],
        (None, Some(Value::Array(choices))) => choices.iter().collect(),
        _ => return None,
    };
    if choices.contains(&value) {
        return None;
    }
    let words: Vec<_> = choices.iter().map(ToString::to_string).collect();
    Some(match &*words {
        [only] => format!("must be {only}"),
        _ => format!("must be one of {}", words.join(", ")),
    })
}

fn length_mismatch(rules: &Map<String, Value>, text: &str) -> Option<String> {
    let count = text.chars().count() as u64;
    bounds_mismatch(rules, ["minLength", "maxLength"], count, "characters")
}

fn bounds_mismatch(
    rules: &Map<String, Value>,
    keys: [&str; 2],
    count: u64,
    of: &str,
) -> Option<String> {
    let [least, most] = keys.map(|key| rules.get(key).and_then(Value::as_u64));
    if least.is_none_or(|least| least <= count) && most.is_none_or(|most| count <= most) {
        return None;
    }
    Some(match (least, most) {
        (Some(least), Some(most)) if least == most => format!("must have {least} {of}"),
        (Some(least), Some(most)) => format!("must have {least} to {most} {of}"),
        (Some(least), None) => format!("must have at least {least} {of}"),
        (None, most) => format!("must have at most {} {of}", most.unwrap_or_default()),
    })
}

/// The least and the greatest number of an integer format, where JSON can say them exactly.
fn format_bounds(rules: &Map<String, Value>) -> [Option<f64>; 2] {
    match rules.get("format").and_then(Value::as_str) {
        Some("int8") => [Some(f64::from(i8::MIN)), Some(f64::from(i8::MAX))],
        Some("int16") => [Some(f64::from(i16::MIN)), Some(f64::from(i16::MAX))],
        Some("int32") => [Some(f64::from(i32::MIN)), Some(f64::from(i32::MAX))],
        Some("uint8") => [Some(0.0), Some(f64::from(u8::MAX))],
        Some("uint16") => [Some(0.0), Some(f64::from(u16::MAX))],
        Some("uint32") => [Some(0.0), Some(f64::from(u32::MAX))],
        Some("uint" | "uint64" | "uint128") => [Some(0.0), None],
        _ => [None, None],
    }
}

fn range_mismatch(rules: &Map<String, Value>, value: &Value) -> Option<String> {
    let number = value.as_f64()?;
    let [format_least, format_most] = format_bounds(rules);
    let rule = |key: &str| rules.get(key).and_then(Value::as_f64);
    let (above, below) = (rule("exclusiveMinimum"), rule("exclusiveMaximum"));
    let least = rule("minimum").or(if above.is_none() { format_least } else { None });
    let most = rule("maximum").or(if below.is_none() { format_most } else { None });
    let held = least.is_none_or(|least| least <= number)
        && most.is_none_or(|most| number <= most)
        && above.is_none_or(|above| above < number)
        && below.is_none_or(|below| number < below);
    if held {
        return None;
    }
    if let (Some(least), Some(most)) = (least, most) {
        return Some(format!("must be from {least} to {most}"));
    }
    let bounds = [
        least.map(|it| format!("at least {it}")),
        above.map(|it| format!("more than {it}")),
        most.map(|it| format!("at most {it}")),
        below.map(|it| format!("less than {it}")),
    ];
    Some(format!("must be {}", bounds.into_iter().flatten().collect::<Vec<_>>().join(" and ")))
}

/// What is unknown, and what was probably meant.
pub(crate) fn unknown(name: &str, properties: Option<&Map<String, Value>>) -> String {
    let length = name.chars().count();
    // A name may be a megabyte, and the time of a comparison grows with both lengths.
    let near = properties.into_iter().flatten().filter_map(|(known, _)| {
        let most = known.chars().count().div_ceil(3);
        let alike = known.chars().count().abs_diff(length) <= most;
        let distance = alike.then(|| strsim::osa_distance(known, name))?;
        (distance <= most).then_some((distance, known))
    });
    match near.min() {
        Some((_, known)) => format!("is unknown; did you mean `{known}`?"),
        None => "is unknown".to_owned(),
    }
}

#[cfg(test)]
#[path = "mismatch_tests.rs"]
mod tests;
