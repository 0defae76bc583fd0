//! Schedules: one fire for each time, whoever fires and whoever dies.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use updraft::sql;

use crate::fleet::Place;
use crate::fleet::{Fleet, PATIENCE, everywhere, runtime};

/// The times that were done, each as often as it was.
async fn ticks(fleet: &Fleet) -> Vec<Timestamp> {
    let ticks = sql::query("SELECT what FROM done WHERE what LIKE '20%' ORDER BY what");
    let ticks: Vec<String> = ticks.fetch_all(&fleet.sql).await.unwrap();
    ticks.iter().map(|tick| tick.parse().unwrap()).collect()
}

async fn until_ticked(fleet: &Fleet, times: usize) -> Vec<Timestamp> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let ticks = ticks(fleet).await;
        if times <= ticks.len() {
            return ticks;
        }
        assert!(Instant::now() < deadline, "{ticks:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[test]
fn many_schedulers_fire_each_time_once() {
    everywhere(|place| async move {
        let mut fleet = Fleet::new(place, "").await;
        fleet.set("TICK", "1");
        let _fleet = [fleet.start("cron"), fleet.start("cron"), fleet.start("worker")];
        let ticks = until_ticked(&fleet, 3).await;
        let times: BTreeSet<_> = ticks.iter().collect();
        assert_eq!(times.len(), ticks.len(), "{place:?}: {ticks:?}");
        assert!(ticks.iter().all(|tick| tick.as_millisecond() % 1000 == 0));
    });
}

#[test]
fn a_killed_scheduler_is_replaced_and_what_was_missed_is_fired_once() {
    runtime().block_on(async {
        let mut fleet = Fleet::new(Place::Sqlite, "").await;
        fleet.set("TICK", "1");
        let worker = fleet.start("worker");
        let before = until_ticked(&fleet, 2).await.len();
        worker.kill();
        let killed_at = Timestamp::now();
        // Some times pass that nobody fires.
        let passed = Duration::from_millis(2500);
        while Timestamp::now().duration_since(killed_at) < passed.try_into().unwrap() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let back_at = Timestamp::now();
        let _worker = fleet.start("worker");
        let ticks = until_ticked(&fleet, before + 3).await;
        let missed = ticks.iter().filter(|tick| killed_at < **tick && **tick < back_at).count();
        // One for all that were missed; the one that was in hand may be done by the next.
        assert!(missed <= 2, "{killed_at} {back_at}: {ticks:?}");
        let times: BTreeSet<_> = ticks.iter().collect();
        assert!(ticks.len() - times.len() <= 1, "{ticks:?}");
    });
}
