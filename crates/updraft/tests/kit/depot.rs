//! A small service with something of everything: what the kit is tried on.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use updraft::http::{Created, Json, NoContent, Path, Peer, Raw};
use updraft::{
    App, Attempt, Blobs, Cache, Ctx, Error, Fire, Job, JobError, Migration, Problem, Queue, Run,
    Schedule, Service, Sql, get, post, sql,
};

const MIGRATIONS: &[Migration] = &[
    Queue::MIGRATION,
    Migration::new(
        "depot_1",
        "CREATE TABLE parcel (id BIGINT PRIMARY KEY, weight BIGINT NOT NULL, state TEXT NOT NULL)",
    ),
];

/// A depot of parcels.
#[derive(App)]
pub(crate) struct Depot {
    /// The parcels
    pub(crate) db: Sql,
    /// Parcels to be packed
    #[env(default = "same:db?max_attempts=3")]
    pub(crate) jobs: Queue,
    /// What was asked lately
    pub(crate) lately: Cache,
    /// Labels to print
    pub(crate) labels: Blobs,
    /// The heaviest parcel that is taken
    #[env(default = 50)]
    pub(crate) heaviest: u32,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Parcel {
    pub(crate) id: i64,
    pub(crate) weight: u32,
    pub(crate) state: String,
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub(crate) struct NewParcel {
    pub(crate) id: i64,
    pub(crate) weight: u32,
}

#[derive(Problem)]
pub(crate) enum Refused {
    /// The parcel is too heavy
    ///
    /// At most {heaviest} are taken.
    #[problem(409)]
    TooHeavy { heaviest: u32 },
    /// There is no parcel {id}
    #[problem(404)]
    Unknown { id: i64 },
    #[problem(500)]
    Internal(#[from] Error),
}

/// Takes a parcel in
#[post("/parcels", since = 1)]
pub(crate) async fn take_in(
    app: Ctx<Depot>,
    Json(new): Json<NewParcel>,
) -> Result<Created<Parcel>, Refused> {
    let NewParcel { id, weight } = new;
    if app.heaviest < weight {
        return Err(Refused::TooHeavy { heaviest: app.heaviest });
    }
    let mut tx = app.db.begin().await?;
    sql::query("INSERT INTO parcel VALUES ($1, $2, 'waiting')")
        .bind(id)
        .bind(i64::from(weight))
        .execute(&mut tx)
        .await?;
    app.jobs.enqueue(&mut tx, Pack { id }).await?;
    tx.commit().await?;
    tracing::info!(id, "taken in");
    let parcel = Parcel { id, weight, state: "waiting".to_owned() };
    Ok(Created::at(format!("/parcels/{id}"), parcel))
}

/// Shows a parcel
#[get("/parcels/{id}", since = 1)]
pub(crate) async fn show(app: Ctx<Depot>, Path(id): Path<i64>) -> Result<Json<Parcel>, Refused> {
    let found: Option<(i64, String)> = sql::query("SELECT weight, state FROM parcel WHERE id = $1")
        .bind(id)
        .fetch_optional(&app.db)
        .await?;
    let (weight, state) = found.ok_or(Refused::Unknown { id })?;
    let weight = u32::try_from(weight).map_err(Error::from)?;
    Ok(Json(Parcel { id, weight, state }))
}

/// Burns everything down
#[post("/fire", scope = "depot:burn")]
pub(crate) async fn burn(app: Ctx<Depot>) -> Result<NoContent, Refused> {
    sql::query("DELETE FROM parcel").execute(&app.db).await?;
    Ok(NoContent)
}

/// Panics
#[get("/panic")]
pub(crate) async fn panics() -> NoContent {
    tokio::task::yield_now().await;
    panic!("the depot is on fire")
}

/// Says back what it was told
#[get("/echo/{name}")]
pub(crate) async fn echo(Path(name): Path<String>, Raw(peer): Raw<Peer>) -> String {
    format!("{name} from {}", peer.ip().map_or_else(String::new, |ip| ip.to_string()))
}

/// Packs a parcel; the heavy ones at the second attempt only
#[derive(Job, Serialize, Deserialize)]
#[job(backoff(first = "1m", max = "10m"))]
pub(crate) struct Pack {
    pub(crate) id: i64,
}

impl Run<Depot> for Pack {
    async fn run(self, app: Ctx<Depot>, attempt: Attempt) -> Result<(), JobError> {
        let weight: i64 = sql::query("SELECT weight FROM parcel WHERE id = $1")
            .bind(self.id)
            .fetch_one(&app.db)
            .await?;
        if weight == 13 {
            return Err(JobError::give_up("nobody packs that"));
        }
        if 40 < weight && attempt.number() == 1 {
            return Err("too heavy for one".into());
        }
        app.labels.put(&format!("{}", self.id), format!("parcel {}", self.id)).await?;
        let mut tx = app.db.begin().await?;
        sql::query("UPDATE parcel SET state = 'packed' WHERE id = $1")
            .bind(self.id)
            .execute(&mut tx)
            .await?;
        app.jobs.enqueue(&mut tx, Tell { id: self.id }).await?;
        tx.commit().await?;
        Ok(())
    }
}

/// Tells that a parcel is packed
#[derive(Job, Serialize, Deserialize)]
pub(crate) struct Tell {
    id: i64,
}

impl Run<Depot> for Tell {
    async fn run(self, app: Ctx<Depot>, _attempt: Attempt) -> Result<(), JobError> {
        tracing::info!(id = self.id, "told");
        app.lately.set("told", &self.id, Duration::from_secs(60)).await?;
        Ok(())
    }
}

async fn sweep(app: Ctx<Depot>, fire: Fire) -> Result<(), JobError> {
    let swept = sql::query("DELETE FROM parcel WHERE state = 'packed'").execute(&app.db).await?;
    tracing::info!(swept, due = %fire.due(), "swept");
    Ok(())
}

pub(crate) fn service() -> Service<Depot> {
    updraft::service!(Depot)
        .api(updraft::api![take_in, show, burn, panics, echo])
        .jobs(updraft::jobs![Pack, Tell])
        .cron("sweep", Schedule::new("0 0 * * *", "UTC"), sweep)
        .migrations(MIGRATIONS)
}
