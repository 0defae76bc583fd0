//! The rules of schemas. A schema is a set of values: in a request the new set must hold the
//! old one, in a response the old set must hold the new one. Where two sets cannot be
//! compared for certain, the change is breaking.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::{Change, Class, Comparison};
use crate::http::mismatch::resolved;

/// Types that refer to each other are followed so deep.
const DEPTH_MOST: usize = 32;

/// Which way values of a schema go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    Request,
    Response,
}

/// How the set of a schema has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    /// Some values are no longer in it.
    Narrowed,
    /// Some values are in it that were not.
    Widened,
    /// Both, or nobody can tell.
    Other,
}

impl Direction {
    fn class(self, turn: Turn) -> Class {
        match (self, turn) {
            (Self::Request, Turn::Widened) | (Self::Response, Turn::Narrowed) => Class::Compatible,
            _ => Class::Breaking,
        }
    }

    fn rule(self, request: &'static str, response: &'static str) -> &'static str {
        match self {
            Self::Request => request,
            Self::Response => response,
        }
    }
}

/// What a schema says, with the schemas that it refers to and consists of put together.
struct Flat<'a> {
    rules: Map<String, Value>,
    /// Alternatives: `anyOf` or `oneOf`.
    branches: Vec<&'a Value>,
    /// It allows nothing at all.
    nothing: bool,
}

impl<'a> Comparison<'a> {
    pub(super) fn compare_schemas(
        &mut self,
        old: &'a Value,
        new: &'a Value,
        direction: Direction,
        location: &str,
    ) {
        let mut trail = Vec::new();
        let mut walk = Walk { comparison: self, direction, trail: &mut trail };
        walk.compare(old, new, location);
    }
}

struct Walk<'w, 'c, 'a> {
    comparison: &'c mut Comparison<'a>,
    direction: Direction,
    /// The pairs of types that are being compared: one that comes again says nothing new.
    trail: &'w mut Vec<(String, String)>,
}

impl<'a> Walk<'_, '_, 'a> {
    fn note(&mut self, turn: Turn, rules: (&'static str, &'static str), at: &str, detail: String) {
        let (class, rule) = (self.direction.class(turn), self.direction.rule(rules.0, rules.1));
        self.comparison.note(class, rule, at, detail);
    }

    fn compare(&mut self, old: &'a Value, new: &'a Value, at: &str) {
        let name = |schema: &Value| schema.get("$ref").map(Value::to_string);
        let pair = name(old).zip(name(new));
        if let Some(pair) = &pair {
            if self.trail.contains(pair) {
                return;
            }
            self.trail.push(pair.clone());
        }
        if self.trail.len() <= DEPTH_MOST {
            self.compare_flat(old, new, at);
        }
        if pair.is_some() {
            self.trail.pop();
        }
    }

    fn compare_flat(&mut self, old: &'a Value, new: &'a Value, at: &str) {
        let was = flat(self.comparison.old, old);
        let is = flat(self.comparison.new, new);
        self.comparison.compare_texts(&text_of(&was), &text_of(&is), at);
        match (was.nothing, is.nothing) {
            (true, true) => return,
            (true, false) => {
                let detail = "what was never allowed may be there".to_owned();
                return self.note(Turn::Widened, ("request-opened", "response-opened"), at, detail);
            }
            (false, true) => {
                let detail = "nothing is allowed here any more".to_owned();
                return self.note(
                    Turn::Narrowed,
                    ("request-closed", "response-closed"),
                    at,
                    detail,
                );
            }
            (false, false) => {}
        }
        if !was.branches.is_empty() || !is.branches.is_empty() {
            self.compare_branches(old, new, &was, &is, at);
            let (inner, outer) = match self.direction {
                Direction::Request => (&was, &is),
                Direction::Response => (&is, &was),
            };
            if !inner.branches.is_empty() && outer.branches.is_empty() {
                // Each alternative has been held against the whole.
                return;
            }
        }
        self.compare_kinds(&was.rules, &is.rules, at);
        self.compare_choices(&was.rules, &is.rules, at);
        self.compare_bounds(&was.rules, &is.rules, at);
        self.compare_other(&was.rules, &is.rules, at);
        // Of a type that one side has not, its own change says all.
        let both = |kind: &str| [&was, &is].iter().all(|it| kinds(&it.rules).contains(kind));
        if both("object") {
            self.compare_members(old, new, at);
        }
        if both("array") {
            self.compare_items(old, new, at);
        }
    }

