//! What the till does, each operation with a key.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use updraft::http::{
    Bytes, Created, HeaderMap, HeaderName, HeaderValue, Json, Peer, Query, StatusCode,
};
use updraft::{
    App, Caller, Ctx, Error, Idempotency, Migration, ProblemDetails, Recorded, Service, Sql, patch,
    post, sql,
};

const MIGRATIONS: &[Migration] = &[
    Idempotency::MIGRATION,
    Migration::new(
        "till_1",
        "CREATE TABLE payment (account TEXT NOT NULL, amount BIGINT NOT NULL);
         CREATE TABLE effect (what TEXT NOT NULL);
         CREATE TABLE opened (gate TEXT NOT NULL);",
    ),
];

/// A till.
#[derive(App)]
pub(crate) struct Till {
    /// The payments
    pub(crate) db: Sql,
    /// Where a payment stops for ever: `before` its commit, or `after` it
    stop: Option<String>,
}

#[derive(Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Payment {
    pub(crate) account: String,
    pub(crate) amount: i64,
}

/// Stops for ever where it is told to.
async fn pass(app: &Till, place: &str) {
    if app.stop.as_deref() == Some(place) {
        tracing::info!(place, "stopped at");
        std::future::pending::<()>().await;
    }
}

/// Takes a payment
///
/// Payment and answer are one transaction.
#[post("/payments", since = 1, idempotent)]
pub(crate) async fn pay(
    app: Ctx<Till>,
    key: Idempotency,
    Json(payment): Json<Payment>,
) -> Result<Recorded<Created<Payment>>, ProblemDetails> {
    let mut tx = app.db.begin().await?;
    sql::query("INSERT INTO payment VALUES ($1, $2)")
        .bind(payment.account.as_str())
        .bind(payment.amount)
        .execute(&mut tx)
        .await?;
    let place = format!("/payments/{}", payment.account);
    let answer = key.record(&mut tx, Created::at(place, payment)).await?;
    pass(&app, "before").await;
    tx.commit().await?;
    pass(&app, "after").await;
    Ok(answer)
}

#[derive(Deserialize, JsonSchema)]
pub(crate) struct Wanted {
    /// The status to answer; 0 panics
    status: u16,
    /// How long the answer is, in bytes
    #[serde(default)]
    length: usize,
}

/// Has an effect, and then answers what it is told
#[patch("/effects", idempotent = "optional")]
pub(crate) async fn affect(
    app: Ctx<Till>,
    Query(wanted): Query<Wanted>,
    text: String,
) -> Result<(HeaderMap, Json<String>), ProblemDetails> {
    effect(&app, &text).await?;
    #[cfg_attr(not(test), expect(clippy::panic, reason = "the point is to panic"))]
    let status = match StatusCode::from_u16(wanted.status) {
        Ok(status) => status,
        Err(_none) => panic!("the till panicked on purpose"),
    };
    if status.is_success() {
        let mut headers = HeaderMap::new();
        for (name, value) in [("x-till", "one"), ("x-till", "two"), ("set-cookie", "secret=1")] {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        return Ok((headers, Json("x".repeat(wanted.length))));
    }
    let problem = ProblemDetails::new(status).detail(text);
    Err(if status == StatusCode::GONE { problem.retry_after(7) } else { problem })
}

async fn effect(app: &Till, what: &str) -> Result<(), Error> {
    sql::query("INSERT INTO effect VALUES ($1)").bind(what).execute(&app.db).await?;
    Ok(())
}

/// Says how long what was sent is
#[post("/lengths", idempotent)]
pub(crate) async fn measure(app: Ctx<Till>, body: Bytes) -> Result<Json<usize>, ProblemDetails> {
    effect(&app, "length").await.map_err(|error| ProblemDetails::internal(error.into_inner()))?;
    Ok(Json(body.len()))
}

/// Says who asks
#[post("/callers", idempotent)]
pub(crate) fn who(caller: Option<Caller>, key: Idempotency) -> String {
    let name = caller.as_ref().map_or("nobody", Caller::subject);
    format!("{name} with {}", key.key().unwrap_or("no key"))
}

/// Says from where it was asked
#[post("/origins", idempotent)]
pub(crate) fn origin(peer: Peer) -> String {
    peer.ip().map_or_else(|| "nowhere".to_owned(), |ip| ip.to_string())
}

/// Takes a payment when the gate of its account is open
#[post("/slow-payments", idempotent)]
pub(crate) async fn pay_slowly(
    app: Ctx<Till>,
    key: Idempotency,
    Json(payment): Json<Payment>,
) -> Result<Recorded<Json<Payment>>, ProblemDetails> {
    tracing::info!("waiting at the gate");
    loop {
        let open: Option<String> = sql::query("SELECT gate FROM opened WHERE gate = $1")
            .bind(payment.account.as_str())
            .fetch_optional(&app.db)
            .await?;
        if open.is_some() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let mut tx = app.db.begin().await?;
    sql::query("INSERT INTO payment VALUES ($1, $2)")
        .bind(payment.account.as_str())
        .bind(payment.amount)
        .execute(&mut tx)
        .await?;
    let answer = key.record(&mut tx, Json(payment)).await?;
    tx.commit().await?;
    Ok(answer)
}

pub(crate) fn service() -> Service<Till> {
    updraft::service!(Till)
        .api(updraft::api![pay, affect, measure, who, origin, pay_slowly])
        .migrations(MIGRATIONS)
}
