//! Effect and answer in one transaction: either both last or neither does.

use std::marker::PhantomData;

use axum::response::Response;

use super::answer::Answer;
use super::store::{Held, keep};
use crate::Migration;
use crate::api::{Input, Output, Received};
use crate::app::{App, Ctx};
use crate::contract::Shape;
use crate::http::Refusal;
use crate::sql::{SqlError, Transaction};

/// The key of a request to an operation with `idempotent`: an argument, for handlers whose
/// effect is in the service's database. An answer that is [recorded](Self::record) in the
/// transaction of the effect is there exactly when the effect is, whatever dies in between.
///
/// ```
/// use updraft::http::Created;
/// use updraft::{App, Api, Ctx, Idempotency, ProblemDetails, Recorded, Sql, post, sql};
///
/// /// A shop.
/// #[derive(App)]
/// struct Shop {
///     /// The orders
///     db: Sql,
/// }
///
/// /// Places an order
/// #[post("/orders", idempotent)]
/// async fn place(
///     app: Ctx<Shop>,
///     key: Idempotency,
///     sku: String,
/// ) -> Result<Recorded<Created<i64>>, ProblemDetails> {
///     let mut tx = app.db.begin().await?;
///     let id: i64 = sql::query("INSERT INTO orders (sku) VALUES ($1) RETURNING id")
///         .bind(sku.as_str())
///         .fetch_one(&mut tx)
///         .await?;
///     let answer = key.record(&mut tx, Created::at(format!("/orders/{id}"), id)).await?;
///     tx.commit().await?;
///     Ok(answer)
/// }
/// # let api: Api<Shop> = updraft::api![place];
/// ```
///
/// A service with such operations has [`Idempotency::MIGRATION`] among its migrations.
#[derive(Clone)]
pub struct Idempotency(Option<Own>);

/// The key of one request.
#[derive(Clone)]
struct Own {
    held: Held,
    key: String,
}

/// An answer that is recorded in a transaction; give it when that has been committed.
#[derive(Debug)]
pub struct Recorded<O> {
    response: Response,
    output: PhantomData<fn() -> O>,
}

/// Why an answer was not recorded. The transaction must not be committed: dropped, it leaves
/// nothing.
///
/// `?` makes a fault of it, and the caller is told to ask again where another process answers
/// the request meanwhile.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The lease was over before the work was, and another process does the work now.
    #[error("another process has taken over this Idempotency-Key after IDEMPOTENCY_LEASE")]
    TakenOver,
    /// The answer broke off before its end.
    #[error("the answer to a request with an Idempotency-Key broke off")]
    Broken,
    /// The database failed.
    #[error("the answer to a request with an Idempotency-Key cannot be recorded")]
    Sql(#[from] SqlError),
}

/// Marks a response that is kept already.
#[derive(Clone, Copy, Debug)]
pub(super) struct IsRecorded;

/// Keys of callers are in no log.
impl std::fmt::Debug for Idempotency {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Idempotency").field("is_given", &self.0.is_some()).finish()
    }
}

impl Idempotency {
    /// The table of keys, for the migrations of a service with such operations.
    pub const MIGRATION: Migration = super::MIGRATION;

    pub(super) fn of(held: Held, key: String) -> Self {
        Self(Some(Own { held, key }))
    }

    /// The key as the caller sent it, without quotes: 1 to 255 characters of ASCII. `None`
    /// where it is optional and none was sent.
    ///
    /// Another service that is called for this request is told a key that is made of it, such
    /// as `format!("{key}/payment")`, so that it has one effect as well.
    pub fn key(&self) -> Option<&str> {
        self.0.as_ref().map(|own| own.key.as_str())
    }

    /// Records the answer in the transaction of the effect, which must be one of the database
    /// that keeps the keys. Without a key (where it is optional) nothing is recorded.
    ///
    /// # Errors
    ///
    /// [`RecordError`]; the transaction must be dropped then.
    pub async fn record<O: Output>(
        &self,
        tx: &mut Transaction,
        output: O,
    ) -> Result<Recorded<O>, RecordError> {
        let mut response = output.respond();
        if let Some(Own { held, .. }) = &self.0 {
            let (answer, given) = Answer::taken(response).await;
            response = given;
            if !keep(tx, held, &answer.ok_or(RecordError::Broken)?).await? {
                return Err(RecordError::TakenOver);
            }
            response.extensions_mut().insert(IsRecorded);
        }
        Ok(Recorded { response, output: PhantomData })
    }
}

impl<O: Output> Output for Recorded<O> {
    fn respond(self) -> Response {
        self.response
    }

    fn describe(shape: &mut Shape<'_>) {
        O::describe(shape);
    }
}

impl<A: App> Input<A> for Idempotency {
    const ROUTED: bool = false;

    async fn read(received: &mut Received, _: &Ctx<A>) -> Result<Self, Refusal> {
        let own = received.parts().extensions.get::<Self>().cloned();
        Ok(own.unwrap_or(Self(None)))
    }

    fn describe(shape: &mut Shape<'_>) {
        shape.reads_idempotency();
    }
}
