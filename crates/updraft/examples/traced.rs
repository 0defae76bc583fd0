//! A service that is watched: it calls another one, has jobs done, logs too much, and logs what
//! it should not. The tests of logs and traces run it as real processes.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use updraft::http::{HeaderMap, IntoResponse, Query, Router, get};
use updraft::{
    Api, App, Attempt, Client, Ctx, Exit, Job, JobError, Migration, ProblemDetails, Queue,
    Redacted, Run, Sql,
};

const MIGRATIONS: &[Migration] = &[Queue::MIGRATION];

/// What it is attached to.
#[derive(App)]
struct Traced {
    /// Where jobs are kept
    db: Option<Sql>,
    /// What is to be done later
    jobs: Option<Queue>,
    /// The next service
    next: Option<Client>,
}

/// Something that takes a while, and is a span of its own.
#[tracing::instrument]
async fn think(topic: &'static str) {
    tracing::info!("thinking");
    tokio::task::yield_now().await;
}

async fn chain(app: Ctx<Traced>) -> Result<&'static str, ProblemDetails> {
    tracing::info!("chain");
    think("tea").await;
    if let Some(next) = &app.next {
        next.get("/leaf").send().await?;
    }
    if let (Some(db), Some(jobs)) = (&app.db, &app.jobs) {
        let mut tx = db.begin().await?;
        jobs.enqueue(&mut tx, Later).await?;
        tx.commit().await?;
    }
    Ok("chain")
}

async fn leaf() -> &'static str {
    tracing::info!("leaf");
    "leaf"
}

#[derive(Debug, Deserialize)]
struct Login {
    password: String,
}

/// Everything that people log by mistake.
#[tracing::instrument(skip_all, fields(password = login.password, url = "http://u:canary1@h/?q=canary2"))]
async fn secrets(
    headers: HeaderMap,
    Query(login): Query<Login>,
) -> Result<&'static str, ProblemDetails> {
    tracing::info!(?headers, ?login, "a request with {login:?} came");
    tracing::warn!(token = "canary3", api_key = ?Some("canary3"), "postgres://u:canary4@h/db");
    tracing::warn!(card = %Redacted::new("canary5"), authorization = "Bearer canary6", "paid");
    let refused = std::io::Error::other("cannot open redis://:canary7@h:1/0?password=canary8");
    tracing::error!(error = &refused as &dyn std::error::Error, "no cache");
    Err(refused)?;
    Ok("never")
}

#[derive(Deserialize)]
struct Flood {
    lines: u32,
}

async fn flood(Query(flood): Query<Flood>) -> &'static str {
    for line in 0..flood.lines {
        tracing::info!(line, "flood");
    }
    tracing::info!("the flood is over");
    "flood"
}

#[derive(Deserialize)]
struct Change {
    directives: String,
    ms: u64,
}

async fn level(app: Ctx<Traced>, Query(change): Query<Change>) -> impl IntoResponse {
    let changed = app.log_control().set(&change.directives, Duration::from_millis(change.ms));
    match changed {
        Ok(()) => "changed".to_owned(),
        Err(error) => error.to_string(),
    }
}

async fn whisper() -> &'static str {
    tracing::debug!("whispered");
    tracing::info!("said");
    tracing::error!("shouted");
    "said"
}

#[derive(Job, Serialize, Deserialize)]
struct Later;

impl Run<Traced> for Later {
    async fn run(self, app: Ctx<Traced>, _attempt: Attempt) -> Result<(), JobError> {
        tracing::info!("later");
        if let Some(next) = &app.next {
            next.get("/leaf").send().await?;
        }
        Ok(())
    }
}

fn routes() -> Router<Ctx<Traced>> {
    Router::new()
        .route("/chain", get(chain))
        .route("/leaf", get(leaf))
        .route("/items/{id}", get(leaf))
        .route("/secrets", get(secrets))
        .route("/flood", get(flood))
        .route("/level", get(level))
        .route("/whisper", get(whisper))
}

fn main() -> Exit {
    updraft::service!(Traced)
        .api(Api::new().router(routes()))
        .jobs(updraft::jobs![Later])
        .migrations(MIGRATIONS)
        .main()
}
