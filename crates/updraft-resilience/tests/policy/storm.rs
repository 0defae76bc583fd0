//! Many tasks on several threads that come, go, fail and panic as they like: never more run
//! than may, and in the end nobody holds anything.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use updraft_resilience::Error;
use updraft_resilience::bulkhead::QueueOrder;
use updraft_resilience::hedge::{HedgeAfter, HedgeConfig};
use updraft_resilience::policy::{Attempt, CallOptions, Policy};
use updraft_resilience::{Priority, Rejection};

use crate::rig::{ms, places, tries};

struct Running<'a>(&'a AtomicU32);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[derive(Default)]
struct Target {
    running: AtomicU32,
    most: AtomicU32,
}

impl Target {
    async fn attempt(&self, chance: u32) -> Result<u32, &'static str> {
        let now = self.running.fetch_add(1, Ordering::SeqCst) + 1;
        let _running = Running(&self.running);
        self.most.fetch_max(now, Ordering::SeqCst);
        for _ in 0..chance % 7 {
            tokio::task::yield_now().await;
        }
        match chance % 11 {
            0 => tokio::time::sleep(ms(2)).await,
            1 => std::future::pending().await,
            2 => panic!("on purpose"),
            3..6 => return Err("down"),
            _ => {}
        }
        Ok(chance)
    }
}

async fn caller(policy: Policy, target: Arc<Target>, seed: u64) -> u32 {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut answered = 0;
    for _ in 0..60 {
        let priority = random.choice([Priority::Low, Priority::Normal, Priority::High]);
        let options = CallOptions::new().priority(priority.unwrap_or_default());
        let (policy, target) = (policy.clone(), Arc::clone(&target));
        let (seed, leaves) = (random.u64(..), random.u64(..12));
        let call = tokio::spawn(async move {
            let random = std::sync::Mutex::new(fastrand::Rng::with_seed(seed));
            let chance = || random.lock().unwrap().u32(..);
            let call = policy.call_with(options, |_: Attempt| target.attempt(chance()));
            tokio::time::timeout(ms(leaves), call).await
        });
        match call.await {
            Ok(Ok(Ok(_) | Err(Error::Inner(_)))) => answered += 1,
            Ok(Ok(Err(Error::Rejected(rejection)))) => {
                assert!(!matches!(rejection, Rejection::Injected | Rejection::Shed));
            }
            // It left, or it panicked.
            Ok(Err(_)) => {}
            Err(error) => assert!(error.is_panic()),
        }
    }
    answered
}

#[test]
fn a_storm_of_calls_leaves_nothing_behind() {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if info.payload().downcast_ref::<&str>() != Some(&"on purpose") {
            hook(info);
        }
    }));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .enable_time()
        .build()
        .unwrap();
    for order in [QueueOrder::Fifo, QueueOrder::Lifo] {
        let hedge = HedgeConfig {
            after: HedgeAfter::Fixed(ms(1)),
            budget_share: 1.0,
            ..HedgeConfig::default()
        };
        let policy = Policy::named("storm")
            .bulkhead(updraft_resilience::bulkhead::BulkheadConfig { order, ..places(4, 8, 5) })
            .breaker(Default::default())
            .idempotent()
            .hedge(hedge)
            .retry(tries(3, 1))
            .attempt_timeout(ms(4))
            .deadline(ms(9))
            .build()
            .unwrap();
        // Open circuits would keep the storm away.
        policy.handle().breaker().unwrap().force_close();
        let target = Arc::new(Target::default());
        let answered: u32 = runtime.block_on(async {
            let callers: Vec<_> = (0..16)
                .map(|seed| tokio::spawn(caller(policy.clone(), Arc::clone(&target), seed)))
                .collect();
            let mut answered = 0;
            for caller in callers {
                answered += caller.await.unwrap();
            }
            answered
        });
        assert!(answered > 100, "{answered}");
        assert!((2..=4).contains(&target.most.load(Ordering::SeqCst)));
        assert_eq!(target.running.load(Ordering::SeqCst), 0);
        let snapshot = policy.handle().snapshot().bulkhead.unwrap();
        assert_eq!((snapshot.in_use, snapshot.queued), (0, 0), "{snapshot:?}");
    }
    runtime.shutdown_timeout(Duration::from_secs(1));
}
