//! Applying what is missing.

use std::time::Duration;

use super::record::{self, Applied, unread};
use super::{Migration, SchemaState, is_bare, lock, statements};
use crate::Sql;
use crate::sql::{Session, SqlError, SqlErrorKind};

/// How long a change waits for a lock on a table before it lets others pass and tries again:
/// whatever comes after a waiting `ALTER TABLE` waits too.
const LOCK_TIMEOUT: &str = "SET lock_timeout = '3s'";

/// Building an index waits for every transaction that was there before.
const NO_LOCK_TIMEOUT: &str = "SET lock_timeout = 0";

/// How often a change that meets a lock is tried.
const LOCK_ATTEMPTS: u32 = 20;

/// Between two of those tries.
const LOCK_PAUSE: Duration = Duration::from_millis(500);

/// The schema cannot be changed, or is not what this release needs.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MigrateError {
    /// A change failed; it and the changes after it were not applied.
    #[error("migration `{migration}` failed and was rolled back")]
    Failed {
        /// The name of the change.
        migration: &'static str,
        /// What the database said.
        source: SqlError,
    },
    /// A change without a transaction failed at one of its statements; those before it stay.
    #[error(
        "migration `{migration}` failed at its statement {statement}; what came before stays: \
         make its statements safe to run again (IF NOT EXISTS) and run migrate again"
    )]
    Partly {
        /// The name of the change.
        migration: &'static str,
        /// The number of the statement, from 1.
        statement: usize,
        /// What the database said.
        source: SqlError,
    },
    /// An index that a change makes is not valid.
    #[error(
        "migration `{migration}` left the index `{index}` invalid: look for rows that break \
         it, and run migrate again, which drops it first"
    )]
    InvalidIndex {
        /// The name of the change.
        migration: &'static str,
        /// The name of the index.
        index: String,
    },
    /// Changes were edited after they were applied.
    #[error(
        "applied migrations were changed: {}; undo that, and write what should be \
         different as a new migration", names.join(", ")
    )]
    Changed {
        /// The names of the changes.
        names: Vec<&'static str>,
    },
    /// Two changes have one name.
    #[error("two migrations are called `{migration}`")]
    Twice {
        /// The name.
        migration: &'static str,
    },
    /// A change wants no transaction where there must be one.
    #[error(
        "migration `{migration}` wants no transaction, which is for PostgreSQL only: give it a \
         text of its own for SQLite (`{migration}.sqlite.sql`)"
    )]
    NeedsTransaction {
        /// The name of the change.
        migration: &'static str,
    },
    /// Changes that this release needs were not applied.
    #[error("the schema is behind: run `migrate` first ({} missing)", missing.join(", "))]
    Behind {
        /// The names of the changes.
        missing: Vec<&'static str>,
    },
    /// Another process migrates for too long.
    #[error("another process has held the lock of migrations for {} s", waited.as_secs())]
    Locked {
        /// How long this one has waited.
        waited: Duration,
    },
    /// The database is away.
    #[error("the database cannot be asked")]
    Unavailable(#[source] SqlError),
    /// The record of applied changes cannot be read or written.
    #[error("cannot read or write the record of applied migrations")]
    Record(#[source] SqlError),
}

impl Sql {
    /// Applies what is missing of `migrations`, in their order. Two replicas that do this at
    /// once apply each change once. Gives the names of those that it has applied.
    ///
    /// # Errors
    ///
    /// [`MigrateError`]; the changes before the failed one stay.
    pub async fn migrate(
        &self,
        migrations: &[Migration],
    ) -> Result<Vec<&'static str>, MigrateError> {
        record::distinct(migrations)?;
        let mut session = self.session().await.map_err(MigrateError::Unavailable)?;
        lock::take(&mut session).await?;
        session.batch(record::TABLE).await.map_err(unread)?;
        let applied = Applied::read(self).await.map_err(unread)?;
        applied.unchanged(self, migrations)?;
        let mut done = Vec::new();
        for migration in applied.missing(migrations) {
            let text = migration.text(self);
            let applied = if is_bare(text) {
                bare(self, &mut session, migration).await?
            } else {
                whole(self, &mut session, migration).await?
            };
            if applied {
                tracing::info!(migration = migration.name, "migrated");
                done.push(migration.name);
            }
        }
        Ok(done)
    }

    /// Which of `migrations` [`Sql::migrate`] would apply.
    ///
    /// # Errors
    ///
    /// [`MigrateError::Changed`], or when the database cannot be asked.
    pub async fn plan(&self, migrations: &[Migration]) -> Result<Vec<Migration>, MigrateError> {
        record::distinct(migrations)?;
        let applied = Applied::read(self).await.map_err(unread)?;
        applied.unchanged(self, migrations)?;
        Ok(applied.missing(migrations).into_iter().copied().collect())
    }

    /// Refuses to go on unless all of `migrations` are applied. More may be.
    ///
    /// # Errors
    ///
    /// [`MigrateError::Behind`] with the names of the missing ones.
    pub async fn require(&self, migrations: &[Migration]) -> Result<(), MigrateError> {
        match self.schema_state(migrations).await {
            SchemaState::Current | SchemaState::Ahead => Ok(()),
            SchemaState::Behind { missing } => Err(MigrateError::Behind { missing }),
            SchemaState::Unknown(error) => Err(unread(error)),
        }
    }
}