    fn compare_kinds(&mut self, old: &Map<String, Value>, new: &Map<String, Value>, at: &str) {
        let (was, is) = (kinds(old), kinds(new));
        let rules = ("request-type-changed", "response-type-changed");
        let within = |kind: &str, all: &BTreeSet<String>| {
            all.contains(kind) || (kind == "integer" && all.contains("number"))
        };
        let lost = was.iter().any(|kind| !within(kind, &is));
        let won = is.iter().any(|kind| !within(kind, &was));
        let turn = match (lost, won) {
            (false, false) => return,
            (true, false) => Turn::Narrowed,
            (false, true) => Turn::Widened,
            // A whole number that became any number has only won.
            (true, true) => Turn::Other,
        };
        let words = |all: &BTreeSet<String>| {
            if all.len() >= 6 {
                "anything".to_owned()
            } else {
                all.iter().map(String::as_str).collect::<Vec<_>>().join(" or ")
            }
        };
        self.note(turn, rules, at, format!("it was {}, and is {}", words(&was), words(&is)));
    }

    fn compare_choices(&mut self, old: &Map<String, Value>, new: &Map<String, Value>, at: &str) {
        let choices = |rules: &Map<String, Value>| match (rules.get("const"), rules.get("enum")) {
            (Some(constant), _) => Some(vec![constant.clone()]),
            (None, Some(Value::Array(choices))) => Some(choices.clone()),
            _ => None,
        };
        let rules = ("request-values-changed", "response-values-changed");
        match (choices(old), choices(new)) {
            (None, None) => {}
            (None, Some(_)) => {
                let detail = "only some values are allowed now".to_owned();
                self.note(Turn::Narrowed, rules, at, detail);
            }
            (Some(_), None) => {
                self.note(Turn::Widened, rules, at, "any value is allowed now".to_owned());
            }
            (Some(was), Some(is)) => {
                for value in was.iter().filter(|value| !is.contains(value)) {
                    let rules = ("request-value-removed", "response-value-removed");
                    self.note(Turn::Narrowed, rules, at, format!("{value} is no longer a value"));
                }
                for value in is.iter().filter(|value| !was.contains(value)) {
                    let rules = ("request-value-added", "response-value-added");
                    self.note(Turn::Widened, rules, at, format!("{value} is a value too"));
                }
            }
        }
    }

    fn compare_bounds(&mut self, old: &Map<String, Value>, new: &Map<String, Value>, at: &str) {
        let rules = ("request-bound-changed", "response-bound-changed");
        for (key, is_least) in BOUNDS {
            let bound = |rules: &Map<String, Value>| {
                let own = rules.get(key).and_then(Value::as_f64);
                own.or_else(|| implied(rules, key))
            };
            let turn = match (bound(old), bound(new)) {
                (None, None) => continue,
                (None, Some(_)) => Turn::Narrowed,
                (Some(_), None) => Turn::Widened,
                (Some(was), Some(is)) if was < is => match is_least {
                    true => Turn::Narrowed,
                    false => Turn::Widened,
                },
                (Some(was), Some(is)) if is < was => match is_least {
                    true => Turn::Widened,
                    false => Turn::Narrowed,
                },
                _ => continue,
            };
            let say = |bound: Option<f64>| bound.map_or("none".to_owned(), |it| it.to_string());
            let (was, is) = (say(bound(old)), say(bound(new)));
            self.note(turn, rules, at, format!("{key} was {was}, and is {is}"));
        }
    }

