//! Values on their way out of a row. Reading is wide where nothing is lost: any integer type
//! of the database can be read as any integer type of Rust that holds the number, and
//! `sum(…)`, which is `NUMERIC` on PostgreSQL, as an integer.

#[cfg(feature = "postgres")]
mod postgres;
mod sqlite;

use jiff::Timestamp;
use jiff::civil::Date;
use uuid::Uuid;

/// One value of a row, as its database has it.
pub struct Cell<'r>(Raw<'r>);

pub(crate) enum Raw<'r> {
    Sqlite(sqlx::sqlite::SqliteValueRef<'r>),
    #[cfg(feature = "postgres")]
    Postgres(sqlx::postgres::PgValueRef<'r>),
}

impl std::fmt::Debug for Cell<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Cell")
    }
}

/// A value cannot be read as the type asked for. It says of what type it is, never the value.
#[derive(Debug, thiserror::Error)]
#[error("it is {found}")]
pub struct Unreadable {
    found: String,
}

impl Unreadable {
    /// Says what was found instead, such as `"a text that is no colour"`; never the value.
    pub fn new(found: impl Into<String>) -> Self {
        Self { found: found.into() }
    }
}

/// A type that one column can be read as. A type of your own reads what it is made of:
///
/// ```
/// use updraft::sql::{Cell, FromColumn, Unreadable};
///
/// enum Colour { Red, Blue }
///
/// impl FromColumn for Colour {
///     fn from_column(cell: Cell<'_>) -> Result<Self, Unreadable> {
///         match String::from_column(cell)?.as_str() {
///             "red" => Ok(Self::Red),
///             "blue" => Ok(Self::Blue),
///             _ => Err(Unreadable::new("a text that is no colour")),
///         }
///     }
/// }
/// ```
pub trait FromColumn: Sized {
    /// Reads the value.
    ///
    /// # Errors
    ///
    /// [`Unreadable`].
    fn from_column(cell: Cell<'_>) -> Result<Self, Unreadable>;
}

impl<'r> Cell<'r> {
    pub(crate) fn new(raw: Raw<'r>) -> Self {
        Self(raw)
    }

    /// Whether it is `NULL`.
    pub fn is_null(&self) -> bool {
        use sqlx::ValueRef;
        match &self.0 {
            Raw::Sqlite(value) => value.is_null(),
            #[cfg(feature = "postgres")]
            Raw::Postgres(value) => value.is_null(),
        }
    }
}

macro_rules! read_by {
    ($($(#[$doc:meta])* $name:ident -> $type:ty;)*) => {
        impl Cell<'_> {$(
            $(#[$doc])*
            fn $name(self) -> Result<$type, Unreadable> {
                match self.0 {
                    Raw::Sqlite(value) => sqlite::$name(value),
                    #[cfg(feature = "postgres")]
                    Raw::Postgres(value) => postgres::$name(value),
                }
            }
        )*}
    };
}

read_by! {
    boolean -> bool;
    integer -> i64;
    float -> f64;
    text -> String;
    bytes -> Vec<u8>;
    uuid -> Uuid;
    timestamp -> Timestamp;
    date -> Date;
    json_text -> String;
    shown -> serde_json::Value;
}

impl Cell<'_> {
    pub(crate) fn json(self) -> Result<String, Unreadable> {
        self.json_text()
    }

    /// Any value, for people and programs that do not know its type.
    pub(crate) fn any(self) -> Result<serde_json::Value, Unreadable> {
        if self.is_null() { Ok(serde_json::Value::Null) } else { self.shown() }
    }
}

macro_rules! read {
    ($($type:ty: $method:ident),* $(,)?) => {$(
        impl FromColumn for $type {
            fn from_column(cell: Cell<'_>) -> Result<Self, Unreadable> {
                cell.$method()
            }
        }
    )*};
}

read!(bool: boolean, i64: integer, f64: float, String: text, Vec<u8>: bytes, Uuid: uuid,
    Timestamp: timestamp, Date: date);

macro_rules! read_integer {
    ($($type:ty),*) => {$(
        impl FromColumn for $type {
            fn from_column(cell: Cell<'_>) -> Result<Self, Unreadable> {
                let wide = cell.integer()?;
                let outside = |_range| {
                    Unreadable::new(concat!("an integer outside of the range of ", stringify!($type)))
                };
                Self::try_from(wide).map_err(outside)
            }
        }
    )*};
}

read_integer!(i8, u8, i16, u16, i32, u32, u64);

impl FromColumn for f32 {
    #[expect(clippy::cast_possible_truncation, reason = "a REAL of PostgreSQL was one before")]
    fn from_column(cell: Cell<'_>) -> Result<Self, Unreadable> {
        cell.float().map(|wide| wide as Self)
    }
}

impl<T: FromColumn> FromColumn for Option<T> {
    fn from_column(cell: Cell<'_>) -> Result<Self, Unreadable> {
        if cell.is_null() { Ok(None) } else { T::from_column(cell).map(Some) }
    }
}

/// Bytes as PostgreSQL writes them: `\x00ff`.
fn hexadecimal(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(nibble.into(), 16).unwrap_or('0');
    let mut text = String::with_capacity(2 + 2 * bytes.len());
    text.push_str("\\x");
    for byte in bytes {
        text.push(digit(byte >> 4));
        text.push(digit(byte & 0xf));
    }
    text
}
