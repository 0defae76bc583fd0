//! Servers that go away and come back: nothing that was acknowledged is lost.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::bench::{Bound, KINDS, PATIENCE, job, runtime};
use crate::Variable as _;
use crate::queue::record::Pushed;
use crate::queue::{Queue, QueueUrl, bounded};
use crate::testing::Server;
use crate::testing::server::Kind;

/// Pushes while the server is killed and comes back, then takes everything.
fn nothing_acknowledged_is_lost(kind: Kind, stop: impl FnOnce(&Server) + Send + 'static) {
    let server = Server::start(kind).unwrap();
    let url = server.url();
    runtime().block_on(async {
        let separator = if url.contains('?') { '&' } else { '?' };
        let url = QueueUrl::parse(&format!("{url}{separator}queue=q")).unwrap();
        let queue = Queue::open(&url).await.unwrap();
        if let Some(sql) = queue.database_for_test() {
            sql.migrate(&[Queue::MIGRATION]).await.unwrap();
        }
        let one = Bound::new(queue);
        let away = tokio::task::spawn_blocking({
            let server = server.clone();
            move || stop(&server)
        });
        let mut acknowledged = BTreeSet::new();
        let mut refused = 0_u32;
        let mut after = 0;
        let deadline = Instant::now() + 2 * PATIENCE;
        // It goes on until some came through after the server was back.
        while after < 20 {
            assert!(
                Instant::now() < deadline,
                "{} acknowledged, {refused} refused",
                acknowledged.len()
            );
            let job = job("note");
            match bounded(one.store().push(&job)).await {
                Ok(Pushed::New) => {
                    acknowledged.insert(job.id);
                    after += u32::from(away.is_finished());
                }
                Ok(other) => panic!("{other:?}"),
                Err(_) => refused += 1,
            }
        }
        away.await.unwrap();
        let mut found = BTreeSet::new();
        while !acknowledged.is_subset(&found) {
            assert!(Instant::now() < deadline, "lost: {:?}", acknowledged.difference(&found));
            match bounded(one.store().claim(KINDS, 16)).await {
                Ok(claimed) => found.extend(claimed.jobs.into_iter().map(|job| job.job.id)),
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    });
}

fn killed(server: &Server) {
    server.kill().unwrap();
    server.restart().unwrap();
}

#[test]
fn a_killed_postgres_loses_nothing() {
    nothing_acknowledged_is_lost(Kind::Postgres, killed);
}

#[test]
fn a_killed_redis_loses_nothing() {
    nothing_acknowledged_is_lost(Kind::Redis, killed);
}

#[test]
fn a_killed_nats_loses_nothing() {
    nothing_acknowledged_is_lost(Kind::Nats, killed);
}
