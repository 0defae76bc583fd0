//! A cache in the memory of the process, bounded in bytes.

use std::time::{Duration, Instant};

use moka::Expiry;
use moka::future::Cache;
use moka::ops::compute::{CompResult, Op};

use super::CacheError;
use super::entry::Entry;

/// What an entry takes beside its key and text, as far as `moka` tells.
const OVERHEAD: usize = 128;

/// The entries of one process.
#[derive(Clone, Debug)]
pub(super) struct Memory {
    entries: Cache<String, Kept>,
}

#[derive(Clone, Debug)]
enum Kept {
    Value { entry: Entry, keep: Duration },
    Number { now: i64, keep: Duration },
}

/// A value lives as long as its last writer said, a number as long as its first.
struct Lives;

impl Expiry<String, Kept> for Lives {
    fn expire_after_create(&self, _: &String, kept: &Kept, _: Instant) -> Option<Duration> {
        Some(kept.keep())
    }

    fn expire_after_update(
        &self,
        _: &String,
        kept: &Kept,
        _: Instant,
        left: Option<Duration>,
    ) -> Option<Duration> {
        match kept {
            Kept::Value { keep, .. } => Some(*keep),
            Kept::Number { keep, .. } => left.or(Some(*keep)),
        }
    }
}

impl Kept {
    fn keep(&self) -> Duration {
        match self {
            Self::Value { keep, .. } | Self::Number { keep, .. } => *keep,
        }
    }

    fn entry(&self) -> Option<&Entry> {
        match self {
            Self::Value { entry, .. } => Some(entry),
            Self::Number { .. } => None,
        }
    }
}

impl Memory {
    pub(super) fn new(max_bytes: u64) -> Self {
        let weight = |key: &String, kept: &Kept| {
            let text = kept.entry().map_or(0, |entry| entry.text.len());
            u32::try_from(key.len() + text + OVERHEAD).unwrap_or(u32::MAX)
        };
        let entries =
            Cache::builder().max_capacity(max_bytes).weigher(weight).expire_after(Lives).build();
        Self { entries }
    }

    pub(super) async fn read(&self, key: &str) -> Option<Entry> {
        self.entries.get(key).await.and_then(|kept| kept.entry().cloned())
    }

    pub(super) async fn write(&self, key: String, entry: Entry, keep: Duration) {
        self.entries.insert(key, Kept::Value { entry, keep }).await;
    }

    pub(super) async fn add(&self, key: String, entry: Entry, keep: Duration) -> bool {
        let added = self.entries.entry(key).and_compute_with(|old| {
            let is_there = old.is_some_and(|old| old.value().entry().is_some_and(Entry::is_fresh));
            let op = if is_there { Op::Nop } else { Op::Put(Kept::Value { entry, keep }) };
            std::future::ready(op)
        });
        matches!(added.await, CompResult::Inserted(_) | CompResult::ReplacedWith(_))
    }

    /// Removes a value and a number; tells whether one of them was there and fresh.
    pub(super) async fn remove(&self, value: &str, number: &str) -> bool {
        let value = self.entries.remove(value).await;
        let number = self.entries.remove(number).await;
        number.is_some() || value.is_some_and(|kept| kept.entry().is_some_and(Entry::is_fresh))
    }

    pub(super) async fn remove_if(&self, key: String, json: &str) -> bool {
        let removed = self.entries.entry(key).and_compute_with(|old| {
            let is_same = old.is_some_and(|old| {
                old.value().entry().is_some_and(|old| old.is_fresh() && old.json() == json)
            });
            std::future::ready(if is_same { Op::Remove } else { Op::Nop })
        });
        matches!(removed.await, CompResult::Removed(_))
    }

    pub(super) async fn increment(
        &self,
        key: String,
        by: i64,
        keep: Duration,
    ) -> Result<i64, CacheError> {
        let changed = self.entries.entry(key).and_try_compute_with(|old| {
            let old = match old.as_ref().map(moka::Entry::value) {
                Some(Kept::Number { now, .. }) => *now,
                Some(Kept::Value { .. }) | None => 0,
            };
            let now = old.checked_add(by).ok_or(CacheError::Counter);
            std::future::ready(now.map(|now| Op::Put(Kept::Number { now, keep })))
        });
        match changed.await? {
            CompResult::Inserted(entry) | CompResult::ReplacedWith(entry) => match entry.value() {
                Kept::Number { now, .. } => Ok(*now),
                Kept::Value { .. } => Err(CacheError::Counter),
            },
            _ => Err(CacheError::Counter),
        }
    }
}
