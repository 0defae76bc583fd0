//! What attributes promise, by really calling the functions below them.
#![cfg(feature = "macros")]

#[path = "attributes/calls.rs"]
mod calls;
#[path = "attributes/nesting.rs"]
mod nesting;
#[path = "attributes/policies.rs"]
mod policies;
#[path = "attributes/signatures.rs"]
mod signatures;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::time::Duration;

use updraft_resilience::Rejection;

/// How the guarded functions of these tests fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Failure {
    /// The target did.
    Target(u32),
    /// The policy refused.
    Refused(Rejection),
}

impl From<Rejection> for Failure {
    fn from(rejection: Rejection) -> Self {
        Self::Refused(rejection)
    }
}

/// A target with a row of outcomes, that counts how often it is asked. The last outcome
/// holds for ever.
struct Target {
    outcomes: RefCell<VecDeque<Result<u32, Failure>>>,
    asked: RefCell<u32>,
}

impl Target {
    fn new(outcomes: impl IntoIterator<Item = Result<u32, Failure>>) -> Self {
        Self { outcomes: RefCell::new(outcomes.into_iter().collect()), asked: RefCell::new(0) }
    }

    /// Fails so many times, then gives 42.
    fn well_after(failures: u32) -> Self {
        Self::new((1..=failures).map(|n| Err(Failure::Target(n))).chain([Ok(42)]))
    }

    fn down() -> Self {
        Self::new([Err(Failure::Target(0))])
    }

    fn ask(&self) -> Result<u32, Failure> {
        *self.asked.borrow_mut() += 1;
        let mut outcomes = self.outcomes.borrow_mut();
        if outcomes.len() > 1 {
            outcomes.pop_front().unwrap_or(Ok(0))
        } else {
            outcomes.front().copied().unwrap_or(Ok(0))
        }
    }

    fn asked(&self) -> u32 {
        *self.asked.borrow()
    }
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn is_open(outcome: Result<u32, Failure>) -> bool {
    matches!(outcome, Err(Failure::Refused(Rejection::Open { .. })))
}
