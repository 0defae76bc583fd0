//! Anything that has a JSON form, in one column.

use std::borrow::Cow;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{IntoValue, Value, ValueError, ValueType};
use crate::sql::column::{Cell, FromColumn, Unreadable};

/// A value that is kept as JSON: SQLite `TEXT`, PostgreSQL `JSONB` (`JSON` can be read too).
///
/// JSONB keeps neither white space nor the order of keys, and a number as PostgreSQL's
/// `NUMERIC`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Json<T>(pub T);

impl<'v, T: Serialize> IntoValue<'v> for Json<T> {
    const TYPE: ValueType = ValueType::Json;

    fn into_value(self) -> Result<Value<'v>, ValueError> {
        match serde_json::to_string(&self.0) {
            Ok(text) => Ok(Value::Json(Cow::Owned(text))),
            // The error can hold what could not be written.
            Err(_formless) => Err(ValueError("a value has no JSON form")),
        }
    }
}

impl<T: DeserializeOwned> FromColumn for Json<T> {
    fn from_column(cell: Cell<'_>) -> Result<Self, Unreadable> {
        let text = cell.json()?;
        match serde_json::from_str(&text) {
            Ok(value) => Ok(Self(value)),
            Err(_other_form) => Err(Unreadable::new("JSON of another form")),
        }
    }
}

impl FromColumn for serde_json::Value {
    fn from_column(cell: Cell<'_>) -> Result<Self, Unreadable> {
        Json::from_column(cell).map(|Json(value)| value)
    }
}
