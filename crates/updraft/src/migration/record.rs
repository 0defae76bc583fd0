//! The record of what was applied, in a table of the database itself.

use std::collections::HashMap;

use super::{MigrateError, Migration};
use crate::Sql;
use crate::sql::{SqlError, SqlErrorKind, query};

/// The same text for both kinds of database.
pub(super) const TABLE: &str = "CREATE TABLE IF NOT EXISTS updraft_migrations (
    name TEXT PRIMARY KEY,
    checksum TEXT NOT NULL,
    applied_at_ms BIGINT NOT NULL
)";

/// What was applied: names and checksums.
#[derive(Debug, Default)]
pub(super) struct Applied(HashMap<String, String>);

impl Applied {
    /// Reads the record; nothing was applied where there is none.
    ///
    /// # Errors
    ///
    /// When the database cannot be asked.
    pub(super) async fn read(sql: &Sql) -> Result<Self, SqlError> {
        let known: bool = if sql.system() == "sqlite" {
            query("SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'updraft_migrations')")
        } else {
            query("SELECT to_regclass('updraft_migrations') IS NOT NULL")
        }
        .fetch_one(sql)
        .await?;
        if !known {
            return Ok(Self::default());
        }
        let rows = query("SELECT name, checksum FROM updraft_migrations");
        Ok(Self(rows.fetch_all::<(String, String)>(sql).await?.into_iter().collect()))
    }

    /// Those that are missing, in their order.
    pub(super) fn missing<'m>(&self, migrations: &'m [Migration]) -> Vec<&'m Migration> {
        migrations.iter().filter(|migration| !self.0.contains_key(migration.name)).collect()
    }

    /// Whether something was applied that is not in the list: by a newer release, or by another
    /// service in the same database.
    pub(super) fn is_more_than(&self, migrations: &[Migration]) -> bool {
        self.0.keys().any(|name| migrations.iter().all(|migration| migration.name != name))
    }

    /// # Errors
    ///
    /// [`MigrateError::Changed`] with all whose text is not what was applied.
    pub(super) fn unchanged(
        &self,
        sql: &Sql,
        migrations: &[Migration],
    ) -> Result<(), MigrateError> {
        let differs = |migration: &&Migration| {
            self.0.get(migration.name).is_some_and(|applied| *applied != migration.checksum(sql))
        };
        let names: Vec<_> = migrations.iter().filter(differs).map(Migration::name).collect();
        if names.is_empty() { Ok(()) } else { Err(MigrateError::Changed { names }) }
    }
}

/// # Errors
///
/// [`MigrateError::Twice`] when two migrations have one name.
pub(super) fn distinct(migrations: &[Migration]) -> Result<(), MigrateError> {
    for (number, migration) in migrations.iter().enumerate() {
        if migrations.iter().take(number).any(|earlier| earlier.name == migration.name) {
            return Err(MigrateError::Twice { migration: migration.name });
        }
    }
    Ok(())
}

/// What the record cannot be read or written for.
pub(super) fn unread(error: SqlError) -> MigrateError {
    match error.kind() {
        SqlErrorKind::Unavailable | SqlErrorKind::Saturated => MigrateError::Unavailable(error),
        _ => MigrateError::Record(error),
    }
}
