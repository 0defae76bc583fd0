//! Schema changes are a command, never a side effect of a start: `migrate` applies them,
//! and a process that needs them refuses to start without.

use std::collections::HashSet;

use crate::Sql;

/// One change of a database's schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Migration {
    name: &'static str,
    sql: &'static str,
}

impl Migration {
    /// A change of this name, which must never be given to another one.
    pub const fn new(name: &'static str, sql: &'static str) -> Self {
        Self { name, sql }
    }
}

/// The schema cannot be changed, or is not what this release needs.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// A change failed; it and the changes after it were not applied.
    #[error("migration `{migration}` failed and was rolled back")]
    Failed {
        /// The name of the change.
        migration: &'static str,
        /// What the database said.
        source: sqlx::Error,
    },
    /// Changes that this release needs were not applied.
    #[error("the schema is behind: run the migrate task first ({} missing)", missing.join(", "))]
    Behind {
        /// The names of the changes.
        missing: Vec<&'static str>,
    },
    /// The record of applied changes cannot be read or written.
    #[error("cannot read the record of applied migrations")]
    Record(#[source] sqlx::Error),
}

const RECORD: &str = "CREATE TABLE IF NOT EXISTS updraft_migrations (
    name TEXT PRIMARY KEY,
    applied_at_ms INTEGER NOT NULL
) STRICT";

impl Sql {
    /// Applies what is missing of `migrations`, in their order, each in a transaction of
    /// its own. Two replicas that do this at once apply each change once.
    ///
    /// # Errors
    ///
    /// [`MigrateError`]; the changes before the failed one stay.
    pub async fn migrate(&self, migrations: &[Migration]) -> Result<(), MigrateError> {
        for migration in migrations {
            let Migration { name, sql } = *migration;
            let failed = |source| MigrateError::Failed { migration: name, source };
            // The write lock is held from here: whoever waits for it sees our record.
            let mut tx = self.begin().await.map_err(MigrateError::Record)?;
            sqlx::query(RECORD).execute(&mut *tx).await.map_err(MigrateError::Record)?;
            let record = "INSERT INTO updraft_migrations VALUES (?, ?) ON CONFLICT DO NOTHING";
            let now = jiff::Timestamp::now().as_millisecond();
            let recorded = sqlx::query(record).bind(name).bind(now).execute(&mut *tx).await;
            if recorded.map_err(MigrateError::Record)?.rows_affected() == 0 {
                continue;
            }
            sqlx::raw_sql(sql).execute(&mut *tx).await.map_err(failed)?;
            tx.commit().await.map_err(failed)?;
            tracing::info!(migration = name, "migrated");
        }
        Ok(())
    }

    /// Refuses to go on unless all of `migrations` are applied. More may be: during a
    /// roll-out the old release runs on the new schema.
    ///
    /// # Errors
    ///
    /// [`MigrateError::Behind`] with the names of the missing ones.
    pub async fn require(&self, migrations: &[Migration]) -> Result<(), MigrateError> {
        let known = "SELECT count(*) FROM sqlite_schema WHERE name = 'updraft_migrations'";
        let known: i64 =
            sqlx::query_scalar(known).fetch_one(self.read()).await.map_err(MigrateError::Record)?;
        let applied: Vec<String> = if known == 0 {
            Vec::new()
        } else {
            let names = "SELECT name FROM updraft_migrations";
            sqlx::query_scalar(names).fetch_all(self.read()).await.map_err(MigrateError::Record)?
        };
        let applied: HashSet<_> = applied.iter().map(String::as_str).collect();
        let names = migrations.iter().map(|migration| migration.name);
        let missing: Vec<_> = names.filter(|name| !applied.contains(name)).collect();
        if missing.is_empty() { Ok(()) } else { Err(MigrateError::Behind { missing }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Migration = Migration::new("first", "CREATE TABLE a (id INTEGER)");
    const SECOND: Migration = Migration::new("second", "CREATE TABLE b (id INTEGER)");
    const BROKEN: Migration = Migration::new("broken", "CREATE TABLE c (id INTEGER); nonsense");

    #[tokio::test]
    async fn replicas_that_migrate_at_once_apply_each_change_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("db.sqlite3");
        let mut migrating = tokio::task::JoinSet::new();
        for _ in 0..4 {
            let path = path.clone();
            migrating.spawn(async move {
                let sql = Sql::open(&path).await.unwrap();
                sql.migrate(&[FIRST, SECOND]).await.unwrap();
                sql.require(&[FIRST, SECOND]).await.unwrap();
            });
        }
        while let Some(migrated) = migrating.join_next().await {
            migrated.unwrap();
        }
    }

    #[tokio::test]
    async fn a_failed_change_leaves_nothing_behind_and_is_missed() {
        let folder = tempfile::tempdir().unwrap();
        let sql = Sql::open(&folder.path().join("db.sqlite3")).await.unwrap();
        let missing = sql.require(&[FIRST]).await.unwrap_err();
        assert!(missing.to_string().contains("first"));
        sql.migrate(&[FIRST, BROKEN]).await.unwrap_err();
        sql.require(&[FIRST]).await.unwrap();
        sql.require(&[BROKEN]).await.unwrap_err();
        let tables = "SELECT count(*) FROM sqlite_schema WHERE name = 'c'";
        let tables: i64 = sqlx::query_scalar(tables).fetch_one(sql.read()).await.unwrap();
        assert_eq!(tables, 0);
    }
}
