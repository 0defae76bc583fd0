//! A service that can be made ill in all the ways that health is about: the tests run it as
//! a real process. It also shows metrics and a condition of readiness of a service's own.

use std::time::{Duration, Instant};

use updraft::http::{Query, Router, StatusCode, get, post};
use updraft::{
    Api, App, BoxError, Cache, Client, Counter, Ctx, Exit, Histogram, Instruments, Labelled,
    Measured, Meter, ProblemDetails, Sql, Stop,
};

/// What the patient measures.
struct Vitals {
    visits: Labelled<Counter, 1>,
    waiting: Histogram,
}

impl Instruments for Vitals {
    fn make(meter: &mut Meter) -> Self {
        Self {
            visits: meter.counters("patient_visits", "Visits, by who came.", ["visitor"]),
            waiting: meter.histogram("patient_waiting_seconds", "Time spent waiting.", &[]),
        }
    }
}

/// What the patient is.
#[derive(App)]
struct Patient {
    /// Somebody who is asked
    peer: Option<Client>,
    /// What is written down
    db: Option<Sql>,
    /// What is remembered
    cache: Option<Cache>,
    /// What is measured
    vitals: Measured<Vitals>,
    /// How long the background work takes to notice that it should end
    stubborn: Option<Duration>,
}

#[derive(serde::Deserialize)]
struct Pause {
    ms: u64,
}

async fn visit(app: Ctx<Patient>) -> &'static str {
    app.vitals.visits.with(["family"]).add(1);
    "hello"
}

async fn slow(app: Ctx<Patient>, Query(pause): Query<Pause>) -> &'static str {
    tracing::info!("slow work begins");
    let began = Instant::now();
    tokio::time::sleep(Duration::from_millis(pause.ms)).await;
    app.vitals.waiting.record_duration(began.elapsed());
    "slow"
}

/// What must never be done: it blocks a worker of the runtime.
async fn block(Query(pause): Query<Pause>) -> &'static str {
    std::thread::park_timeout(Duration::from_millis(pause.ms));
    "blocked"
}

/// The same, for every worker that there is.
async fn block_all(Query(pause): Query<Pause>) -> &'static str {
    let workers = tokio::runtime::Handle::current().metrics().num_workers();
    for _ in 0..workers * 4 {
        tokio::spawn(async move { std::thread::park_timeout(Duration::from_millis(pause.ms)) });
    }
    "blocking"
}

/// What it knows, by those who know it.
async fn remember(app: Ctx<Patient>) -> Result<String, ProblemDetails> {
    let mut known = String::new();
    if let Some(db) = &app.db {
        let one: i64 = updraft::sql::query("SELECT 1").fetch_one(db).await?;
        known.push_str(&one.to_string());
    }
    if let Some(cache) = &app.cache {
        cache.set("name", &"patient", Duration::from_secs(60)).await?;
        known.push_str("patient");
    }
    Ok(known)
}

async fn ask(app: Ctx<Patient>) -> Result<&'static str, ProblemDetails> {
    let peer = app.peer.as_ref().ok_or_else(|| ProblemDetails::new(StatusCode::NOT_FOUND))?;
    let answer = peer.get("/").send().await;
    match answer {
        Ok(_answer) => Ok("asked"),
        Err(error) => Err(ProblemDetails::new(StatusCode::BAD_GATEWAY).detail(error.to_string())),
    }
}

#[expect(clippy::panic, reason = "the point is to panic")]
async fn panics() -> &'static str {
    panic!("a handler panicked on purpose")
}

async fn feel_unwell(app: Ctx<Patient>) -> &'static str {
    app.condition("well").unmet("it hurts");
    "unwell"
}

async fn feel_well(app: Ctx<Patient>) -> &'static str {
    app.condition("well").met();
    "well"
}

fn routes() -> Router<Ctx<Patient>> {
    Router::new()
        .route("/", get(visit))
        .route("/slow", get(slow))
        .route("/block", get(block))
        .route("/block-all", get(block_all))
        .route("/remember", get(remember))
        .route("/ask", get(ask))
        .route("/panics", get(panics))
        .route("/unwell", post(feel_unwell))
        .route("/well", post(feel_well))
        .route("/items/{id}", get(|| async { "item" }).post(|body: String| async { body }))
}

/// Ends late, if it is told to.
async fn stubborn(app: Ctx<Patient>, stop: Stop) -> Result<(), BoxError> {
    stop.requested().await;
    tokio::time::sleep(app.stubborn.unwrap_or_default()).await;
    Ok(())
}

fn main() -> Exit {
    updraft::service!(Patient)
        .api(Api::new().router(routes()))
        .background("stubborn", stubborn)
        .main()
}
