//! Rows, and the Rust values that they become.

use sqlx::{Column as _, Row as _};

use super::column::{Cell, FromColumn, Raw, Unreadable};
use super::error::{SqlError, SqlErrorKind, of_driver};

/// One row of an answer.
pub struct Row(pub(crate) Inner);

pub(crate) enum Inner {
    Sqlite(sqlx::sqlite::SqliteRow),
    #[cfg(feature = "postgres")]
    Postgres(sqlx::postgres::PgRow),
}

impl std::fmt::Debug for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Row").field("columns", &self.columns()).finish()
    }
}

impl Row {
    /// The value of the column of this name.
    ///
    /// # Errors
    ///
    /// [`SqlErrorKind::Statement`] when the row has no such column, [`SqlErrorKind::Value`] when
    /// it cannot be read as a `T`.
    pub fn get<T: FromColumn>(&self, column: &str) -> Result<T, SqlError> {
        T::from_column(self.named(column)?).map_err(|error| unreadable(column, &error))
    }

    /// The value of the column at this index, from 0.
    ///
    /// # Errors
    ///
    /// As [`Row::get`].
    pub fn at<T: FromColumn>(&self, index: usize) -> Result<T, SqlError> {
        let cell = self.cell(index)?;
        T::from_column(cell).map_err(|error| {
            unreadable(self.columns().get(index).copied().unwrap_or_default(), &error)
        })
    }

    /// How many columns it has.
    pub fn len(&self) -> usize {
        match &self.0 {
            Inner::Sqlite(row) => row.len(),
            #[cfg(feature = "postgres")]
            Inner::Postgres(row) => row.len(),
        }
    }

    /// Whether it has no columns.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The names of its columns.
    pub fn columns(&self) -> Vec<&str> {
        match &self.0 {
            Inner::Sqlite(row) => row.columns().iter().map(|column| column.name()).collect(),
            #[cfg(feature = "postgres")]
            Inner::Postgres(row) => row.columns().iter().map(|column| column.name()).collect(),
        }
    }

    /// Names and values, for whoever does not know the columns.
    pub(crate) fn shown(&self) -> Result<Vec<(String, serde_json::Value)>, SqlError> {
        let columns = self.columns();
        let shown = columns.iter().enumerate().map(|(index, name)| {
            let value = self.cell(index)?.any().map_err(|error| unreadable(name, &error))?;
            Ok(((*name).to_owned(), value))
        });
        shown.collect()
    }

    fn named(&self, column: &str) -> Result<Cell<'_>, SqlError> {
        let raw = match &self.0 {
            Inner::Sqlite(row) => Raw::Sqlite(row.try_get_raw(column).map_err(of_driver)?),
            #[cfg(feature = "postgres")]
            Inner::Postgres(row) => Raw::Postgres(row.try_get_raw(column).map_err(of_driver)?),
        };
        Ok(Cell::new(raw))
    }

    pub(crate) fn cell(&self, index: usize) -> Result<Cell<'_>, SqlError> {
        let raw = match &self.0 {
            Inner::Sqlite(row) => Raw::Sqlite(row.try_get_raw(index).map_err(of_driver)?),
            #[cfg(feature = "postgres")]
            Inner::Postgres(row) => Raw::Postgres(row.try_get_raw(index).map_err(of_driver)?),
        };
        Ok(Cell::new(raw))
    }
}

fn unreadable(column: &str, error: &Unreadable) -> SqlError {
    SqlError::new(SqlErrorKind::Value)
        .detail(format!("the column `{column}` cannot be read as the type asked for: {error}"))
}

/// What a row becomes: a struct by `#[derive(Record)]`, a tuple by position, or the value of the
/// first column.
///
/// ```
/// use updraft::sql::{self, Record};
/// use updraft::{Sql, SqlError};
///
/// #[derive(Record)]
/// struct Order {
///     id: i64,
///     /// Another name in the database
///     #[column(name = "sku")]
///     product: String,
///     note: Option<String>,
/// }
///
/// async fn order(db: &Sql, id: i64) -> Result<Option<Order>, SqlError> {
///     sql::query("SELECT id, sku, note FROM orders WHERE id = $1").bind(id).fetch_optional(db).await
/// }
///
/// async fn count(db: &Sql) -> Result<i64, SqlError> {
///     sql::query("SELECT count(*) FROM orders").fetch_one(db).await
/// }
/// ```
pub trait Record: Sized {
    /// Reads the row.
    ///
    /// # Errors
    ///
    /// As [`Row::get`].
    fn from_row(row: &Row) -> Result<Self, SqlError>;
}

macro_rules! scalar {
    ($($type:ty),* $(,)?) => {$(
        impl Record for $type {
            fn from_row(row: &Row) -> Result<Self, SqlError> {
                row.at(0)
            }
        }
    )*};
}

scalar!(
    bool,
    i8,
    u8,
    i16,
    u16,
    i32,
    u32,
    i64,
    u64,
    f32,
    f64,
    String,
    Vec<u8>,
    uuid::Uuid,
    jiff::Timestamp,
    jiff::civil::Date,
    serde_json::Value,
);

impl<T: FromColumn> Record for Option<T> {
    fn from_row(row: &Row) -> Result<Self, SqlError> {
        row.at(0)
    }
}

impl<T: serde::de::DeserializeOwned> Record for super::value::Json<T> {
    fn from_row(row: &Row) -> Result<Self, SqlError> {
        row.at(0)
    }
}

macro_rules! tuple {
    ($($type:ident $index:tt),*) => {
        impl<$($type: FromColumn),*> Record for ($($type,)*) {
            fn from_row(row: &Row) -> Result<Self, SqlError> {
                Ok(($(row.at::<$type>($index)?,)*))
            }
        }
    };
}

tuple!(A 0);
tuple!(A 0, B 1);
tuple!(A 0, B 1, C 2);
tuple!(A 0, B 1, C 2, D 3);
tuple!(A 0, B 1, C 2, D 3, E 4);
tuple!(A 0, B 1, C 2, D 3, E 4, F 5);
tuple!(A 0, B 1, C 2, D 3, E 4, F 5, G 6);
tuple!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7);