/// Applies one change all or nothing; `false`: another process was first.
async fn whole(
    sql: &Sql,
    session: &mut Session,
    migration: &Migration,
) -> Result<bool, MigrateError> {
    let failed = |source| MigrateError::Failed { migration: migration.name, source };
    if !session.is_sqlite() {
        session.batch(LOCK_TIMEOUT).await.map_err(failed)?;
    }
    for attempt in 1.. {
        match once(sql, session, migration).await {
            Err(error) if error.is_retryable() && attempt < LOCK_ATTEMPTS => {
                tracing::info!(migration = migration.name, attempt, "it met a lock");
                tokio::time::sleep(LOCK_PAUSE.mul_f64(0.5 + fastrand::f64())).await;
            }
            result => return result.map_err(failed),
        }
    }
    Ok(false)
}

async fn once(sql: &Sql, session: &mut Session, migration: &Migration) -> Result<bool, SqlError> {
    session.batch(if session.is_sqlite() { "BEGIN IMMEDIATE" } else { "BEGIN" }).await?;
    let result = async {
        // On SQLite this is where another process is seen to have been first.
        if !write_down(sql, session, migration).await? {
            return Ok(false);
        }
        session.batch(migration.text(sql)).await?;
        Ok(true)
    }
    .await;
    match result {
        Ok(done) => {
            session.batch("COMMIT").await?;
            Ok(done)
        }
        Err(error) => {
            // A session that is lost has rolled back; the first error is the one to tell.
            drop(session.batch("ROLLBACK").await);
            Err(error)
        }
    }
}

/// `false`: it is in the record.
async fn write_down(
    sql: &Sql,
    session: &mut Session,
    migration: &Migration,
) -> Result<bool, SqlError> {
    let insert = "INSERT INTO updraft_migrations (name, checksum, applied_at_ms)
        VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
    let checksum = migration.checksum(sql);
    let now = jiff::Timestamp::now().as_millisecond();
    let values = [migration.name.into(), checksum.as_str().into(), now.into()];
    Ok(session.execute(insert, &values).await? == 1)
}

/// Applies one change statement by statement.
async fn bare(
    sql: &Sql,
    session: &mut Session,
    migration: &Migration,
) -> Result<bool, MigrateError> {
    let name = migration.name;
    if session.is_sqlite() {
        return Err(MigrateError::NeedsTransaction { migration: name });
    }
    let text = migration.text(sql);
    session.batch(NO_LOCK_TIMEOUT).await.map_err(MigrateError::Record)?;
    // What an attempt that was cut off has left behind would be taken for the index itself.
    for index in invalid_indexes(session).await? {
        if statements::names(text, &index) {
            tracing::warn!(migration = name, index, "dropping an invalid index");
            let drop =
                format!("DROP INDEX CONCURRENTLY IF EXISTS \"{}\"", index.replace('"', "\"\""));
            session.batch(drop).await.map_err(MigrateError::Record)?;
        } else {
            tracing::warn!(index, "there is an invalid index that no migration to come makes");
        }
    }
    for (number, statement) in statements::split(text).into_iter().enumerate() {
        session.batch(statement).await.map_err(|source| MigrateError::Partly {
            migration: name,
            statement: number + 1,
            source,
        })?;
    }
    let left = invalid_indexes(session).await?;
    if let Some(index) = left.into_iter().find(|index| statements::names(text, index)) {
        return Err(MigrateError::InvalidIndex { migration: name, index });
    }
    write_down(sql, session, migration).await.map_err(MigrateError::Record)?;
    Ok(true)
}

async fn invalid_indexes(session: &mut Session) -> Result<Vec<String>, MigrateError> {
    let invalid = "SELECT class.relname FROM pg_index
        JOIN pg_class AS class ON class.oid = pg_index.indexrelid
        JOIN pg_namespace AS schema ON schema.oid = class.relnamespace
        WHERE NOT pg_index.indisvalid AND schema.nspname = current_schema()
        ORDER BY class.relname";
    session.ask_all(invalid).await.map_err(|error| match error.kind() {
        SqlErrorKind::Unavailable => MigrateError::Unavailable(error),
        _ => MigrateError::Record(error),
    })
}
