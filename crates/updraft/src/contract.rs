//! The contract of an API: an OpenAPI 3.1 document, made of the same declarations that route
//! and read its requests.

mod compatibility;
mod document;
pub(crate) mod pages;
mod schemas;
mod shape;

pub(crate) use compatibility::{Change, Class, changes};
pub(crate) use document::Contract;
pub use shape::Shape;
pub(crate) use shape::strip_null;

use serde_json::Value;

/// A value with the members of all its objects in alphabetical order, whatever order the
/// build's maps keep, so that the same API is the same text everywhere.
pub(crate) fn sorted(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let mut members: Vec<_> = members.into_iter().collect();
            members.sort_by(|(one, _), (other, _)| one.cmp(other));
            Value::Object(members.into_iter().map(|(name, it)| (name, sorted(it))).collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(sorted).collect()),
        other => other,
    }
}
