//! Reading what SQLite stores: the type is that of the value, not of the column.

use jiff::Timestamp;
use jiff::civil::Date;
use sqlx::sqlite::SqliteValueRef;
use sqlx::{Decode, Sqlite, TypeInfo, ValueRef};
use uuid::Uuid;

use super::Unreadable;
use crate::sql::value::time;

fn found(value: &SqliteValueRef<'_>) -> Unreadable {
    Unreadable::new(value.type_info().name())
}

/// The class of the stored value.
fn is(value: &SqliteValueRef<'_>, class: &str) -> bool {
    value.type_info().name() == class
}

fn decoded<'r, T: Decode<'r, Sqlite>>(value: SqliteValueRef<'r>) -> Result<T, Unreadable> {
    T::decode(value).map_err(|_source| Unreadable::new("not what its type says"))
}

pub(super) fn integer(value: SqliteValueRef<'_>) -> Result<i64, Unreadable> {
    match value.type_info().name() {
        "INTEGER" | "BOOLEAN" => decoded(value),
        "NULL" => Err(Unreadable::new("NULL")),
        _ => Err(found(&value)),
    }
}

pub(super) fn boolean(value: SqliteValueRef<'_>) -> Result<bool, Unreadable> {
    match integer(value)? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Unreadable::new("an integer other than 0 and 1")),
    }
}

#[expect(clippy::cast_precision_loss, reason = "SQLite itself makes a REAL of it in this way")]
pub(super) fn float(value: SqliteValueRef<'_>) -> Result<f64, Unreadable> {
    if is(&value, "INTEGER") {
        return decoded::<i64>(value).map(|whole| whole as f64);
    }
    if is(&value, "REAL") { decoded(value) } else { Err(found(&value)) }
}

pub(super) fn text(value: SqliteValueRef<'_>) -> Result<String, Unreadable> {
    match value.type_info().name() {
        "INTEGER" | "REAL" | "BLOB" | "NULL" => Err(found(&value)),
        _ => decoded(value),
    }
}

pub(super) fn bytes(value: SqliteValueRef<'_>) -> Result<Vec<u8>, Unreadable> {
    if is(&value, "BLOB") { decoded(value) } else { Err(found(&value)) }
}

pub(super) fn uuid(value: SqliteValueRef<'_>) -> Result<Uuid, Unreadable> {
    let uuid = if is(&value, "BLOB") {
        Uuid::from_slice(&decoded::<Vec<u8>>(value)?).ok()
    } else {
        text(value)?.parse().ok()
    };
    uuid.ok_or_else(|| Unreadable::new("no UUID"))
}

pub(super) fn timestamp(value: SqliteValueRef<'_>) -> Result<Timestamp, Unreadable> {
    time::moment(&text(value)?).ok_or_else(|| Unreadable::new("a text that is no moment"))
}

pub(super) fn date(value: SqliteValueRef<'_>) -> Result<Date, Unreadable> {
    text(value)?.parse().ok().ok_or_else(|| Unreadable::new("a text that is no date"))
}

pub(super) fn json_text(value: SqliteValueRef<'_>) -> Result<String, Unreadable> {
    text(value)
}

pub(super) fn shown(value: SqliteValueRef<'_>) -> Result<serde_json::Value, Unreadable> {
    match value.type_info().name() {
        "INTEGER" | "BOOLEAN" => decoded::<i64>(value).map(Into::into),
        "REAL" => decoded::<f64>(value).map(Into::into),
        "BLOB" => decoded::<Vec<u8>>(value).map(|bytes| super::hexadecimal(&bytes).into()),
        _ => decoded::<String>(value).map(Into::into),
    }
}
