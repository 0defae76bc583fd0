//! What a schema is, before it is known what its type is called.

use serde_json::{Map, Value};

/// Where contracts keep their schemas.
const HOME: &str = "#/components/schemas/";

/// What a schema says.
pub(super) enum Shape<'d> {
    /// Anything.
    Any,
    Reference(&'d str),
    /// A reference to another place.
    Elsewhere(&'d str),
    /// This or nothing.
    Nullable(&'d Value),
    Text(Option<&'d str>),
    /// One of these texts.
    OneOf(Vec<(&'d str, &'d Value)>),
    Whole {
        format: Option<&'d str>,
        is_unsigned: bool,
    },
    Number {
        is_single: bool,
    },
    Truth,
    List(&'d Value),
    Map(&'d Value),
    Object,
    /// All of these objects at once.
    All(&'d Vec<Value>),
    /// One of these.
    Choice(Vec<&'d Value>),
}

fn texts(schema: &Value) -> Option<Vec<(&str, &Value)>> {
    if let Some(only) = schema.get("const") {
        return Some(vec![(only.as_str()?, schema)]);
    }
    let all = schema.get("enum")?.as_array()?;
    all.iter().filter(|it| !it.is_null()).map(|it| Some((it.as_str()?, &Value::Null))).collect()
}

fn is_null(schema: &Value) -> bool {
    schema.get("type").is_some_and(|it| it == "null")
        || schema.get("const").is_some_and(Value::is_null)
}

/// The type that a schema names beside null, and whether null is one.
fn named(schema: &Value) -> (Option<&str>, bool) {
    match schema.get("type") {
        Some(Value::String(name)) => (Some(name), false),
        Some(Value::Array(names)) => {
            let null = names.iter().any(|it| it == "null");
            let mut others = names.iter().filter_map(Value::as_str).filter(|it| *it != "null");
            match (others.next(), others.next()) {
                (Some(only), None) => (Some(only), null),
                _ => (None, false),
            }
        }
        _ => (None, false),
    }
}

/// Whether null is among the values of a schema that names a type too.
pub(super) fn admits_null(schema: &Value) -> bool {
    named(schema).1
}

impl<'d> Shape<'d> {
    pub(super) fn of(schema: &'d Value) -> Self {
        if let Some(target) = schema.get("$ref").and_then(Value::as_str) {
            return match target.strip_prefix(HOME) {
                Some(name) => Self::Reference(name),
                None => Self::Elsewhere(target),
            };
        }
        for key in ["oneOf", "anyOf"] {
            if let Some(all) = schema.get(key).and_then(Value::as_array) {
                return Self::choice(all);
            }
        }
        if let Some(all) = schema.get("allOf").and_then(Value::as_array) {
            return Self::All(all);
        }
        if let Some(texts) = texts(schema)
            && !texts.is_empty()
        {
            return Self::OneOf(texts);
        }
        let format = schema.get("format").and_then(Value::as_str);
        match named(schema).0 {
            Some("string") => Self::Text(format),
            Some("integer") => {
                let least = schema.get("minimum").and_then(Value::as_i64);
                Self::Whole { format, is_unsigned: least.is_some_and(|least| 0 <= least) }
            }
            Some("number") => Self::Number { is_single: format == Some("float") },
            Some("boolean") => Self::Truth,
            Some("array") => match (schema.get("items"), schema.get("prefixItems")) {
                (Some(items), None) => Self::List(items),
                _ => Self::List(&Value::Null),
            },
            Some("object") => Self::object(schema),
            None if schema.get("properties").is_some() => Self::object(schema),
            _ => Self::Any,
        }
    }

    fn object(schema: &'d Value) -> Self {
        if schema.get("properties").and_then(Value::as_object).is_some_and(|it| !it.is_empty()) {
            return Self::Object;
        }
        match schema.get("additionalProperties") {
            Some(Value::Bool(false)) => Self::Object,
            Some(of) => Self::Map(of),
            None => Self::Map(&Value::Null),
        }
    }

    fn choice(all: &'d [Value]) -> Self {
        let some: Vec<_> = all.iter().filter(|it| !is_null(it)).collect();
        let null = some.len() < all.len();
        match *some {
            [only] if null => return Self::Nullable(only),
            [only] => return Self::of(only),
            _ => {}
        }
        let texts: Option<Vec<_>> = some.iter().map(|it| texts(it)).collect();
        match texts {
            Some(texts) if !null => Self::OneOf(texts.concat()),
            // What may also be null is rare, and rarely worth a type.
            _ if null => Self::Any,
            _ => Self::Choice(some),
        }
    }
}

/// The members of an object that have a name.
pub(super) fn members(schema: &Value) -> Option<&Map<String, Value>> {
    schema.get("properties")?.as_object()
}

/// Whether an object must have a member of this name.
pub(super) fn requires(schema: &Value, name: &str) -> bool {
    let required = schema.get("required").and_then(Value::as_array);
    required.is_some_and(|all| all.iter().any(|it| it == name))
}

/// The member by which objects of these kinds are told apart, and the word of each.
pub(super) fn tag<'d>(kinds: &[&'d Value]) -> Option<(&'d str, Vec<&'d str>)> {
    let word = |kind: &'d Value, name: &str| {
        let own = members(kind)?.get(name)?;
        let only = own.get("const").or_else(|| match own.get("enum")?.as_array()?.as_slice() {
            [only] => Some(only),
            _ => None,
        })?;
        if requires(kind, name) { only.as_str() } else { None }
    };
    let first = members(kinds.first()?)?;
    first.keys().find_map(|name| {
        let words: Option<Vec<_>> = kinds.iter().map(|kind| word(kind, name)).collect();
        let words = words?;
        let distinct: std::collections::BTreeSet<_> = words.iter().collect();
        (distinct.len() == words.len()).then_some((name.as_str(), words))
    })
}
