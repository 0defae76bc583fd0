//! Those who wait for a place, in the order in which they are served, and those who have been
//! given one and do not know it yet.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::task::Waker;

use super::config::QueueOrder;
use crate::Priority;

/// Where a caller stands: the more important first, then by arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Spot {
    urgency: Reverse<Priority>,
    arrival: u64,
}

/// The queue. A spot that is in neither of its parts has been refused, so that refusals need
/// no place of their own.
#[derive(Debug, Default)]
pub(super) struct Line {
    waiting: BTreeMap<Spot, Option<Waker>>,
    granted: BTreeSet<Spot>,
    arrivals: u64,
}

impl Line {
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn push(&mut self, priority: Priority) -> Spot {
        let spot = Spot { urgency: Reverse(priority), arrival: self.arrivals };
        self.arrivals += 1;
        self.waiting.insert(spot, None);
        spot
    }

    /// Who is served next.
    pub(super) fn next(&self, order: QueueOrder) -> Option<Spot> {
        let (first, _) = self.waiting.first_key_value()?;
        match order {
            QueueOrder::Fifo => Some(*first),
            QueueOrder::Lifo => {
                let newest = Spot { urgency: first.urgency, arrival: u64::MAX };
                self.waiting.range(..=newest).next_back().map(|(spot, _)| *spot)
            }
        }
    }

    /// Who would be served last, if that one matters less than `priority`.
    pub(super) fn last_below(&self, priority: Priority, order: QueueOrder) -> Option<Spot> {
        let (last, _) = self.waiting.last_key_value()?;
        if last.urgency.0 >= priority {
            return None;
        }
        match order {
            QueueOrder::Fifo => Some(*last),
            QueueOrder::Lifo => {
                let oldest = Spot { urgency: last.urgency, arrival: 0 };
                self.waiting.range(oldest..).next().map(|(spot, _)| *spot)
            }
        }
    }

    /// Gives a place to a waiting caller; the waker is to be woken outside of the lock.
    pub(super) fn grant(&mut self, spot: Spot) -> Option<Waker> {
        let waker = self.waiting.remove(&spot)?;
        self.granted.insert(spot);
        waker
    }

    /// Whether the caller has been given a place, which it now knows.
    pub(super) fn collect(&mut self, spot: Spot) -> bool {
        self.granted.remove(&spot)
    }

    /// Whom to wake for a waiting caller; `None` for one that does not wait.
    pub(super) fn waker(&mut self, spot: Spot) -> Option<&mut Option<Waker>> {
        self.waiting.get_mut(&spot)
    }

    /// Takes a waiting caller out.
    pub(super) fn remove(&mut self, spot: Spot) -> Option<Option<Waker>> {
        self.waiting.remove(&spot)
    }
}
