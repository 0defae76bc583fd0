//! How values are bound on SQLite.

use std::borrow::Cow;

use sqlx::sqlite::SqliteArguments;
use sqlx::{Arguments, Sqlite};

use super::{Value, time};
use crate::sql::error::{SqlError, SqlErrorKind};

/// The arguments of a statement.
///
/// # Errors
///
/// When the driver refuses one.
pub(crate) fn arguments(values: &[Value<'_>]) -> Result<SqliteArguments, SqlError> {
    let mut arguments = SqliteArguments::default();
    for value in values {
        add(&mut arguments, value).map_err(|_value| {
            SqlError::new(SqlErrorKind::Value).detail("a parameter cannot be sent")
        })?;
    }
    Ok(arguments)
}

fn add(arguments: &mut SqliteArguments, value: &Value<'_>) -> Result<(), sqlx::error::BoxDynError> {
    fn put<'t, T>(arguments: &mut SqliteArguments, value: T) -> Result<(), sqlx::error::BoxDynError>
    where
        T: sqlx::Encode<'t, Sqlite> + sqlx::Type<Sqlite>,
    {
        Arguments::add(arguments, value)
    }
    match value {
        Value::Null(_) => put(arguments, None::<i64>),
        Value::Bool(it) => put(arguments, *it),
        Value::I16(it) => put(arguments, *it),
        Value::I32(it) => put(arguments, *it),
        Value::I64(it) => put(arguments, *it),
        Value::F32(it) => put(arguments, *it),
        Value::F64(it) => put(arguments, *it),
        Value::Text(it) | Value::Json(it) => match it {
            Cow::Borrowed(text) => put(arguments, *text),
            Cow::Owned(text) => put(arguments, text.as_str()),
        },
        Value::Bytes(it) => put(arguments, &**it),
        Value::Uuid(it) => put(arguments, it.to_string()),
        Value::Timestamp(it) => put(arguments, time::text(*it)),
        Value::Date(it) => put(arguments, it.to_string()),
    }
}
