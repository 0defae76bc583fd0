//! What a process is attached to, for as long as it runs or for one piece of work.

use super::Service;
use crate::app::{App, Ctx};
use crate::attachment::Attaching;
use crate::idempotency::{Idempotency, IdempotencySettings, Keeper};
use crate::migration::SchemaWatch;
use crate::process::Context;
use crate::sql::Sql;
use crate::{BoxError, MigrateError, SchemaState};

impl<A: App> Service<A> {
    /// What the fields are attached with.
    pub(super) fn attaching(&self, context: &Context) -> Attaching {
        Attaching::new(context.metrics().clone()).of_service(self.release.service())
    }

    /// Attaches what a process needs that stays, with a schema that this release knows.
    pub(super) async fn attach(
        &self,
        parsed: A::Parsed,
        context: &Context,
    ) -> Result<(Ctx<A>, Attaching), BoxError> {
        let attaching = self.attaching(context);
        let app = A::attach(parsed, &attaching).await?;
        context.watch(attaching.attached())?;
        if let Some(sql) = self.migrated(&attaching)? {
            let mut schema = SchemaWatch::start(context, &sql, self.migrations).await;
            // A database that is away is waited for by whoever needs it; an old schema by all.
            schema.not_behind().await;
        }
        for queue in attaching.queues() {
            queue.relay(context, attaching.metrics());
        }
        Ok((Ctx::new(app, context.clone()), attaching))
    }

    /// Attaches what one piece of work needs. It does not wait for `migrate`: whoever has
    /// started it is told.
    pub(super) async fn attach_once(
        &self,
        parsed: A::Parsed,
        context: &Context,
    ) -> Result<(Ctx<A>, Attaching), BoxError> {
        let attaching = self.attaching(context);
        let app = A::attach(parsed, &attaching).await?;
        if let Some(sql) = self.migrated(&attaching)?
            && let SchemaState::Behind { missing } = sql.schema_state(self.migrations).await
        {
            return Err(MigrateError::Behind { missing }.into());
        }
        Ok((Ctx::new(app, context.clone()), attaching))
    }

    /// Has idempotency keys kept in the service's database, where operations have any.
    pub(super) fn keep_keys(
        &self,
        attaching: &Attaching,
        context: &Context,
        settings: IdempotencySettings,
    ) -> Result<(), BoxError> {
        if let Some(operation) = self.api.needs_keys() {
            let without = || {
                format!(
                    "{operation} is idempotent, and there is no database: set the variable of its field of type Sql"
                )
            };
            let sql = self.migrated(attaching)?.ok_or_else(without)?;
            context.keep_keys(Keeper::new(sql, settings, attaching.metrics(), context.stop()));
        }
        Ok(())
    }

    /// What keeps idempotent operations from having a place for their keys.
    pub(super) fn keys_fault(&self) -> Option<String> {
        let operation = self.api.needs_keys()?;
        let is_there = self.migrations.contains(&Idempotency::MIGRATION);
        (!is_there).then(|| {
            format!("{operation} is idempotent: put `Idempotency::MIGRATION` among the migrations of the service")
        })
    }

    /// The database that the migrations are of; `None`: there are no migrations, or the
    /// field is optional and its variable not set.
    pub(super) fn migrated(&self, attaching: &Attaching) -> Result<Option<Sql>, BoxError> {
        if self.migrations.is_empty() {
            return Ok(None);
        }
        match attaching.sql_count() {
            0 | 1 => Ok(attaching.sql(None)),
            many => Err(format!("migrations are of one field of type Sql; here are {many}").into()),
        }
    }
}
