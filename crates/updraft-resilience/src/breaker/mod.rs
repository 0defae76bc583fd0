//! The circuit breaker: stops calling a target that fails, and finds out carefully whether it
//! is well again.
//!
//! # States
//!
//! * **Closed**: every call goes through and is counted. When one of the [`Trip`]s of the
//!   configuration says so, the circuit opens.
//! * **Open**: no call goes through until the open time is over ([`OpenFor`]).
//! * **Half-open**: a few calls go through as probes ([`HalfOpen`]). They close the circuit, or
//!   open it again for longer.
//!
//! # What this breaker holds to
//!
//! * A result counts only in the period of the circuit that admitted its call. Each change of
//!   state begins a new *generation*; a result of another generation is counted as `lost` and
//!   changes nothing else. (A generation is a number of 27 bits: a call would have to be
//!   running during exactly 134 217 728 changes of state to be mistaken for a new one.) After
//!   `sony/gobreaker`, which numbers its generations.
//! * The place of a probe is reserved when it is admitted, and given back when its call is
//!   recorded, ignored or abandoned, so that never more than the permitted number run at once
//!   and a dropped probe never blocks the others.
//! * Windows slide, and recording costs the same however many calls a window holds. A success
//!   in the closed state takes no lock, and waits for no other thread.
//! * Only a failure or a slow call can open the circuit (as in Polly; Resilience4j also looks
//!   at its rates after a success that completes the minimum number of calls).
//! * A call that the caller gave up says little about the target: see [`Abandoned`].
//! * It never reads a clock: moments are told by the caller, all from one
//!   [`Clock`](crate::Clock).
//!
//! A result that is being recorded by one thread at the very moment in which another thread
//! changes the state may still fall into a window: at most one result per recording thread.
//! It can never change the state of a later generation.
//!
//! ```
//! use std::time::Duration;
//! use updraft_resilience::breaker::{Breaker, BreakerConfig, HalfOpen, State, Trip, Window};
//! use updraft_resilience::{ManualClock, Verdict};
//!
//! let config = BreakerConfig::any_of([
//!     Trip::failure_rate(0.5).over(Window::Time(Duration::from_secs(10))).min_calls(20),
//!     Trip::slow_rate(0.8).slower_than(Duration::from_millis(800)).over(Window::Count(128)),
//!     Trip::consecutive(3),
//! ])
//! .half_open(HalfOpen::permits(2).max_wait(Duration::from_secs(5)));
//! let breaker = Breaker::new(config).expect("a sound configuration");
//!
//! let hand = ManualClock::new();
//! for _ in 0..3 {
//!     let permit = breaker.try_acquire(hand.now()).expect("closed");
//!     breaker.record(permit, Verdict::Fail, hand.now());
//! }
//! assert_eq!(breaker.state(hand.now()), State::Open);
//! let open = breaker.try_acquire(hand.now()).unwrap_err();
//!
//! hand.advance(open.retry_after);
//! for _ in 0..2 {
//!     let probe = breaker.try_acquire(hand.now()).expect("half-open");
//!     breaker.record(probe, Verdict::Success, hand.now());
//! }
//! assert_eq!(breaker.state(hand.now()), State::Closed);
//! ```

mod config;
mod core;
mod manual;
mod permit;
mod probing;
mod recovery;
mod snapshot;
mod trip;
mod window;
mod word;

pub use config::{Abandoned, BreakerConfig, OpenFor};
pub use core::Breaker;
pub use manual::Mode;
pub use permit::{Admission, Open, Permit, State, Transition};
pub use recovery::HalfOpen;
pub use snapshot::{BreakerSnapshot, Probes, Reading};
pub use trip::{Trip, Window};
