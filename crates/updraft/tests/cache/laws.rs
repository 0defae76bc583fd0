//! What holds on every kind of cache.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use proptest::prelude::{ProptestConfig, any};
use proptest::test_runner::TestRunner;
use tokio::sync::Barrier;
use tokio::task::JoinSet;
use updraft::testing::server::{Kind, Server};
use updraft::{CacheError, CacheUrl, Variable as _};

use super::support::{HOUR, every_kind, open, until};

#[derive(Clone, Debug, PartialEq, serde::Deserialize, serde::Serialize)]
struct Price {
    cents: u64,
    currency: String,
}

#[test]
fn a_value_comes_back_as_it_was() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let _entered = runtime.enter();
    for (cache, _kept) in every_kind("") {
        let mut runner = TestRunner::new(ProptestConfig { cases: 64, ..Default::default() });
        let pairs = ("[^\\p{Cc}]{1,40}", any::<(String, u64, Option<bool>)>());
        runner
            .run(&pairs, |(key, value)| {
                runtime.block_on(async {
                    cache.set(&key, &value, HOUR).await.unwrap();
                    assert_eq!(cache.get(&key).await.unwrap().as_ref(), Some(&value));
                    assert!(cache.remove(&key).await.unwrap());
                    assert!(!cache.remove(&key).await.unwrap());
                    assert_eq!(cache.get::<(String, u64, Option<bool>)>(&key).await.unwrap(), None);
                });
                Ok(())
            })
            .unwrap();
    }
}

#[tokio::test]
async fn a_value_of_another_type_counts_as_missing() {
    for (cache, _kept) in every_kind("") {
        cache.set("price", "free", HOUR).await.unwrap();
        assert_eq!(cache.get::<Price>("price").await.unwrap(), None);
        let price = Price { cents: 5, currency: "EUR".to_owned() };
        let own = price.clone();
        let made = cache.get_or_try_init("price", HOUR, || async { Ok::<_, String>(own) });
        assert_eq!(made.await.unwrap(), price);
        assert_eq!(cache.get("price").await.unwrap(), Some(price));
    }
}

