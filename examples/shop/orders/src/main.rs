//! The orders of the shop: `web` takes them, `worker` fulfils them, `migrate` makes their
//! tables. One binary, so all three are always of the same release.

mod fulfil;
mod store;
mod web;

use std::process::ExitCode;
use std::time::Duration;

use updraft::http::Router;
use updraft::{BoxError, Config, Context, Invalid, Queue, QueueUrl, Sql, SqlUrl, Worker};

/// What this service reads from the environment.
struct Settings {
    db: SqlUrl,
    jobs: QueueUrl,
    packing_time: Duration,
}

impl Settings {
    fn read(config: &mut Config) -> Result<Self, Invalid> {
        let db = config.require("DB_URL", "the database of the orders");
        let jobs = config.require("JOBS_URL", "the queue of work on orders, in that database");
        let packing_time =
            config.or("PACKING_TIME", Duration::from_secs(1), "how long a parcel takes to pack");
        Ok(Self { db: db?, jobs: jobs?, packing_time: packing_time? })
    }

    /// The database and the queue in it, with a schema that this release knows.
    async fn connect(&self) -> Result<(Sql, Queue), BoxError> {
        let db = self.db.open().await?;
        db.require(store::MIGRATIONS).await?;
        let jobs = Queue::within(&db, &self.jobs)?;
        Ok((db, jobs))
    }
}

async fn web(settings: Settings, _context: Context) -> Result<Router, BoxError> {
    let (db, jobs) = settings.connect().await?;
    Ok(web::router(db, jobs))
}

async fn worker(settings: Settings, context: Context) -> Result<(), BoxError> {
    let (db, jobs) = settings.connect().await?;
    let worker = Worker::new(jobs).on(fulfil::KIND, move |job, _attempt| {
        fulfil::fulfil(db.clone(), job, settings.packing_time)
    });
    context.run("fulfil", worker.run(context.stop()));
    Ok(())
}

async fn migrate(settings: Settings, _context: Context) -> Result<(), BoxError> {
    settings.db.open().await?.migrate(store::MIGRATIONS).await?;
    Ok(())
}

fn main() -> ExitCode {
    updraft::service("orders", Settings::read)
        .web("web", web)
        .worker("worker", worker)
        .task("migrate", migrate)
        .main()
}
