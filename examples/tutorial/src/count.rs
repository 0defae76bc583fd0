//! Counting words, outside of any request.

use serde::{Deserialize, Serialize};
use updraft::{Attempt, Ctx, Job, JobError, Run, Sql, SqlError};

use crate::{Notes, store};

/// Count the words of one note
#[derive(Debug, Job, Serialize, Deserialize)]
#[job(attempts = 8, timeout = "10s")]
pub(crate) struct CountWords {
    pub(crate) id: String,
}

impl Run<Notes> for CountWords {
    async fn run(self, app: Ctx<Notes>, _attempt: Attempt) -> Result<(), JobError> {
        Ok(count(&app.db, &self.id).await?)
    }
}

/// May be done twice: the second time finds and writes the same.
async fn count(db: &Sql, id: &str) -> Result<(), SqlError> {
    let Some(note) = store::by_id(db, id).await? else {
        return Ok(()); // forgotten meanwhile
    };
    let words = u32::try_from(note.body.split_whitespace().count()).unwrap_or(u32::MAX);
    store::set_words(db, id, words).await
}

#[cfg(test)]
mod tests {
    use updraft::testing::server::{Kind, Server};
    use updraft::{SqlUrl, Variable};

    use super::*;

    #[tokio::test]
    async fn words_are_counted_on_each_kind_of_database() {
        let folder = tempfile::tempdir().unwrap();
        let file = format!("sqlite://{}", folder.path().join("notes.db").display());
        let server = Server::shared(Kind::Postgres).unwrap().database().unwrap();
        for url in [file, server.url()] {
            let db = SqlUrl::parse(&url).unwrap().open().await.unwrap();
            db.migrate(store::MIGRATIONS).await.unwrap();
            let mut tx = db.begin().await.unwrap();
            let id = store::insert(&mut tx, "buy  milk\nand bread").await.unwrap();
            tx.commit().await.unwrap();

            for _ in 0..2 {
                count(&db, &id).await.unwrap();
                assert_eq!(store::by_id(&db, &id).await.unwrap().unwrap().words, Some(4));
            }
            count(&db, "forgotten").await.unwrap();
        }
    }
}