#[tokio::test]
async fn a_value_is_gone_when_its_time_is_over() {
    for (cache, _kept) in every_kind("") {
        cache.set("short", &1, Duration::from_millis(1)).await.unwrap();
        cache.set("long", &2, HOUR).await.unwrap();
        until("it runs out", || async { cache.get::<u8>("short").await.unwrap().is_none() }).await;
        assert_eq!(cache.get::<u8>("long").await.unwrap(), Some(2));
        // The last writer says how long.
        cache.set("long", &3, Duration::from_millis(1)).await.unwrap();
        until("it runs out", || async { cache.get::<u8>("long").await.unwrap().is_none() }).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_all_who_add_at_the_same_time_one_does() {
    for (cache, _kept) in every_kind("") {
        let start = Arc::new(Barrier::new(20));
        let mut adding = JoinSet::new();
        for own in 0..20 {
            let (cache, start) = (cache.clone(), Arc::clone(&start));
            adding.spawn(async move {
                start.wait().await;
                (own, cache.add("lock", &own, HOUR).await.unwrap())
            });
        }
        let results = adding.join_all().await;
        let winners: Vec<i32> =
            results.into_iter().filter(|(_, added)| *added).map(|(own, _)| own).collect();
        assert_eq!(winners.len(), 1);
        assert_eq!(cache.get("lock").await.unwrap(), Some(winners[0]));
        // It is given back by its holder and by nobody else.
        assert!(!cache.remove_if("lock", &(winners[0] + 1)).await.unwrap());
        assert!(cache.remove_if("lock", &winners[0]).await.unwrap());
        assert!(!cache.remove_if("lock", &winners[0]).await.unwrap());
        assert!(cache.add("lock", &0, HOUR).await.unwrap());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_counter_loses_no_step_and_is_no_value() {
    for (cache, _kept) in every_kind("") {
        let mut counting = JoinSet::new();
        for _ in 0..20 {
            let cache = cache.clone();
            counting.spawn(async move { cache.increment("visits", 3, HOUR).await.unwrap() });
        }
        let mut sums = counting.join_all().await;
        sums.sort_unstable();
        assert_eq!(sums, (1..=20).map(|step| step * 3).collect::<Vec<i64>>());
        assert_eq!(cache.get::<i64>("visits").await.unwrap(), None);
        cache.set("visits", "a value", HOUR).await.unwrap();
        assert_eq!(cache.increment("visits", -60, HOUR).await.unwrap(), 0);
        assert!(cache.remove("visits").await.unwrap());
        assert_eq!(cache.increment("visits", 1, HOUR).await.unwrap(), 1);
    }
}

#[tokio::test]
async fn a_counter_ends_when_its_first_step_said_so() {
    for (cache, _kept) in every_kind("") {
        let ttl = Duration::from_millis(100);
        assert_eq!(cache.increment("rate", 1, ttl).await.unwrap(), 1);
        // Each step would renew it, if steps did.
        until("it begins anew", || async { cache.increment("rate", 1, ttl).await.unwrap() == 1 })
            .await;
    }
}

#[tokio::test]
async fn a_counter_that_is_full_stays_as_it_is() {
    for (cache, _kept) in every_kind("") {
        assert_eq!(cache.increment("n", i64::MAX, HOUR).await.unwrap(), i64::MAX);
        let error = cache.increment("n", 1, HOUR).await.unwrap_err();
        assert!(matches!(error, CacheError::Counter), "{error:?}");
        assert!(!error.is_away());
        assert_eq!(cache.increment("n", 0, HOUR).await.unwrap(), i64::MAX);
    }
}

#[tokio::test]
async fn what_is_no_key_and_what_is_too_large_is_refused() {
    for (cache, _kept) in every_kind("max_value_bytes=100B") {
        for key in ["", "a\nb", "\0", &"k".repeat(513)] {
            let error = cache.set(key, &1, HOUR).await.unwrap_err();
            assert!(matches!(error, CacheError::Key { .. }) && !error.is_away(), "{error:?}");
            cache.get::<u8>(key).await.unwrap_err();
            cache.increment(key, 1, HOUR).await.unwrap_err();
            // A cache that cannot be used is gone on without.
            let made = cache.get_or_try_init(key, HOUR, || async { Ok::<_, String>(7) });
            assert_eq!(made.await.unwrap(), 7);
        }
        cache.set(&"k".repeat(512), &1, HOUR).await.unwrap();
        // Two of the hundred bytes are quotation marks.
        cache.set("v", &"v".repeat(98), HOUR).await.unwrap();
        let error = cache.set("v", &"w".repeat(99), HOUR).await.unwrap_err();
        assert!(matches!(error, CacheError::TooLarge { bytes: 101, max: 100 }), "{error:?}");
        assert_eq!(cache.get("v").await.unwrap(), Some("v".repeat(98)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_of_equal_questions_is_one_run() {
    for (cache, _kept) in every_kind("") {
        let runs = Arc::new(AtomicUsize::new(0));
        let start = Arc::new(Barrier::new(50));
        let mut asking = JoinSet::new();
        for _ in 0..50 {
            let (cache, runs, start) = (cache.clone(), Arc::clone(&runs), Arc::clone(&start));
            asking.spawn(async move {
                start.wait().await;
                let run = || async move {
                    tokio::task::yield_now().await;
                    Ok::<_, String>(runs.fetch_add(1, Ordering::Relaxed))
                };
                cache.get_or_try_init("slow", HOUR, run).await.unwrap()
            });
        }
        assert!(asking.join_all().await.iter().all(|value| *value == 0));
        assert_eq!(runs.load(Ordering::Relaxed), 1);
        assert_eq!(cache.get("slow").await.unwrap(), Some(0));
    }
}

#[tokio::test]
async fn a_failure_is_not_kept_and_reaches_everybody_who_waited() {
    for (cache, _kept) in every_kind("") {
        let fail = || cache.get_or_try_init("k", HOUR, || async { Err::<u8, _>("broken") });
        let (one, two) = tokio::join!(fail(), fail());
        assert_eq!((*one.unwrap_err(), *two.unwrap_err()), ("broken", "broken"));
        let made = cache.get_or_try_init("k", HOUR, || async { Ok::<u8, &str>(1) }).await;
        assert_eq!(made.unwrap(), 1);
    }
}

#[tokio::test]
async fn a_value_that_has_run_out_is_better_than_a_failure_and_nothing_else() {
    for (cache, _kept) in every_kind("stale_for=1h") {
        let make = |value| {
            let ttl = Duration::from_millis(1);
            cache.get_or_try_init("k", ttl, move || async move { value })
        };
        assert_eq!(make(Ok::<u8, &str>(1)).await.unwrap(), 1);
        until("it runs out", || async { cache.get::<u8>("k").await.unwrap().is_none() }).await;
        assert_eq!(make(Err("broken")).await.unwrap(), 1);
        // It is not there for anybody else.
        assert!(!cache.remove_if("k", &1).await.unwrap());
        assert_eq!(make(Ok(2)).await.unwrap(), 2);
        until("it runs out", || async { cache.get::<u8>("k").await.unwrap().is_none() }).await;
        assert!(cache.add("k", &3, HOUR).await.unwrap());
        assert_eq!(cache.get::<u8>("k").await.unwrap(), Some(3));
    }
}

#[tokio::test]
async fn services_that_share_a_server_do_not_see_each_other() {
    let server = Server::shared(Kind::Redis).unwrap();
    let database = server.database().unwrap();
    let of = |prefix: &str| open(&format!("{}?timeout=10s&prefix={prefix}", database.url()));
    let (one, two, again) = (of("one"), of("two"), of("one"));
    one.set("k", &1, HOUR).await.unwrap();
    one.increment("n", 5, HOUR).await.unwrap();
    assert_eq!(two.get::<u8>("k").await.unwrap(), None);
    assert_eq!(two.increment("n", 1, HOUR).await.unwrap(), 1);
    assert_eq!(again.get::<u8>("k").await.unwrap(), Some(1));
    // Its name is the prefix where the URL names none.
    let url = CacheUrl::parse(&format!("{}?timeout=10s", database.url())).unwrap();
    assert_eq!(url.open("one").unwrap().get::<u8>("k").await.unwrap(), Some(1));
}

#[tokio::test]
async fn memory_stays_within_its_bytes() {
    let cache = open("memory:?max_bytes=256KiB");
    let value = "v".repeat(1000);
    for number in 0..4000 {
        cache.set(&format!("k{number}"), &value, HOUR).await.unwrap();
    }
    until("it is within its bound", || async {
        let mut bytes = 0;
        for number in 0..4000 {
            let found: Option<String> = cache.get(&format!("k{number}")).await.unwrap();
            bytes += found.map_or(0, |value| value.len());
        }
        0 < bytes && bytes <= 256 * 1024
    })
    .await;
}
