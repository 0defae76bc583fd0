//! From what the drivers say to kinds. Messages that can hold values stay behind.

use sqlx::error::DatabaseError;

use super::{SqlError, SqlErrorKind};

/// The error of a driver, as an error of ours.
pub(crate) fn of_driver(error: sqlx::Error) -> SqlError {
    match error {
        sqlx::Error::Database(error) => of_database(&*error),
        sqlx::Error::Io(error) => {
            SqlError::new(SqlErrorKind::Unavailable).detail(error.kind().to_string())
        }
        sqlx::Error::Tls(error) => {
            SqlError::new(SqlErrorKind::Unavailable).detail(format!("TLS: {error}"))
        }
        sqlx::Error::PoolTimedOut => SqlError::new(SqlErrorKind::Saturated),
        sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => {
            SqlError::new(SqlErrorKind::Unavailable)
        }
        // These say what of the protocol was not understood, which can be a part of a value.
        sqlx::Error::Protocol(_) => {
            SqlError::new(SqlErrorKind::Unavailable).detail("what came is not the protocol")
        }
        sqlx::Error::RowNotFound => SqlError::new(SqlErrorKind::NotFound),
        sqlx::Error::ColumnNotFound(name) => {
            SqlError::new(SqlErrorKind::Statement).detail(format!("the row has no column `{name}`"))
        }
        sqlx::Error::ColumnIndexOutOfBounds { index, len } => {
            SqlError::new(SqlErrorKind::Statement)
                .detail(format!("column {index} was read of a row that has {len}"))
        }
        sqlx::Error::Encode(_) | sqlx::Error::InvalidArgument(_) => {
            SqlError::new(SqlErrorKind::Value).detail("a parameter cannot be sent")
        }
        sqlx::Error::ColumnDecode { index, .. } => SqlError::new(SqlErrorKind::Value)
            .detail(format!("the column {index} cannot be read as the type asked for")),
        sqlx::Error::Decode(_) => SqlError::new(SqlErrorKind::Value),
        sqlx::Error::TypeNotFound { type_name } => SqlError::new(SqlErrorKind::Statement)
            .detail(format!("the database has no type `{type_name}`")),
        sqlx::Error::Configuration(_) => {
            SqlError::new(SqlErrorKind::Other).detail("the driver refuses the settings")
        }
        _ => SqlError::new(SqlErrorKind::Other),
    }
}

fn of_database(error: &dyn DatabaseError) -> SqlError {
    #[cfg(feature = "postgres")]
    if let Some(error) = error.try_downcast_ref::<sqlx::postgres::PgDatabaseError>() {
        return postgres(error);
    }
    sqlite(error)
}

/// By the SQLSTATE: appendix A of PostgreSQL's manual.
#[cfg(feature = "postgres")]
fn postgres(error: &sqlx::postgres::PgDatabaseError) -> SqlError {
    let code = error.code();
    let name = || error.constraint().unwrap_or_default().to_owned();
    let kind = match code {
        "23505" | "23P01" => SqlErrorKind::Unique { constraint: name() },
        "23503" | "23001" => {
            SqlErrorKind::ForeignKey { constraint: error.constraint().map(str::to_owned) }
        }
        "23514" => SqlErrorKind::Check { constraint: name() },
        "23502" => SqlErrorKind::NotNull { column: error.column().unwrap_or_default().to_owned() },
        // Serialization failure, deadlock, lock_not_available.
        "40001" | "40P01" | "55P03" => SqlErrorKind::Busy,
        "57014" => SqlErrorKind::Timeout,
        "25006" => SqlErrorKind::ReadOnly,
        // Shutdown, crash, start-up, a database that is dropped, too many connections.
        "57P01" | "57P02" | "57P03" | "57P04" | "53300" => SqlErrorKind::Unavailable,
        "42501" | "3D000" => SqlErrorKind::Denied,
        _ => match code.get(..2) {
            Some("08") => SqlErrorKind::Unavailable,
            Some("22") => SqlErrorKind::Value,
            Some("28") => SqlErrorKind::Denied,
            Some("42" | "26" | "34" | "3F" | "0A") => SqlErrorKind::Statement,
            _ => SqlErrorKind::Other,
        },
    };
    // Of these classes the primary message holds names only; that of class 22 quotes values,
    // and one of PL/pgSQL (P0001) whatever its author wrote. Details are never read.
    let tellable = matches!(
        code.get(..2),
        Some("08" | "23" | "25" | "28" | "3D" | "40" | "42" | "53" | "55" | "57")
    );
    // The parser of SQL quotes the statement; parsers of values (`to_tsquery`) have its code too.
    let tellable = tellable && (code != "42601" || error.message().starts_with("syntax error at "));
    let told = SqlError::new(kind).code_of(code.to_owned());
    if tellable { told.detail(error.message().to_owned()) } else { told }
}

