//! Values on their way into a statement: one small set of types that both kinds of database
//! store without loss, and how each stores them.

mod json;
#[cfg(feature = "postgres")]
mod postgres;
mod sqlite;
pub(crate) mod time;

use std::borrow::Cow;

use jiff::Timestamp;
use jiff::civil::Date;
use uuid::Uuid;

pub use json::Json;
#[cfg(feature = "postgres")]
pub(crate) use postgres::arguments as postgres_arguments;
pub(crate) use sqlite::arguments as sqlite_arguments;

/// A value that is bound to a placeholder.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Value<'v> {
    /// `NULL`, of the type that it stands for.
    Null(ValueType),
    /// SQLite `INTEGER` 0 or 1, PostgreSQL `BOOLEAN`.
    Bool(bool),
    /// SQLite `INTEGER`, PostgreSQL `SMALLINT`.
    I16(i16),
    /// SQLite `INTEGER`, PostgreSQL `INTEGER`.
    I32(i32),
    /// SQLite `INTEGER`, PostgreSQL `BIGINT`.
    I64(i64),
    /// SQLite `REAL`, PostgreSQL `REAL`.
    F32(f32),
    /// SQLite `REAL`, PostgreSQL `DOUBLE PRECISION`.
    F64(f64),
    /// `TEXT`.
    Text(Cow<'v, str>),
    /// SQLite `BLOB`, PostgreSQL `BYTEA`.
    Bytes(Cow<'v, [u8]>),
    /// SQLite `TEXT` (lower case, with hyphens), PostgreSQL `UUID`.
    Uuid(Uuid),
    /// SQLite `TEXT` (RFC 3339 in UTC with six digits of the second, so that texts sort as
    /// moments do), PostgreSQL `TIMESTAMPTZ`. Both keep microseconds; what is finer is cut off.
    Timestamp(Timestamp),
    /// SQLite `TEXT` (`2026-01-31`), PostgreSQL `DATE`.
    Date(Date),
    /// SQLite `TEXT`, PostgreSQL `JSONB`.
    Json(Cow<'v, str>),
}

/// The type of a [`Value`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each is the type of the value of the same name")]
pub enum ValueType {
    Bool,
    I16,
    I32,
    I64,
    F32,
    F64,
    Text,
    Bytes,
    Uuid,
    Timestamp,
    Date,
    Json,
}

/// A value that cannot be stored.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ValueError(pub(crate) &'static str);

/// A type that can be bound to a placeholder. A type of your own calls that of what it is made
/// of:
///
/// ```
/// use updraft::sql::{IntoValue, Value, ValueError, ValueType};
///
/// struct Sku(String);
///
/// impl<'v> IntoValue<'v> for &'v Sku {
///     const TYPE: ValueType = ValueType::Text;
///
///     fn into_value(self) -> Result<Value<'v>, ValueError> {
///         self.0.as_str().into_value()
///     }
/// }
/// ```
pub trait IntoValue<'v> {
    /// The type that `None` of this has in the database.
    const TYPE: ValueType;

    /// The value as it is sent.
    ///
    /// # Errors
    ///
    /// [`ValueError`] when no database could store it.
    fn into_value(self) -> Result<Value<'v>, ValueError>;
}

macro_rules! bound {
    ($($rust:ty => $kind:ident ($value:ident) $made:expr),* $(,)?) => {$(
        impl<'v> IntoValue<'v> for $rust {
            const TYPE: ValueType = ValueType::$kind;

            fn into_value(self) -> Result<Value<'v>, ValueError> {
                let $value = self;
                Ok(Value::$kind($made))
            }
        }
    )*};
}

bound! {
    bool => Bool(it) it,
    i8 => I16(it) it.into(),
    u8 => I16(it) it.into(),
    i16 => I16(it) it,
    u16 => I32(it) it.into(),
    i32 => I32(it) it,
    u32 => I64(it) it.into(),
    i64 => I64(it) it,
    f32 => F32(it) it,
    f64 => F64(it) it,
    &'v str => Text(it) Cow::Borrowed(it),
    String => Text(it) Cow::Owned(it),
    &'v String => Text(it) Cow::Borrowed(it.as_str()),
    Cow<'v, str> => Text(it) it,
    &'v [u8] => Bytes(it) Cow::Borrowed(it),
    Vec<u8> => Bytes(it) Cow::Owned(it),
    &'v Vec<u8> => Bytes(it) Cow::Borrowed(it.as_slice()),
    Uuid => Uuid(it) it,
    &'v serde_json::Value => Json(it) Cow::Owned(it.to_string()),
    serde_json::Value => Json(it) Cow::Owned(it.to_string()),
}

impl<'v> IntoValue<'v> for Timestamp {
    const TYPE: ValueType = ValueType::Timestamp;

    fn into_value(self) -> Result<Value<'v>, ValueError> {
        time::storable(self).map(Value::Timestamp)
    }
}

impl<'v> IntoValue<'v> for Date {
    const TYPE: ValueType = ValueType::Date;

    fn into_value(self) -> Result<Value<'v>, ValueError> {
        if self.year() < 1 {
            return Err(ValueError("a date before the year 1 cannot be stored"));
        }
        Ok(Value::Date(self))
    }
}

impl<'v, T: IntoValue<'v>> IntoValue<'v> for Option<T> {
    const TYPE: ValueType = T::TYPE;

    fn into_value(self) -> Result<Value<'v>, ValueError> {
        self.map_or(Ok(Value::Null(T::TYPE)), T::into_value)
    }
}

macro_rules! bound_by_reference {
    ($($rust:ty),* $(,)?) => {$(
        impl<'v> IntoValue<'v> for &$rust {
            const TYPE: ValueType = <$rust as IntoValue<'v>>::TYPE;

            fn into_value(self) -> Result<Value<'v>, ValueError> {
                (*self).into_value()
            }
        }
    )*};
}

bound_by_reference!(bool, i8, u8, i16, u16, i32, u32, i64, f32, f64, Uuid, Timestamp, Date);

impl<'v> From<&'v str> for Value<'v> {
    fn from(text: &'v str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl From<i64> for Value<'_> {
    fn from(number: i64) -> Self {
        Self::I64(number)
    }
}
