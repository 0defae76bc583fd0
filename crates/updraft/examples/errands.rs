//! A service that only has jobs and a schedule: the tests of queues run it as real
//! processes, on every kind of queue.

use serde::{Deserialize, Serialize};
use std::time::Duration;
use updraft::{
    App, Attempt, Ctx, Exit, Fire, Job, JobError, Migration, Queue, Run, Schedule, Sql, sql,
};

const MIGRATIONS: &[Migration] = &[
    Queue::MIGRATION,
    Migration::new(
        "errands_1",
        "CREATE TABLE done (job_id TEXT NOT NULL, what TEXT NOT NULL, attempt INTEGER NOT NULL)",
    ),
];

/// What runs errands.
#[derive(App)]
struct Errands {
    /// Where what was done is written down
    db: Sql,
    /// What is to be done
    #[env(default = "same:db")]
    jobs: Queue,
}

impl Errands {
    async fn done(&self, id: &str, what: &str, attempt: u32) -> Result<(), JobError> {
        sql::query("INSERT INTO done VALUES ($1, $2, $3)")
            .bind(id)
            .bind(what)
            .bind(i64::from(attempt))
            .execute(&self.db)
            .await?;
        Ok(())
    }
}

/// Writes down that it was done, after a while
#[derive(Job, Serialize, Deserialize)]
struct Note {
    pause_ms: u64,
}

impl Run<Errands> for Note {
    async fn run(self, app: Ctx<Errands>, attempt: Attempt) -> Result<(), JobError> {
        tracing::info!(number = attempt.number(), "working");
        tokio::time::sleep(Duration::from_millis(self.pause_ms)).await;
        app.done(attempt.job_id(), "note", attempt.number()).await
    }
}

/// Never succeeds
#[derive(Job, Serialize, Deserialize)]
#[job(backoff(first = "10ms", max = "20ms"))]
struct Fails;

impl Run<Errands> for Fails {
    async fn run(self, _app: Ctx<Errands>, _attempt: Attempt) -> Result<(), JobError> {
        Err("the doomed job failed".into())
    }
}

/// Panics
#[derive(Job, Serialize, Deserialize)]
#[job(backoff(first = "10ms", max = "20ms"))]
struct Panics;

impl Run<Errands> for Panics {
    #[expect(clippy::panic, reason = "the point is to panic")]
    async fn run(self, _app: Ctx<Errands>, _attempt: Attempt) -> Result<(), JobError> {
        panic!("the doomed job panicked")
    }
}

/// Kills its worker
#[derive(Job, Serialize, Deserialize)]
#[job(attempts = 2)]
struct Poison;

impl Run<Errands> for Poison {
    async fn run(self, _app: Ctx<Errands>, _attempt: Attempt) -> Result<(), JobError> {
        std::process::abort()
    }
}

/// Enqueues a note in the transaction that says so, and then commits or does not
#[derive(Job, Serialize, Deserialize)]
struct Causes {
    commit: bool,
}

impl Run<Errands> for Causes {
    async fn run(self, app: Ctx<Errands>, attempt: Attempt) -> Result<(), JobError> {
        let mut tx = app.db.begin().await?;
        app.jobs.enqueue(&mut tx, Note { pause_ms: 0 }).await?;
        sql::query("INSERT INTO done VALUES ($1, $2, $3)")
            .bind(attempt.job_id())
            .bind("cause")
            .bind(i64::from(attempt.number()))
            .execute(&mut tx)
            .await?;
        if self.commit {
            tx.commit().await?;
        }
        Ok(())
    }
}

async fn tick(app: Ctx<Errands>, fire: Fire) -> Result<(), JobError> {
    app.done(fire.attempt().job_id(), &fire.due().to_string(), fire.attempt().number()).await
}

fn main() -> Exit {
    // Only the tests of schedules want one that fires.
    let times = if std::env::var_os("TICK").is_some() { "* * * * * *" } else { "0 0 1 1 *" };
    updraft::service!(Errands)
        .jobs(updraft::jobs![Note, Fails, Panics, Poison, Causes])
        .cron("tick", Schedule::new(times, "Europe/Riga"), tick)
        .migrations(MIGRATIONS)
        .main()
}
