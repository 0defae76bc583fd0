//! How the schema of a database is to this release.

use super::Migration;
use super::record::Applied;
use crate::Sql;
use crate::sql::SqlError;

/// How the schema of a database is to this release.
#[derive(Debug)]
pub enum SchemaState {
    /// It has all changes that this release knows, and no others.
    Current,
    /// It has all changes that this release knows, and others: a newer release has migrated it,
    /// or another service shares it. That is fine: during a roll-out the old release runs on
    /// the new schema.
    Ahead,
    /// Changes that this release needs are missing.
    Behind {
        /// Their names, in their order.
        missing: Vec<&'static str>,
    },
    /// The database could not be asked.
    Unknown(SqlError),
}

impl SchemaState {
    /// Whether this release can work with it.
    pub fn is_usable(&self) -> bool {
        matches!(self, Self::Current | Self::Ahead)
    }
}

impl Sql {
    /// How the schema is to a release that knows these migrations.
    pub async fn schema_state(&self, migrations: &[Migration]) -> SchemaState {
        let applied = match Applied::read(self).await {
            Ok(applied) => applied,
            Err(error) => return SchemaState::Unknown(error),
        };
        let missing: Vec<_> =
            applied.missing(migrations).into_iter().map(Migration::name).collect();
        if !missing.is_empty() {
            SchemaState::Behind { missing }
        } else if applied.is_more_than(migrations) {
            SchemaState::Ahead
        } else {
            SchemaState::Current
        }
    }
}
