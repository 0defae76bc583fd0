//! The laws of the table of keys, on each kind of database.

use super::*;
use crate::sql::SqlUrl;
use crate::{Idempotency, Variable as _};

/// Runs a law on each kind of database.
async fn everywhere(law: impl AsyncFn(Store)) {
    let folder = tempfile::tempdir().unwrap();
    let file = format!("sqlite://{}/db.sqlite3", folder.path().display());
    let mut urls = vec![file];
    #[cfg(all(feature = "testing", feature = "postgres"))]
    let database = {
        use crate::testing::server::Kind;
        let database = crate::testing::Server::shared(Kind::Postgres).unwrap().database().unwrap();
        urls.push(database.url());
        database
    };
    for url in urls.drain(..) {
        let sql = SqlUrl::parse(&url).unwrap().open().await.unwrap();
        sql.migrate(&[Idempotency::MIGRATION]).await.unwrap();
        law(Store { sql, ttl: Duration::from_secs(60), lease: Duration::from_secs(10) }).await;
    }
    #[cfg(all(feature = "testing", feature = "postgres"))]
    drop(database);
}

fn known(id: &str) -> Known {
    Known { id: id.to_owned(), fingerprint: "f".to_owned() }
}

#[tokio::test]
async fn what_is_over_is_swept_in_batches_and_nothing_else() {
    everywhere(async |store| {
        let dead = Store { ttl: Duration::ZERO, ..store.clone() };
        for number in 0..25 {
            assert!(matches!(dead.take(&known(&format!("old {number}"))).await, Ok(Took::Key(_))));
        }
        for number in 0..5 {
            let taken = store.take(&known(&format!("new {number}"))).await;
            assert!(matches!(taken, Ok(Took::Key(_))));
        }
        for expected in [10, 10, 5, 0] {
            assert_eq!(store.sweep(10).await.unwrap(), expected);
        }
        let left = sql::query("SELECT count(*) FROM updraft_idempotency WHERE id LIKE 'new%'");
        assert_eq!(left.fetch_one::<i64>(&store.sql).await.unwrap(), 5);
    })
    .await;
}

#[tokio::test]
async fn a_key_has_one_holder_and_who_is_not_it_changes_nothing() {
    everywhere(async |store| {
        let Ok(Took::Key(held)) = store.take(&known("k")).await else { panic!("it is new") };
        assert!(matches!(store.take(&known("k")).await, Ok(Took::InProgress)));
        let other = Known { fingerprint: "g".to_owned(), ..known("k") };
        assert!(matches!(store.take(&other).await, Ok(Took::Other)));

        let stranger = Held { token: "another".to_owned(), ..held.clone() };
        assert!(!store.free(&stranger).await.unwrap());
        let (answer, _) = Answer::taken(axum::response::Response::new("a".into())).await;
        let answer = answer.unwrap();
        assert!(!keep(&store.sql, &stranger, &answer).await.unwrap());

        // Dropped, a transaction leaves the key as it was.
        let mut tx = store.sql.begin().await.unwrap();
        assert!(keep(&mut tx, &held, &answer).await.unwrap());
        tx.rollback().await.unwrap();
        assert!(matches!(store.take(&known("k")).await, Ok(Took::InProgress)));

        assert!(keep(&store.sql, &held, &answer).await.unwrap());
        assert!(!store.free(&held).await.unwrap(), "what is answered stays");
        assert!(!keep(&store.sql, &held, &answer).await.unwrap(), "the first answer counts");
        let Ok(Took::Answered(again)) = store.take(&known("k")).await else { panic!("it is") };
        assert_eq!(&again.body[..], b"a");
    })
    .await;
}

#[tokio::test]
async fn a_key_that_is_held_does_not_expire() {
    everywhere(async |store| {
        let brief = Store { ttl: Duration::ZERO, ..store.clone() };
        let Ok(Took::Key(held)) = brief.take(&known("k")).await else { panic!("it is new") };
        store.prolong(&held).await.unwrap();
        assert!(matches!(store.take(&known("k")).await, Ok(Took::InProgress)));
        assert_eq!(store.sweep(10).await.unwrap(), 0);
    })
    .await;
}

#[tokio::test]
async fn a_lease_that_is_renewed_is_not_over() {
    everywhere(async |store| {
        let short = Store { lease: Duration::ZERO, ..store.clone() };
        let Ok(Took::Key(first)) = short.take(&known("k")).await else { panic!("it is new") };
        store.prolong(&first).await.unwrap();
        assert!(matches!(store.take(&known("k")).await, Ok(Took::InProgress)));
        short.prolong(&first).await.unwrap();
        let Ok(Took::Key(second)) = store.take(&known("k")).await else { panic!("it is over") };
        // It was taken over: the first one cannot renew it.
        short.prolong(&first).await.unwrap();
        assert!(matches!(store.take(&known("k")).await, Ok(Took::InProgress)));
        assert!(!store.free(&first).await.unwrap());
        assert!(store.free(&second).await.unwrap());
    })
    .await;
}
