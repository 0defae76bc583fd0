//! What a worker knows of the jobs in a stream: where each stands, and which to take first.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::queue::record::JobState;

/// A job as its headers tell of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// The sequence of the message that says so.
    pub(super) sequence: u64,
    pub(super) state: JobState,
    pub(super) at_ms: i64,
    pub(super) priority: u8,
}

/// All jobs of the kinds that a worker does. It is as large as the queue, whose bound is
/// `max_waiting`.
#[derive(Debug, Default)]
pub(super) struct Index {
    entries: HashMap<String, Entry>,
    /// By the time at which something can be done with them.
    later: BTreeSet<(i64, String)>,
    /// Those whose time has come, in the order in which they are taken.
    ready: BTreeSet<(Reverse<u8>, i64, String)>,
    /// How often it was cleared.
    generation: u64,
}

impl Index {
    /// Everything is learned anew.
    pub(super) fn clear(&mut self) {
        *self = Self { generation: self.generation + 1, ..Self::default() };
    }

    /// What a message says of a job; older messages say nothing.
    pub(super) fn note(&mut self, subject: String, entry: Entry) {
        if self.entries.get(&subject).is_some_and(|known| entry.sequence <= known.sequence) {
            return;
        }
        self.forget(&subject);
        self.later.insert((entry.at_ms, subject.clone()));
        self.entries.insert(subject, entry);
    }

    /// Nothing is known of the job any more.
    pub(super) fn forget(&mut self, subject: &str) {
        if let Some(entry) = self.entries.remove(subject) {
            self.later.remove(&(entry.at_ms, subject.to_owned()));
            self.ready.remove(&(Reverse(entry.priority), entry.at_ms, subject.to_owned()));
        }
    }

    /// Takes out the job that comes next, skipping `skip` of them where there are as many.
    fn take(&mut self, now_ms: i64, skip: usize) -> Option<(String, Entry)> {
        while let Some((at_ms, _)) = self.later.first()
            && *at_ms <= now_ms
        {
            let Some((at_ms, subject)) = self.later.pop_first() else { break };
            if let Some(entry) = self.entries.get(&subject) {
                self.ready.insert((Reverse(entry.priority), at_ms, subject));
            }
        }
        let skip = skip.min(self.ready.len().saturating_sub(1));
        let key = self.ready.iter().nth(skip)?.clone();
        self.ready.remove(&key);
        let (_, _, subject) = key;
        let entry = self.entries.remove(&subject)?;
        Some((subject, entry))
    }

    /// When the next job is due.
    pub(super) fn next_at(&self) -> Option<i64> {
        let ready = self.ready.first().map(|(_, at, _)| *at);
        let later = self.later.first().map(|(at, _)| *at);
        ready.into_iter().chain(later).min()
    }
}

/// The index, by whoever needs it; a thread that panicked leaves it whole.
pub(super) fn locked(index: &Mutex<Index>) -> MutexGuard<'_, Index> {
    index.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A job that was taken out of the index to be moved. Dropped before it is settled, also by a
/// limit of time, it is in the index again.
pub(super) struct Taken<'a> {
    index: &'a Mutex<Index>,
    generation: u64,
    subject: String,
    entry: Option<Entry>,
}

impl<'a> Taken<'a> {
    /// The job that comes next, skipping `skip` of them where there are as many.
    pub(super) fn next(
        index: &'a Mutex<Index>,
        now_ms: i64,
        skip: usize,
    ) -> Option<(Self, String, Entry)> {
        let mut locked = locked(index);
        let (subject, entry) = locked.take(now_ms, skip)?;
        let generation = locked.generation;
        let taken = Self { index, generation, subject: subject.clone(), entry: Some(entry) };
        Some((taken, subject, entry))
    }

    /// It is known what became of the job, or the stream will tell.
    pub(super) fn settle(mut self) {
        self.entry = None;
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        let Some(entry) = self.entry else { return };
        let mut index = locked(self.index);
        // What was learned anew is not mixed with what was known before.
        if index.generation == self.generation {
            index.note(std::mem::take(&mut self.subject), entry);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(sequence: u64, at_ms: i64, priority: u8) -> Entry {
        Entry { sequence, state: JobState::Waiting, at_ms, priority }
    }

    #[test]
    fn the_most_urgent_of_the_due_comes_first_and_each_once() {
        let mut index = Index::default();
        for (subject, at, priority) in
            [("a", 10, 5), ("b", 20, 9), ("c", 5, 5), ("d", 1000, 9), ("e", 30, 0)]
        {
            index.note(subject.to_owned(), entry(1, at, priority));
        }
        let taken: Vec<_> =
            std::iter::from_fn(|| index.take(100, 0)).map(|(subject, _)| subject).collect();
        assert_eq!(taken, ["b", "c", "a", "e"]);
        assert_eq!(index.next_at(), Some(1000));
    }

    #[test]
    fn only_newer_messages_count() {
        let mut index = Index::default();
        index.note("a".to_owned(), entry(7, 1000, 5));
        index.note("a".to_owned(), entry(6, 10, 5));
        assert_eq!(index.take(100, 0), None);
        index.note("a".to_owned(), entry(8, 20, 5));
        assert_eq!(index.take(100, 0).map(|(_, entry)| entry.sequence), Some(8));
        assert_eq!(index.take(100, 0), None);
    }

    #[test]
    fn what_is_skipped_is_taken_later() {
        let mut index = Index::default();
        for number in 0..3_u64 {
            index.note(number.to_string(), entry(number + 1, 1, 5));
        }
        let mut taken: Vec<_> =
            std::iter::from_fn(|| index.take(100, 7)).map(|(subject, _)| subject).collect();
        taken.sort();
        assert_eq!(taken, ["0", "1", "2"]);
    }

    #[test]
    fn a_job_is_not_forgotten_while_it_is_unknown_what_became_of_it() {
        let index = Mutex::new(Index::default());
        locked(&index).note("a".to_owned(), entry(7, 1, 5));
        let (taken, _, _) = Taken::next(&index, 100, 0).unwrap();
        assert!(Taken::next(&index, 100, 0).is_none());
        drop(taken);
        let (taken, subject, entry_again) = Taken::next(&index, 100, 0).unwrap();
        assert_eq!((subject.as_str(), entry_again.sequence), ("a", 7));
        taken.settle();
        assert!(Taken::next(&index, 100, 0).is_none());
    }

    #[test]
    fn what_was_known_before_all_is_learned_anew_does_not_come_back() {
        let index = Mutex::new(Index::default());
        locked(&index).note("a".to_owned(), entry(7, 1, 5));
        let (taken, _, _) = Taken::next(&index, 100, 0).unwrap();
        locked(&index).clear();
        locked(&index).note("a".to_owned(), entry(3, 1, 5));
        drop(taken);
        let (taken, _, entry) = Taken::next(&index, 100, 0).unwrap();
        assert_eq!(entry.sequence, 3);
        taken.settle();
    }
}
