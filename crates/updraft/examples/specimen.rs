//! A service that has one of everything the chassis offers: the tests of this crate run
//! it as a real process, and it shows how the parts fit together.

use std::process::ExitCode;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use updraft::http::{Json, Query, Router, get, post};
use updraft::{
    Attempt, BoxError, Config, Context, Invalid, Migration, Problem, Queue, QueueUrl, SqlUrl,
    Worker,
};

const MIGRATIONS: &[Migration] = &[
    Queue::MIGRATION,
    Migration::new("specimen_1", "CREATE TABLE done (job_id TEXT NOT NULL, at INTEGER) STRICT"),
];

struct Settings {
    db: Option<SqlUrl>,
    jobs: Option<QueueUrl>,
}

impl Settings {
    fn read(config: &mut Config) -> Result<Self, Invalid> {
        let db = config.optional("DB_URL", "where what was done is written down");
        let jobs = config.optional("JOBS_URL", "what is to be done");
        Ok(Self { db: db?, jobs: jobs? })
    }
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

#[expect(clippy::panic, reason = "the point is to panic")]
async fn panics() -> &'static str {
    panic!("a handler panicked on purpose")
}

async fn fails() -> Result<&'static str, Problem> {
    Err(std::io::Error::other("secret of the house"))?;
    Ok("never")
}

async fn web(_settings: Settings, _context: Context) -> Result<Router, BoxError> {
    Ok(Router::new()
        .route("/", get(|| async { "hello" }))
        .route("/slow", get(slow))
        .route("/panics", get(panics))
        .route("/fails", get(fails))
        .route("/items/{id}", get(|| async { "item" }))
        .route("/size", post(|body: String| async move { body.len().to_string() }))
        .route("/json", post(|Json(value): Json<serde_json::Value>| async move { Json(value) })))
}

#[derive(Serialize, Deserialize)]
struct Note {
    pause_ms: u64,
}

async fn worker(settings: Settings, context: Context) -> Result<(), BoxError> {
    let db = settings.db.ok_or("DB_URL is missing")?.open().await?;
    db.require(MIGRATIONS).await?;
    let jobs = Queue::within(&db, &settings.jobs.ok_or("JOBS_URL is missing")?)?;
    let worker = Worker::new(jobs).on("note", move |note: Note, attempt: Attempt| {
        let db = db.clone();
        async move {
            tracing::info!(number = attempt.number(), "working");
            tokio::time::sleep(Duration::from_millis(note.pause_ms)).await;
            let mut tx = db.begin().await?;
            let done = "INSERT INTO done VALUES (?, unixepoch())";
            sqlx::query(done).bind(attempt.job_id()).execute(&mut *tx).await?;
            tx.commit().await?;
            Ok(())
        }
    });
    let worker = worker.on("fails", |(), _attempt| async { Err("the doomed job failed".into()) });
    #[expect(clippy::panic, reason = "the point is to panic")]
    let worker = worker.on("panics", |(), _attempt| async { panic!("the doomed job panicked") });
    context.run("jobs", worker.run(context.stop()));
    Ok(())
}

async fn migrate(settings: Settings, _context: Context) -> Result<(), BoxError> {
    let db = settings.db.ok_or("DB_URL is missing")?.open().await?;
    Ok(db.migrate(MIGRATIONS).await?)
}

/// A worker whose work fails, panics or ends soon after the start.
fn dying(how: &'static str) -> impl FnOnce(Settings, Context) -> Dying {
    move |_settings, context| {
        context.run("doomed", async move {
            tokio::time::sleep(Duration::from_millis(50)).await;
            match how {
                "fails" => Err("the doomed component failed".into()),
                #[expect(clippy::panic, reason = "the point is to panic")]
                "panics" => panic!("the doomed component panicked"),
                _ => Ok(()),
            }
        });
        std::future::ready(Ok(()))
    }
}

type Dying = std::future::Ready<Result<(), BoxError>>;

fn main() -> ExitCode {
    updraft::service("specimen", Settings::read)
        .web("web", web)
        .worker("worker", worker)
        .worker("fails", dying("fails"))
        .worker("panics", dying("panics"))
        .worker("ends", dying("ends"))
        .worker("idle", |_settings, _context| std::future::ready(Ok(())))
        .task("migrate", migrate)
        .main()
}
