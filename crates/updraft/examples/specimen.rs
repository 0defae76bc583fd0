//! A service that has one of everything the chassis offers: the tests of this crate run
//! it as a real process, and it shows how the parts fit together.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use updraft::http::{Json, Query, Router, get, post};
use updraft::{
    Api, App, Attempt, BoxError, Ctx, Exit, Job, JobError, Migration, ProblemDetails, Queue, Run,
    Sql, Stop, sql,
};

#[path = "specimen/web.rs"]
mod web;

const MIGRATIONS: &[Migration] = &[
    Queue::MIGRATION,
    Migration::new("specimen_1", "CREATE TABLE done (job_id TEXT NOT NULL, at INTEGER) STRICT"),
];

/// What the specimen is.
#[derive(App)]
struct Specimen {
    /// Where what was done is written down
    db: Option<Sql>,
    /// What is to be done
    #[expect(dead_code, reason = "only its worker uses it")]
    jobs: Option<Queue>,
    /// How the work of a worker ends before it is asked to
    doom: Option<String>,
}

#[derive(Deserialize)]
struct Pause {
    ms: u64,
}

async fn slow(Query(pause): Query<Pause>) -> &'static str {
    tracing::debug!("slow work begins");
    tokio::time::sleep(Duration::from_millis(pause.ms)).await;
    "slow"
}

/// Never waits for anything, and never ends.
async fn greedy() -> &'static str {
    loop {
        tokio::task::consume_budget().await;
    }
}

#[expect(clippy::panic, reason = "the point is to panic")]
async fn panics() -> &'static str {
    panic!("a handler panicked on purpose")
}

async fn fails() -> Result<&'static str, ProblemDetails> {
    Err(std::io::Error::other("secret of the house"))?;
    Ok("never")
}

fn routes() -> Router<Ctx<Specimen>> {
    web::routes()
        .route("/", get(|| async { "hello" }))
        .route("/slow", get(slow))
        .route("/greedy", get(greedy))
        .route("/panics", get(panics))
        .route("/fails", get(fails))
        .route("/items/{id}", get(|| async { "item" }))
        .route("/size", post(|body: String| async move { body.len().to_string() }))
        .route("/json", post(|Json(value): Json<serde_json::Value>| async move { Json(value) }))
}

#[derive(Job, Serialize, Deserialize)]
struct Note {
    pause_ms: u64,
}

impl Run<Specimen> for Note {
    async fn run(self, app: Ctx<Specimen>, attempt: Attempt) -> Result<(), JobError> {
        tracing::info!(number = attempt.number(), "working");
        tokio::time::sleep(Duration::from_millis(self.pause_ms)).await;
        let db = app.db.as_ref().ok_or("DB_URL is missing")?;
        let mut tx = db.begin().await?;
        let done = "INSERT INTO done VALUES ($1, $2)";
        let now = jiff::Timestamp::now().as_second();
        sql::query(done).bind(attempt.job_id()).bind(now).execute(&mut tx).await?;
        tx.commit().await?;
        Ok(())
    }
}

/// Work that fails, panics or ends soon after the start, if it is told to.
async fn doomed(app: Ctx<Specimen>, stop: Stop) -> Result<(), BoxError> {
    let Some(doom) = app.doom.as_deref() else {
        stop.requested().await;
        return Ok(());
    };
    tokio::time::sleep(Duration::from_millis(50)).await;
    match doom {
        "fails" => Err("the doomed component failed".into()),
        #[expect(clippy::panic, reason = "the point is to panic")]
        "panics" => panic!("the doomed component panicked"),
        _ => Ok(()),
    }
}

fn main() -> Exit {
    updraft::service!(Specimen)
        .api(Api::new().router(routes()))
        .jobs(updraft::jobs![Note])
        .background("doomed", doomed)
        .migrations(MIGRATIONS)
        .main()
}
