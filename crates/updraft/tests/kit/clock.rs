//! The clock of a service is its test's.

use std::time::Duration;

use updraft::testing::TestApp;

use crate::depot::{Depot, NewParcel, Parcel, show, take_in};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[updraft::test(kinds = ["sqlite", "postgres", "sqlite+nats"])]
async fn a_schedule_fires_when_its_time_has_come(t: TestApp<Depot>) {
    t.call::<take_in>().json(&NewParcel { id: 1, weight: 1 }).await.status(201);
    assert_eq!(t.run_jobs().await.done, 2);
    let packed: Parcel = t.call::<show>().path("id", 1).await.ok();
    assert_eq!(packed.state, "packed");

    t.advance(DAY);
    // Midnight comes once in a day.
    assert_eq!(t.run_jobs().await.done, 1);
    assert_eq!(t.logged("swept").field("swept"), Some(&1.into()));
    t.call::<show>().path("id", 1).await.status(404);
    assert_eq!(t.run_jobs().await.done, 0);
}

#[updraft::test(kinds = ["sqlite", "sqlite+redis"])]
async fn what_is_cached_is_fresh_for_its_time_and_no_longer(t: TestApp<Depot>) {
    let lately = &t.app().lately;
    lately.set("parcel", &7, Duration::from_secs(60)).await.unwrap();
    t.advance(Duration::from_secs(50));
    assert_eq!(lately.get("parcel").await.unwrap(), Some(7));
    t.advance(Duration::from_secs(10));
    assert_eq!(lately.get::<i32>("parcel").await.unwrap(), None);
}

#[updraft::test]
async fn the_clock_of_a_test_goes_on_by_what_it_is_turned(t: TestApp<Depot>) {
    let before = t.now();
    t.advance(DAY);
    let turned = t.now();
    let gone = before.duration_until(turned);
    let real = jiff::Timestamp::now().duration_until(turned);
    assert!(jiff::SignedDuration::from_hours(24) <= gone, "{gone}");
    assert!(real <= jiff::SignedDuration::from_hours(24), "{real}");
}