    /// What is the same or is not: `pattern`, `format` and the like.
    fn compare_other(&mut self, old: &Map<String, Value>, new: &Map<String, Value>, at: &str) {
        let rules = ("request-rule-changed", "response-rule-changed");
        for key in ["pattern", "format", "multipleOf", "uniqueItems", "contentEncoding", "not"] {
            let rule = |rules: &Map<String, Value>| {
                let rule = rules.get(key).filter(|rule| **rule != Value::Bool(false));
                // Formats of numbers are bounds, and compared as such.
                rule.filter(|rule| key != "format" || !is_number_format(rule)).cloned()
            };
            let turn = match (rule(old), rule(new)) {
                (None, Some(_)) => Turn::Narrowed,
                (Some(_), None) => Turn::Widened,
                (Some(was), Some(is)) if was != is => Turn::Other,
                _ => continue,
            };
            let say = |rule: Option<Value>| rule.map_or("none".to_owned(), |it| it.to_string());
            let detail = format!("{key} was {}, and is {}", say(rule(old)), say(rule(new)));
            self.note(turn, rules, at, detail);
        }
        if old.get("default") != new.get("default") {
            let class = match self.direction {
                Direction::Request => Class::Compatible,
                Direction::Response => Class::Documentation,
            };
            let detail = "what holds when it is left out has changed";
            self.comparison.note(class, "default-changed", at, detail);
        }
    }

    fn compare_members(&mut self, old: &'a Value, new: &'a Value, at: &str) {
        let (was, is) = (members(self.comparison.old, old), members(self.comparison.new, new));
        for (name, schema) in &was.properties {
            let at = format!("{at} /{name}");
            let Some((_, now)) = is.properties.iter().find(|(other, _)| other == name) else {
                let detail = "the member is no longer there".to_owned();
                // A request that sends it is refused, or not heeded: both are a surprise.
                let rules = ("request-member-removed", "response-member-removed");
                self.note(Turn::Other, rules, &at, detail);
                continue;
            };
            match (was.required.contains(*name), is.required.contains(*name)) {
                (false, true) => {
                    let rules = ("request-member-required", "response-member-required");
                    self.note(Turn::Narrowed, rules, &at, "it is always there now".to_owned());
                }
                (true, false) => {
                    let rules = ("request-member-optional", "response-member-optional");
                    self.note(Turn::Widened, rules, &at, "it may be left out now".to_owned());
                }
                _ => {}
            }
            self.compare(schema, now, &at);
        }
        for (name, schema) in &is.properties {
            if was.properties.iter().any(|(other, _)| other == name) {
                continue;
            }
            let at = format!("{at} /{name}");
            match (self.direction, is.required.contains(*name), was.others) {
                (Direction::Request, true, _) => self.comparison.note(
                    Class::Breaking,
                    "request-required-member-added",
                    at,
                    "requests must have it now",
                ),
                // Some callers send what was not heeded until now.
                (Direction::Request, false, Some(others)) if !is_closed(others) => {
                    self.compare(others, schema, &at);
                }
                (Direction::Response, _, Some(others)) if is_closed(others) => {
                    self.comparison.note(
                        Class::Breaking,
                        "response-member-added",
                        at,
                        "it is new, and callers were told that there is nothing else",
                    );
                }
                _ => {
                    let rule = self.direction.rule("request-member-added", "response-member-added");
                    self.comparison.note(Class::Compatible, rule, at, "it is new");
                }
            }
        }
        self.compare_others(&was, &is, at);
    }

    /// What members that are not named may be.
    fn compare_others(&mut self, was: &Members<'a>, is: &Members<'a>, at: &str) {
        let at = format!("{at} /*");
        let rules = ("request-members-closed", "response-members-closed");
        match (was.others, is.others) {
            (None, Some(others)) if *others != Value::Bool(true) => {
                let detail = "members that are not named are judged now".to_owned();
                self.note(Turn::Narrowed, rules, &at, detail);
            }
            (Some(others), None) if *others != Value::Bool(true) => {
                let rules = ("request-members-opened", "response-members-opened");
                let detail = "members that are not named are not judged any more".to_owned();
                self.note(Turn::Widened, rules, &at, detail);
            }
            (Some(was), Some(is)) => self.compare(was, is, &at),
            _ => {}
        }
    }

