//! Laws of the NATS driver that need a look inside: what the server forgets, numbers anew, or
//! gives twice.

use super::*;

#[test]
fn a_password_is_what_was_written_in_the_url_and_is_not_sent_as_an_address() {
    let url = url::Url::parse("nats://me:p%40ss+word%2F@host:4222").unwrap();
    let (address, _) = credentials(&url).unwrap();
    assert_eq!(address.as_str(), "nats://host:4222");
    assert_eq!(decoded(url.password().unwrap()), "p@ss+word/");
}

#[cfg(feature = "testing")]
mod on_a_server {
    use super::*;
    use crate::queue::nats::index::Entry;
    use crate::queue::record::Unique;
    use crate::testing::server::{Kind, Server};

    /// How long a test waits for anything.
    const PATIENCE: Duration = Duration::from_secs(30);

    const KINDS: &[&str] = &["note"];

    async fn store(server_url: &str) -> NatsStore {
        let url = url::Url::parse(server_url).unwrap();
        NatsStore::open(&url, Rules { name: "q".to_owned(), ..Rules::default() }).await.unwrap()
    }

    fn job(unique: Option<Unique>) -> NewJob {
        NewJob {
            id: uuid::Uuid::now_v7().to_string(),
            kind: "note".to_owned(),
            payload: "{}".to_owned(),
            priority: 5,
            max_attempts: 3,
            due_ms: now_ms(),
            enqueued_ms: now_ms(),
            unique,
            trace: None,
            deadline_ms: None,
        }
    }

    /// Takes the one job that there is.
    async fn taken(store: &NatsStore) -> Leased {
        store.see(KINDS).await.unwrap();
        store.take(1).await.unwrap().jobs.pop().unwrap()
    }

    #[tokio::test]
    async fn a_stream_that_is_gone_is_made_again_by_the_next_job() {
        let database = Server::shared(Kind::Nats).unwrap().database().unwrap();
        let store = store(&database.url()).await;
        assert_eq!(store.push(&job(None)).await.unwrap(), Pushed::New);
        store.context.delete_stream("updraft_q_jobs").await.unwrap();
        let again = job(None);
        assert_eq!(store.push(&again).await.unwrap(), Pushed::New);
        assert_eq!(taken(&store).await.job.id, again.id);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn replicas_that_start_together_on_an_empty_server_all_start() {
        let database = Server::shared(Kind::Nats).unwrap().database().unwrap();
        let url = database.url();
        let stores = futures_util::future::join_all((0..8).map(|_| store(&url))).await;
        for _ in 0..200 {
            for name in ["updraft_q_jobs", "updraft_q_dead", "updraft_q_fires"] {
                drop(stores[0].context.delete_stream(name).await);
            }
            let all = stores.iter().map(NatsStore::ensure_streams);
            let all = futures_util::future::try_join_all(all).await;
            assert!(all.is_ok(), "{:?}", all.err());
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_server_that_numbers_anew_is_followed_from_the_beginning() {
        let server = Server::start(Kind::Nats).unwrap();
        let worker = std::sync::Arc::new(store(&server.url()).await);
        for _ in 0..5 {
            worker.push(&job(None)).await.unwrap();
            let taken = taken(&worker).await;
            assert!(worker.complete(&taken).await.unwrap());
        }
        let woken = std::sync::Arc::new(tokio::sync::Notify::new());
        let following = tokio::spawn({
            let (worker, woken) = (worker.clone(), woken.clone());
            async move {
                loop {
                    drop(worker.attend(KINDS, &|| woken.notify_one()).await);
                    // Ends when there is a connection.
                    drop(worker.client.flush().await);
                }
            }
        });
        let found = async |wanted: &NewJob| {
            let taken = async {
                loop {
                    let claimed = worker.take(1).await.unwrap_or_default();
                    if let Some(leased) = claimed.jobs.into_iter().next() {
                        return leased;
                    }
                    woken.notified().await;
                }
            };
            let leased = tokio::time::timeout(PATIENCE, taken).await.expect("somebody takes it");
            assert_eq!(leased.job.id, wanted.id);
            worker.complete(&leased).await.unwrap()
        };
        let before = job(None);
        worker.push(&before).await.unwrap();
        assert!(found(&before).await);
        // As if the server had lost its disk and somebody else was first to use it again.
        worker.context.delete_stream("updraft_q_jobs").await.unwrap();
        server.stop().unwrap();
        server.restart().unwrap();
        let after = job(None);
        store(&server.url()).await.push(&after).await.unwrap();
        assert!(found(&after).await);
        following.abort();
    }

    #[tokio::test]
    async fn a_number_that_was_given_twice_leads_to_no_other_job() {
        let database = Server::shared(Kind::Nats).unwrap().database().unwrap();
        let store = store(&database.url()).await;
        let until_ms = Some(now_ms() + 600_000);
        let held = job(Some(Unique { key: "k".to_owned(), until_ms }));
        store.push(&held).await.unwrap();
        let leased = taken(&store).await;
        assert!(store.complete(&leased).await.unwrap(), "done, and its key is held");
        let found = store.found(&held.id).await.unwrap().unwrap();
        let (state, at_ms) = (JobState::Waiting, 0);
        let stale = Entry { sequence: found.sequence, state, at_ms, priority: 5 };
        locked(&store.index).clear();
        locked(&store.index).note(store.subjects.job(&job(None)), stale);
        assert!(store.take(1).await.unwrap().jobs.is_empty());
        assert!(store.found(&held.id).await.unwrap().is_some(), "its key is held no longer");
    }

    #[tokio::test]
    async fn a_job_on_its_way_to_the_dead_is_one() {
        let database = Server::shared(Kind::Nats).unwrap().database().unwrap();
        let store = store(&database.url()).await;
        store.push(&job(None)).await.unwrap();
        let leased = taken(&store).await;
        let dead = |record: &mut JobRecord| record.state = JobState::Dead;
        assert!(store.change(&leased, dead).await.unwrap());
        let is_one = async |when: &str| {
            assert_eq!(store.count().await.unwrap().dead, 1, "{when}");
            let all = store.records(Filter { state: None, most: 10 }).await.unwrap();
            assert_eq!(all.len(), 1, "{when}: {all:?}");
        };
        is_one("before the first half").await;
        store.copy_to_the_dead(&leased.place).await.unwrap();
        is_one("between the halves").await;
        store.move_to_the_dead(&leased.place).await.unwrap();
        is_one("after both").await;
    }
}
