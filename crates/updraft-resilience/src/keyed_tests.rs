//! The bound holds under a flood of keys, and a key has one state.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Barrier};

use super::*;

type Count = Arc<AtomicU32>;

fn counts(capacity: u32) -> Keyed<u64, Count> {
    Keyed::new(capacity, |_| Count::default())
}

#[test]
fn a_million_keys_stay_within_the_capacity_and_a_key_in_use_survives() {
    let keyed = counts(1000);
    for key in 1..=1_000_000_u64 {
        keyed.get(&key);
        if key % 16 == 0 {
            keyed.get(&0).fetch_add(1, Ordering::Relaxed);
        }
        if key % 1000 == 0 {
            assert!(keyed.len() <= 1000, "{} keys", keyed.len());
        }
    }
    assert!(keyed.len() > 500, "only {} keys are held", keyed.len());
    // Had the key gone once, its count would have begun anew.
    assert_eq!(keyed.get(&0).load(Ordering::Relaxed), 1_000_000 / 16);
}

#[test]
fn no_capacity_is_exceeded() {
    for capacity in [0, 1, 2, 3, 31, 33, 63, 64, 65, 100, 127, 1000, 4097] {
        let keyed = counts(capacity);
        for key in 0..20_000 {
            keyed.get(&key);
            assert!(keyed.len() <= keyed.capacity() as usize, "{capacity}: {}", keyed.len());
        }
        assert_eq!(keyed.capacity(), capacity.max(1));
        assert!(keyed.len() >= capacity as usize / 2, "{capacity}: {}", keyed.len());
    }
}

#[test]
fn a_small_map_holds_all_of_its_keys() {
    let keyed = counts(60);
    for round in 1..=3 {
        for key in 0..60 {
            assert_eq!(keyed.get(&key).fetch_add(1, Ordering::Relaxed) + 1, round);
        }
    }
}

#[test]
fn callers_who_meet_a_new_key_at_once_share_one_state() {
    for _ in 0..200 {
        let keyed = Arc::new(counts(10));
        let barrier = Arc::new(Barrier::new(8));
        let threads: Vec<_> = (0..8)
            .map(|_| {
                let (keyed, barrier) = (Arc::clone(&keyed), Arc::clone(&barrier));
                std::thread::spawn(move || {
                    barrier.wait();
                    keyed.get(&7).fetch_add(1, Ordering::Relaxed);
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(keyed.get(&7).load(Ordering::Relaxed), 8);
    }
}

#[test]
fn a_make_that_asks_for_the_same_key_or_panics_blocks_nobody() {
    let keyed: Keyed<u64, Count> = Keyed::new(10, |key| {
        assert!(*key != 13, "unlucky");
        Count::default()
    });
    let unlucky = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| keyed.get(&13)));
    assert!(unlucky.is_err());
    assert!(keyed.peek(&13).is_none());
    let again = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| keyed.get(&13)));
    assert!(again.is_err(), "the key must not be left locked");
}

#[test]
fn a_removed_key_starts_anew() {
    let keyed = counts(10);
    let held = keyed.get(&1);
    held.fetch_add(5, Ordering::Relaxed);
    assert!(keyed.remove(&1));
    assert!(!keyed.remove(&1));
    assert_eq!(keyed.get(&1).load(Ordering::Relaxed), 0);
    assert_eq!(held.load(Ordering::Relaxed), 5);
}

#[test]
fn each_key_is_shown_once() {
    let keyed = counts(100);
    assert!(keyed.is_empty());
    for key in 0..50_u32 {
        keyed.get(&u64::from(key)).store(key, Ordering::Relaxed);
    }
    let mut keys = keyed.keys();
    keys.sort_unstable();
    assert_eq!(keys, (0..50).collect::<Vec<_>>());
    let mut sum = 0;
    keyed.for_each(|_, state| sum += state.load(Ordering::Relaxed));
    assert_eq!(sum, (0..50).sum::<u32>());
}
