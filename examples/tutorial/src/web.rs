//! Notes over HTTP. What each operation reads, answers and refuses is its contract:
//! `notes contract print`.

use garde::Validate;
use schemars::JsonSchema;
use serde::Deserialize;
use updraft::http::{Created, Json, Path, Valid};
use updraft::{Ctx, Error, Problem, get, post};

use crate::Notes;
use crate::count::CountWords;
use crate::store::{self, Note};

const LISTED: u32 = 20;

/// What is to be kept
#[derive(Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewNote {
    /// Its text
    #[garde(length(chars, min = 1, max = 1000))]
    body: String,
}

/// Why a note was not taken.
#[derive(Problem)]
pub(crate) enum WriteError {
    /// A note needs a word
    #[problem(422)]
    Blank,
    #[problem(500)]
    Internal(#[from] Error),
}

/// Writes a note
///
/// The note and the job that counts its words come into being together.
#[post("/notes")]
pub(crate) async fn write(
    app: Ctx<Notes>,
    Valid(new): Valid<NewNote>,
) -> Result<Created<Note>, WriteError> {
    if new.body.trim().is_empty() {
        return Err(WriteError::Blank);
    }
    let mut tx = app.db.begin().await?;
    let id = store::insert(&mut tx, &new.body).await?;
    app.jobs.enqueue(&mut tx, CountWords { id: id.clone() }).await?;
    tx.commit().await?;
    Ok(Created::at(format!("/notes/{id}"), Note { id, body: new.body, words: None }))
}

/// Lists the latest notes
#[get("/notes")]
pub(crate) async fn list(app: Ctx<Notes>) -> Result<Json<Vec<Note>>, Error> {
    Ok(Json(store::latest(&app.db, LISTED).await?))
}

/// Shows a note
#[get("/notes/{id}")]
pub(crate) async fn show(
    app: Ctx<Notes>,
    Path(id): Path<String>,
) -> Result<Option<Json<Note>>, Error> {
    Ok(store::by_id(&app.db, &id).await?.map(Json))
}
