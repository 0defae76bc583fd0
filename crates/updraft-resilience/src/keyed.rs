//! State per key, for as many keys as fit: callers choose the keys, so their number has to
//! be bounded here, and nobody has to remember to clean up.

use std::fmt;
use std::hash::Hash;

use quick_cache::sync::{Cache, DefaultLifecycle, GuardResult};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, UnitWeighter};

/// A map from keys to small shared states, which are made on first use. It never holds more
/// than its capacity: above it the keys that are used least go by themselves (Clock-PRO, Jiang,
/// Chen and Zhang, USENIX 2005, as the crate `quick_cache` has it), so a flood of new keys
/// does not displace those in use.
///
/// A key that has gone starts anew when it comes back. The hash is seeded at random, so
/// nobody can choose keys that collide.
///
/// ```
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicU32, Ordering};
/// use updraft_resilience::keyed::Keyed;
///
/// let hits = Keyed::new(1000, |_: &String| Arc::new(AtomicU32::new(0)));
/// hits.get(&"a".to_owned()).fetch_add(1, Ordering::Relaxed);
/// assert_eq!(hits.get(&"a".to_owned()).load(Ordering::Relaxed), 1);
/// assert_eq!(hits.len(), 1);
/// ```
pub struct Keyed<K, V> {
    states: Cache<K, V>,
    make: Box<dyn Fn(&K) -> V + Send + Sync>,
    capacity: u32,
}

/// Most parts that are locked apart from each other; no more than the machine keeps busy.
const MOST_PARTS: u32 = 64;

/// A part must be large enough to tell keys in use from others.
const KEYS_PER_PART: u32 = 32;

impl<K: Clone + Eq + Hash, V: Clone> Keyed<K, V> {
    /// A map of at most `capacity` keys (at least one), with `make` for the state of a new
    /// key. Clones of a state must be the same state, as those of an `Arc` are.
    ///
    /// `make` runs outside of all locks; when several callers meet a new key at once it may
    /// run for each of them, and all get the same one of the results.
    pub fn new(capacity: u32, make: impl Fn(&K) -> V + Send + Sync + 'static) -> Self {
        let capacity = capacity.max(1);
        let fitting = (capacity / KEYS_PER_PART).clamp(1, MOST_PARTS);
        // The cache rounds the parts to a power of two, and their sizes up: both would
        // otherwise lift the number of keys above the capacity.
        let parts = 1 << fitting.ilog2();
        let total = u64::from(capacity / parts * parts);
        let states = match OptionsBuilder::new()
            .shards(usize::try_from(parts).unwrap_or(1))
            .estimated_items_capacity(usize::try_from(total).unwrap_or(usize::MAX))
            .weight_capacity(total)
            .build()
        {
            Ok(options) => Cache::with_options(
                options,
                UnitWeighter,
                DefaultHashBuilder::default(),
                DefaultLifecycle::default(),
            ),
            // Cannot be: both sizes are given.
            Err(_) => Cache::new(1),
        };
        Self { states, make: Box::new(make), capacity }
    }

    /// The state of a key, made on first use. It waits for no one's `make`.
    pub fn get(&self, key: &K) -> V {
        if let Some(state) = self.states.get(key) {
            return state;
        }
        let made = (self.make)(key);
        match self.states.get_value_or_guard(key, None) {
            GuardResult::Value(first) => first,
            GuardResult::Guard(place) => {
                // Refused when the key was removed this very moment: then it starts anew
                // with the next call, and this one works with what it has.
                drop(place.insert(made.clone()));
                made
            }
            GuardResult::Timeout => made,
        }
    }

    /// The state of a key, when it has one.
    pub fn peek(&self, key: &K) -> Option<V> {
        self.states.peek(key)
    }

    /// Forgets a key; whether there was one. Those who hold its state keep it.
    pub fn remove(&self, key: &K) -> bool {
        self.states.remove(key).is_some()
    }

    /// How many keys have a state.
    pub fn len(&self) -> usize {
        self.states.len()
    }

    /// Whether no key has a state.
    pub fn is_empty(&self) -> bool {
        self.states.is_empty()
    }

    /// The most keys it holds. With more than a few hundred it may begin to forget keys a
    /// little below.
    pub const fn capacity(&self) -> u32 {
        self.capacity
    }

    /// Shows each key with its state. Keys that come or go meanwhile may be missed; the
    /// others are shown once. No lock is held while `show` runs.
    pub fn for_each(&self, mut show: impl FnMut(&K, &V)) {
        for (key, state) in self.states.iter() {
            show(&key, &state);
        }
    }

    /// The keys that have a state now, in no order.
    pub fn keys(&self) -> Vec<K> {
        self.states.iter().map(|(key, _)| key).collect()
    }
}

impl<K, V> fmt::Debug for Keyed<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyed").field("capacity", &self.capacity).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "keyed_tests.rs"]
mod tests;