    fn compare_items(&mut self, old: &'a Value, new: &'a Value, at: &str) {
        let (was, is) = (resolved(self.comparison.old, old), resolved(self.comparison.new, new));
        let first = |schema: &'a Value| -> &'a [Value] {
            let first = schema.get("prefixItems").and_then(Value::as_array);
            first.map(Vec::as_slice).unwrap_or_default()
        };
        let (was_first, is_first) = (first(was), first(is));
        if was_first.len() != is_first.len() {
            let rules = ("request-items-changed", "response-items-changed");
            self.note(Turn::Other, rules, at, "it has another number of places".to_owned());
        }
        for (index, (was, is)) in was_first.iter().zip(is_first).enumerate() {
            self.compare(was, is, &format!("{at} /{index}"));
        }
        let rules = ("request-items-changed", "response-items-changed");
        match (was.get("items"), is.get("items")) {
            (Some(was), Some(is)) => self.compare(was, is, &format!("{at} /*")),
            (None, Some(items)) if *items != Value::Bool(true) => {
                self.note(Turn::Narrowed, rules, at, "its items are judged now".to_owned());
            }
            (Some(items), None) if *items != Value::Bool(true) => {
                self.note(Turn::Widened, rules, at, "its items are not judged now".to_owned());
            }
            _ => {}
        }
    }

    /// Each alternative that must still be possible needs one on the other side that holds it.
    fn compare_branches(
        &mut self,
        old: &'a Value,
        new: &'a Value,
        was: &Flat<'a>,
        is: &Flat<'a>,
        at: &str,
    ) {
        let or_itself = |flat: &Flat<'a>, whole: &'a Value| match flat.branches.is_empty() {
            true => vec![whole],
            false => flat.branches.clone(),
        };
        let (before, after) = (or_itself(was, old), or_itself(is, new));
        let (inner, outer) = match self.direction {
            Direction::Request => (&before, &after),
            Direction::Response => (&after, &before),
        };
        for branch in inner {
            let fits = outer.iter().filter_map(|other| match self.direction {
                Direction::Request => self.changes_between(branch, other, at),
                Direction::Response => self.changes_between(other, branch, at),
            });
            // Of several partners the nearest one is meant.
            if let Some(changes) = fits.min_by_key(Vec::len) {
                self.comparison.changes.extend(changes);
                continue;
            }
            // With one partner by its tag, what does not fit is said where it is.
            if let Some(other) = outer.iter().find(|other| self.is_partner(branch, other)) {
                match self.direction {
                    Direction::Request => self.compare(branch, other, at),
                    Direction::Response => self.compare(other, branch, at),
                }
                continue;
            }
            let rules = ("request-alternative-removed", "response-alternative-added");
            let detail = match self.direction {
                Direction::Request => "one of the alternatives is no longer read",
                Direction::Response => "there is an alternative that callers do not know",
            };
            self.note(Turn::Other, rules, at, detail.to_owned());
        }
        if before.len() != after.len() {
            let detail = format!("it had {} alternatives, and has {}", before.len(), after.len());
            self.comparison.note(Class::Compatible, "alternatives-changed", at, detail);
        }
    }

    /// What changes from one schema to the other; `None` when it breaks something.
    fn changes_between(&self, old: &'a Value, new: &'a Value, at: &str) -> Option<Vec<Change>> {
        let mut comparison = Comparison {
            old: self.comparison.old,
            new: self.comparison.new,
            operation: self.comparison.operation.clone(),
            changes: Vec::new(),
        };
        let mut trail = self.trail.clone();
        let mut walk =
            Walk { comparison: &mut comparison, direction: self.direction, trail: &mut trail };
        walk.compare(old, new, at);
        let breaks = comparison.changes.iter().any(|change| change.class == Class::Breaking);
        (!breaks).then_some(comparison.changes)
    }

    /// Whether two alternatives have the same tag.
    fn is_partner(&self, one: &'a Value, other: &'a Value) -> bool {
        let (inner, outer) = match self.direction {
            Direction::Request => (self.comparison.old, self.comparison.new),
            Direction::Response => (self.comparison.new, self.comparison.old),
        };
        let tag = |root: &'a Value, schema: &'a Value| {
            let properties = resolved(root, schema).get("properties")?.as_object()?;
            let constant = |(name, schema): (&String, &Value)| {
                schema.get("const").map(|constant| (name.clone(), constant.clone()))
            };
            properties.iter().find_map(constant)
        };
        let (one, other) = (tag(inner, one), tag(outer, other));
        one.is_some() && one == other
    }
}

/// Which keys are bounds, and whether they are the lower one.
const BOUNDS: [(&str, bool); 10] = [
    ("minimum", true),
    ("exclusiveMinimum", true),
    ("minLength", true),
    ("minItems", true),
    ("minProperties", true),
    ("maximum", false),
    ("exclusiveMaximum", false),
    ("maxLength", false),
    ("maxItems", false),
    ("maxProperties", false),
];

