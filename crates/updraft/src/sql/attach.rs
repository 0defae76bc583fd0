//! How a `Sql` becomes a field of an `App`, and a line in the list of what is attached.

use std::sync::Arc;

use super::metrics::Instruments;
use super::{Sql, SqlUrl, query};
use crate::BoxError;
use crate::app::{Field, FieldSpec};
use crate::attachment::{AttachError, Attached, Attaching, Attachment, Location};
use crate::config::{Config, Invalid};
use crate::process::BoxFuture;

impl Field for Sql {
    type Parsed = SqlUrl;

    fn read(config: &mut Config, spec: &FieldSpec) -> Result<SqlUrl, Invalid> {
        config.field(spec.url, spec)
    }

    async fn attach(
        parsed: SqlUrl,
        spec: &FieldSpec,
        attaching: &Attaching,
    ) -> Result<Self, AttachError> {
        let wrong = |error: BoxError| AttachError::new(spec.url, error);
        let instruments = Instruments::new(attaching.metrics(), spec.field);
        let sql = parsed.open_as(instruments).await.map_err(|error| wrong(error.into()))?;
        attaching.add(Attached {
            name: spec.field,
            variable: spec.url,
            attachment: Arc::new(sql.clone()),
        });
        attaching.add_sql(spec.field, sql.clone());
        Ok(sql)
    }
}

impl Attachment for Sql {
    fn location(&self) -> Location {
        self.url().location()
    }

    fn check(&self) -> BoxFuture<Result<(), BoxError>> {
        let sql = self.clone();
        Box::pin(async move {
            query("SELECT 1").fetch_one::<i64>(&sql).await?;
            Ok(())
        })
    }

    fn close(&self) -> BoxFuture<()> {
        let sql = self.clone();
        Box::pin(async move { sql.close_idle().await })
    }
}