/// By the result code: https://www.sqlite.org/rescode.html.
fn sqlite(error: &dyn DatabaseError) -> SqlError {
    let code: u32 = error.code().and_then(|code| code.parse().ok()).unwrap_or_default();
    let message = error.message();
    let failed = |prefix: &str| message.strip_prefix(prefix).unwrap_or_default();
    let kind = match (code & 0xff, code) {
        // BUSY and LOCKED.
        (5 | 6, _) => SqlErrorKind::Busy,
        (8, _) => SqlErrorKind::ReadOnly,
        // INTERRUPT: only the bound of a statement interrupts one.
        (9, _) => SqlErrorKind::Timeout,
        (19, 275) => {
            SqlErrorKind::Check { constraint: failed("CHECK constraint failed: ").to_owned() }
        }
        (19, 787) => SqlErrorKind::ForeignKey { constraint: None },
        (19, 1299) => {
            let column = failed("NOT NULL constraint failed: ");
            let column = column.rsplit_once('.').map_or(column, |(_, column)| column);
            SqlErrorKind::NotNull { column: column.to_owned() }
        }
        (19, 1555 | 2579) => {
            let columns = failed("UNIQUE constraint failed: ");
            let table = columns.split_once('.').map_or(columns, |(table, _)| table);
            SqlErrorKind::Unique { constraint: format!("{table}_pkey") }
        }
        (19, 2067) => {
            SqlErrorKind::Unique { constraint: key_name(failed("UNIQUE constraint failed: ")) }
        }
        // CONSTRAINT_DATATYPE of a STRICT table; TOOBIG, MISMATCH, RANGE.
        (19, 3091) | (18 | 20 | 25, _) => SqlErrorKind::Value,
        (3 | 23, _) => SqlErrorKind::Denied,
        // IOERR, CORRUPT, FULL, CANTOPEN, NOTADB.
        (10 | 11 | 13 | 14 | 26, _) => SqlErrorKind::Unavailable,
        (1, _) => SqlErrorKind::Statement,
        _ => SqlErrorKind::Other,
    };
    let told = SqlError::new(kind).code_of(code.to_string());
    // A trigger's RAISE says what its author wrote; these quote the value that they parse.
    let quotes = ["fts5: ", "malformed MATCH ", "bad JSON path"];
    let silent = code == 1811 || quotes.iter().any(|prefix| message.starts_with(prefix));
    if silent { told } else { told.detail(message.to_owned()) }
}

/// The name that PostgreSQL gives a `UNIQUE` by default, of SQLite's `table.one, table.two`.
fn key_name(columns: &str) -> String {
    if let Some(index) = columns.strip_prefix("index '") {
        return index.trim_end_matches('\'').to_owned();
    }
    let mut name = String::new();
    for column in columns.split(", ") {
        let (table, column) = column.split_once('.').unwrap_or(("", column));
        if name.is_empty() {
            name.push_str(table);
        }
        name.push('_');
        name.push_str(column);
    }
    name.push_str("_key");
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_columns_of_a_key_give_the_name_that_postgresql_would_give_it() {
        for (columns, name) in [
            ("orders.number", "orders_number_key"),
            ("orders.shop, orders.number", "orders_shop_number_key"),
            ("index 'orders_lower_idx'", "orders_lower_idx"),
        ] {
            assert_eq!(key_name(columns), name);
        }
    }

    #[test]
    fn what_a_driver_could_not_read_is_not_repeated() {
        let canary = || Box::<dyn std::error::Error + Send + Sync>::from("canary");
        for error in [
            sqlx::Error::Protocol("canary".into()),
            sqlx::Error::Configuration(canary()),
            sqlx::Error::Decode(canary()),
            sqlx::Error::Encode(canary()),
            sqlx::Error::ColumnDecode { index: "\"a\"".into(), source: canary() },
        ] {
            let error = of_driver(error);
            assert!(!format!("{error} {error:?}").contains("canary"), "{error:?}");
        }
    }
}