fn is_number_format(format: &Value) -> bool {
    let format = format.as_str().unwrap_or_default();
    format.starts_with("int") || format.starts_with("uint") || matches!(format, "float" | "double")
}

/// The bound that the format of a number implies. `exclusive…` bounds are not implied.
fn implied(rules: &Map<String, Value>, key: &str) -> Option<f64> {
    let format = rules.get("format").and_then(Value::as_str)?;
    let (signed, bits) = match format.strip_prefix('u') {
        Some(rest) => (false, rest.strip_prefix("int")?),
        None => (true, format.strip_prefix("int")?),
    };
    let bits: i32 = if bits.is_empty() { 64 } else { bits.parse().ok()? };
    match (key, signed) {
        ("minimum", false) => Some(0.0),
        ("minimum", true) => Some(-(2_f64.powi(bits - 1))),
        ("maximum", false) => Some(2_f64.powi(bits) - 1.0),
        ("maximum", true) => Some(2_f64.powi(bits - 1) - 1.0),
        _ => None,
    }
}

fn kinds(rules: &Map<String, Value>) -> BTreeSet<String> {
    match rules.get("type") {
        Some(Value::String(kind)) => BTreeSet::from([kind.clone()]),
        Some(Value::Array(kinds)) => {
            kinds.iter().filter_map(Value::as_str).map(str::to_owned).collect()
        }
        _ => ["null", "boolean", "object", "array", "number", "string"].map(str::to_owned).into(),
    }
}

fn text_of(flat: &Flat<'_>) -> Value {
    Value::Object(flat.rules.clone())
}

/// A schema with what it refers to and all parts of `allOf` in one.
fn flat<'a>(root: &'a Value, schema: &'a Value) -> Flat<'a> {
    let mut flat = Flat { rules: Map::new(), branches: Vec::new(), nothing: false };
    put_into(&mut flat, root, schema, 0);
    flat
}

fn put_into<'a>(flat: &mut Flat<'a>, root: &'a Value, schema: &'a Value, depth: usize) {
    flat.nothing |= *schema == Value::Bool(false);
    let Some(rules) = schema.as_object() else { return };
    let target = resolved(root, schema);
    if depth < DEPTH_MOST && !std::ptr::eq(target, schema) {
        put_into(flat, root, target, depth + 1);
    }
    for (key, rule) in rules {
        match (key.as_str(), rule) {
            ("$ref", _) => {}
            ("allOf", Value::Array(parts)) if depth < DEPTH_MOST => {
                parts.iter().for_each(|part| put_into(flat, root, part, depth + 1));
            }
            ("anyOf" | "oneOf", Value::Array(branches)) => flat.branches.extend(branches),
            _ => drop(flat.rules.insert(key.clone(), rule.clone())),
        }
    }
}

/// The members of an object, with those of all its parts.
struct Members<'a> {
    properties: Vec<(&'a str, &'a Value)>,
    required: BTreeSet<&'a str>,
    others: Option<&'a Value>,
}

fn is_closed(others: &Value) -> bool {
    *others == Value::Bool(false)
}

fn members<'a>(root: &'a Value, schema: &'a Value) -> Members<'a> {
    let mut members = Members { properties: Vec::new(), required: BTreeSet::new(), others: None };
    gather(&mut members, root, schema, 0);
    members
}

fn gather<'a>(members: &mut Members<'a>, root: &'a Value, schema: &'a Value, depth: usize) {
    if depth > DEPTH_MOST {
        return;
    }
    let target = resolved(root, schema);
    if !std::ptr::eq(target, schema) {
        gather(members, root, target, depth + 1);
    }
    let own = schema.get("properties").and_then(Value::as_object);
    members.properties.extend(own.into_iter().flatten().map(|(name, it)| (name.as_str(), it)));
    let required = schema.get("required").and_then(Value::as_array);
    members.required.extend(required.into_iter().flatten().filter_map(Value::as_str));
    let others = schema.get("additionalProperties").or(schema.get("unevaluatedProperties"));
    members.others = others.or(members.others);
    for part in schema.get("allOf").and_then(Value::as_array).into_iter().flatten() {
        gather(members, root, part, depth + 1);
    }
}
