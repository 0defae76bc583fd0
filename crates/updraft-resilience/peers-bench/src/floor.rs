//! What nothing can be faster than on this machine.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use updraft_resilience::Clock;

use crate::measure::{Case, drive, repeat};
use crate::work;

const GROUP: &str = "0 Floor";

pub fn cases() -> Vec<Case> {
    fn case(
        name: &'static str,
        start: impl Fn() -> crate::measure::Batch + Send + Sync + 'static,
    ) -> Case {
        Case { group: GROUP, name, ours: false, start: Box::new(start) }
    }
    let word = Arc::new(AtomicU64::new(0));
    let other = Arc::clone(&word);
    let swapped = Arc::clone(&word);
    let mutex = Arc::new(Mutex::new(0_u64));
    let shared = Arc::new(0_u64);
    vec![
        case("plain call", || repeat(plain)),
        case("`async fn`, polled once", || {
            repeat(|number| drive(work(number)).unwrap_or_default())
        }),
        case("relaxed load", move || {
            let word = Arc::clone(&word);
            repeat(move |_| word.load(Ordering::Relaxed))
        }),
        case("`fetch_add`", move || {
            let word = Arc::clone(&other);
            repeat(move |_| word.fetch_add(1, Ordering::Relaxed))
        }),
        case("two `fetch_add` (take and give)", move || {
            let word = Arc::clone(&swapped);
            repeat(move |_| {
                word.fetch_add(1, Ordering::Acquire);
                word.fetch_sub(1, Ordering::Release)
            })
        }),
        case("`std::sync::Mutex`", move || {
            let mutex = Arc::clone(&mutex);
            repeat(move |_| *mutex.lock().unwrap_or_else(PoisonError::into_inner) += 1)
        }),
        case("`Arc` cloned and dropped", move || {
            let shared = Arc::clone(&shared);
            repeat(move |_| Arc::clone(&shared))
        }),
        case("`std::time::Instant::now`", || repeat(|_| std::time::Instant::now())),
        case("`Clock::system().now()` (coarse)", || {
            let clock = Clock::system();
            repeat(move |_| clock.now())
        }),
    ]
}

#[inline(never)]
fn plain(number: u64) -> u64 {
    number.wrapping_add(1)
}
