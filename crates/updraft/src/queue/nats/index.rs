//! What a worker knows of the jobs in a stream: where each stands, and which to take first.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};

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
}

impl Index {
    pub(super) fn clear(&mut self) {
        *self = Self::default();
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
    pub(super) fn take(&mut self, now_ms: i64, skip: usize) -> Option<(String, Entry)> {
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
}
