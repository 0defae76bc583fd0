//! Schema changes are a command, never a side effect of a start: `migrate` applies them, and a
//! process that needs them is not ready without.

mod lock;
mod record;
mod run;
mod state;
mod statements;
mod watch;

use std::borrow::Cow;

pub use run::MigrateError;
pub use state::SchemaState;
pub(crate) use watch::SchemaWatch;

use crate::Sql;

/// What a migration that is not to be in a transaction begins with.
const NO_TRANSACTION: &str = "-- updraft: no-transaction";

/// One change of a database's schema.
///
/// By default it is applied in a transaction, all or nothing. A text that begins with the line
/// `-- updraft: no-transaction` is run statement by statement, on PostgreSQL only: that is what
/// `CREATE INDEX CONCURRENTLY` needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Migration {
    name: &'static str,
    sqlite: &'static str,
    postgres: &'static str,
}

impl Migration {
    /// A change whose text is the same for both kinds of database. The name must never be given
    /// to another one, and the text never be changed once it was applied.
    pub const fn new(name: &'static str, sql: &'static str) -> Self {
        Self { name, sqlite: sql, postgres: sql }
    }

    /// A change with a text for each kind of database.
    pub const fn of_kinds(
        name: &'static str,
        sqlite: &'static str,
        postgres: &'static str,
    ) -> Self {
        Self { name, sqlite, postgres }
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Its text for this database.
    pub(crate) fn text(&self, sql: &Sql) -> &'static str {
        if sql.system() == "sqlite" { self.sqlite } else { self.postgres }
    }

    /// BLAKE3 of the text, which is the same wherever the file was checked out.
    fn checksum(&self, sql: &Sql) -> String {
        let text = self.text(sql);
        let text = if text.contains('\r') {
            Cow::Owned(text.replace("\r\n", "\n"))
        } else {
            Cow::Borrowed(text)
        };
        blake3::hash(text.as_bytes()).to_hex().to_string()
    }
}

/// Whether a text is run without a transaction.
fn is_bare(text: &str) -> bool {
    text.lines().next().is_some_and(|line| line.trim_end() == NO_TRANSACTION)
}

#[cfg(test)]
#[path = "migration/migration_tests.rs"]
mod tests;
