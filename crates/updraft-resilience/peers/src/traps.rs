//! What a subject must offer to be put to the test, and the traps, written once for all.

mod breakers;
mod call;
mod others;

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

/// The failure of an operation.
#[derive(Clone, Debug)]
pub struct Broken;

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the backend is broken")
    }
}

impl std::error::Error for Broken {}

/// What is called through a breaker or a bulkhead. Whether it was let through shows in whether
/// it was polled at all.
pub type Operation = Pin<Box<dyn Future<Output = std::result::Result<(), Broken>> + Send>>;

/// One call through a breaker or a bulkhead; what it gives does not matter.
pub type Call = Pin<Box<dyn Future<Output = ()>>>;

/// A crate that is put to the test.
pub trait Subject {
    /// The crate, its version, and the part of it if there are several.
    fn name(&self) -> String;

    /// What a reader of its results should know; empty for nothing.
    fn remark(&self) -> &'static str {
        ""
    }

    /// A breaker, unless it has none that trips so. What the setup asks for beyond its
    /// abilities is set to the nearest that it has.
    fn breaker(&self, _: &Setup) -> Option<Box<dyn Guard>> {
        None
    }

    /// A bulkhead with so many places that refuses, or makes wait, what is too much.
    fn bulkhead(&self, _places: usize) -> Option<Box<dyn Guard>> {
        None
    }

    /// Its default hedge of a percentile; the 95th where there is no default.
    fn hedge(&self) -> Option<Box<dyn HedgeDelay>> {
        None
    }

    /// How often a call that always fails is attempted when so many attempts are allowed and
    /// all else is default, except that the waits are short.
    fn attempts(&self, _allowed: u32) -> Option<u32> {
        None
    }
}

/// Lets calls through, or does not.
pub trait Guard {
    /// The call; nothing happens before it is polled.
    fn call(&self, operation: Operation) -> Call;

    /// Lets time pass on its clock, which is the system's if it has none of its own.
    #[expect(clippy::disallowed_methods, reason = "most subjects read the system's clock only")]
    fn wait(&self, span: Duration) {
        std::thread::sleep(span);
    }
}

/// Learns latencies, and says when to send an extra attempt.
pub trait HedgeDelay {
    /// Calls that take so long each, all at the same time.
    fn observe(&mut self, latencies: &[Duration]);
    /// Lets time pass.
    fn wait(&mut self, span: Duration);
    /// When the extra attempt of a call that hangs would be sent.
    fn delay(&mut self) -> Option<Duration>;
}

/// How a breaker is set up.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    pub trip: Trip,
    pub open_for: Duration,
    /// Calls let through while half open, and successes that close it.
    pub half_open: u32,
}

/// When a breaker opens. All rates are one half.
#[derive(Clone, Copy, Debug)]
pub enum Trip {
    /// So many failures one after the other.
    Consecutive(u32),
    /// A rate over the last calls, evaluated once the window is full.
    Calls(u32),
    /// A rate over the last while, with at least so many calls.
    Time(Duration, u32),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Pass,
    Fail,
    NotOffered,
}

/// What a trap found.
#[derive(Debug)]
pub struct Result {
    pub verdict: Verdict,
    pub evidence: String,
}

impl Result {
    fn new(passes: bool, evidence: String) -> Self {
        Self { verdict: if passes { Verdict::Pass } else { Verdict::Fail }, evidence }
    }

    fn not_offered(why: &str) -> Self {
        Self { verdict: Verdict::NotOffered, evidence: why.to_owned() }
    }

    /// The worst verdict of all, with all their evidence; of nothing, `why`.
    fn all(parts: Vec<Self>, why: &str) -> Self {
        let has = |verdict| parts.iter().any(|part| part.verdict == verdict);
        let verdict = if has(Verdict::Fail) {
            Verdict::Fail
        } else if has(Verdict::Pass) {
            Verdict::Pass
        } else {
            return Self::not_offered(why);
        };
        let evidence: Vec<String> = parts.into_iter().map(|part| part.evidence).collect();
        Self { verdict, evidence: evidence.join("; ") }
    }
}

pub struct Trap {
    pub name: &'static str,
    pub question: &'static str,
    pub run: fn(&dyn Subject) -> Result,
}

pub const TRAPS: [Trap; 8] = [
    Trap {
        name: "T1 window slides",
        question: "After 0 / 1 000 / 10 000 / 100 000 successes, how many failures open it? The \
                   rate is one half, over 100 calls, or over 1 s that has passed since the \
                   successes (then 20 calls at least, 2 ms apart). At most 100 passes.",
        run: breakers::window_slides,
    },
    Trap {
        name: "T2 cost flat",
        question: "How long does a call take with 100 and with 30 000 calls in the window? At \
                   most four times as long and 500 ns passes.",
        run: breakers::cost_is_flat,
    },
    Trap {
        name: "T3 half-open flood",
        question: "1 000 calls arrive together when the open time ends; 2 are to be let \
                   through, or as few as it can be set to. At most 10 passes.",
        run: breakers::half_open_holds_back,
    },
    Trap {
        name: "T4 stale results",
        question: "Three calls from before the opening end while the probe still hangs. Do \
                   their successes close it, do their errors open it, and does a probe of an \
                   earlier half-open time close it?",
        run: breakers::stale_results_change_nothing,
    },
    Trap {
        name: "T5 dropped probe",
        question: "All probes are dropped, the backend is healthy, and three times the open \
                   time passes. How many of 100 calls are let through? At least 50 passes.",
        run: breakers::dropped_probe_is_not_the_end,
    },
    Trap {
        name: "T6 enforced",
        question: "Set to open at 3 failures, how many of 50 calls reach a dead backend (at \
                   most 10 passes)? Set to 2 places, how many of 100 calls run together?",
        run: others::limits_are_enforced,
    },
    Trap {
        name: "T7 hedge delay",
        question: "After 1 000 latencies spread evenly from 1 to 1 000 ms, is the default delay \
                   about the 95th percentile (900 to 1 030 ms)? A minute and 1 000 latencies of \
                   1 to 10 ms later, is it at most 20 ms?",
        run: others::hedge_delay_is_the_percentile,
    },
    Trap {
        name: "T8 retry budget",
        question: "How often is a call to a dead backend attempted by default if 1 000 attempts \
                   are allowed? At most 200 passes.",
        run: others::retries_have_a_budget,
    },
];
