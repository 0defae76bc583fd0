//! The traps of breakers: T1 to T5.

use std::time::{Duration, Instant};

use super::call::{Held, call};
use super::{Broken, Guard, Result, Setup, Subject, Trip};

const OPEN_FOR: Duration = Duration::from_millis(60);
const WINDOW: Duration = Duration::from_secs(1);

const fn setup(trip: Trip) -> Setup {
    Setup { trip, open_for: OPEN_FOR, half_open: 2 }
}

/// Any breaker of the subject that needs at least ten failures to open.
fn any_breaker(subject: &dyn Subject) -> Option<Box<dyn Guard>> {
    let trips = [Trip::Consecutive(10), Trip::Calls(20), Trip::Time(WINDOW, 10)];
    trips.into_iter().find_map(|trip| subject.breaker(&setup(trip)))
}

const NO_BREAKER: &str = "no breaker";
const NO_RATE: &str = "no rate";

pub fn window_slides(subject: &dyn Subject) -> Result {
    let mut parts = Vec::new();
    for trip in [Trip::Calls(100), Trip::Time(WINDOW, 20)] {
        let needed: Vec<Option<u32>> =
            [0, 1_000, 10_000, 100_000].map(|old| failures_to_open(subject, trip, old)).to_vec();
        let [Some(first), .., Some(last)] = needed[..] else { continue };
        if first == u32::MAX {
            return Result::not_offered("does not open");
        }
        let shown: Vec<String> = needed.iter().flatten().map(|count| shown(*count)).collect();
        let kind = if matches!(trip, Trip::Calls(_)) { "calls" } else { "time" };
        parts.push(Result::new(last <= 100, format!("{kind}: {}", shown.join(" / "))));
    }
    Result::all(parts, if any_breaker(subject).is_some() { NO_RATE } else { NO_BREAKER })
}

const MOST_FAILURES: u32 = 200_000;

fn shown(count: u32) -> String {
    if count == u32::MAX { "never".to_owned() } else { count.to_string() }
}

fn failures_to_open(subject: &dyn Subject, trip: Trip, old: u32) -> Option<u32> {
    let guard = subject.breaker(&setup(trip))?;
    for _ in 0..old {
        call(&*guard, Ok(()));
    }
    let (most, pace) = match trip {
        Trip::Time(window, _) => {
            guard.wait(window + window / 5);
            (1_000, Duration::from_millis(2))
        }
        _ => (MOST_FAILURES, Duration::ZERO),
    };
    for failures in 0..most {
        if !call(&*guard, Err(Broken)) {
            return Some(failures);
        }
        if !pace.is_zero() {
            guard.wait(pace);
        }
    }
    Some(u32::MAX)
}

pub fn cost_is_flat(subject: &dyn Subject) -> Result {
    let minute = Duration::from_secs(60);
    let windows: [fn(u32) -> Trip; 2] = [Trip::Calls, |_| Trip::Time(Duration::from_secs(60), 20)];
    let mut parts = Vec::new();
    for window in windows {
        let costs = [100, 30_000].map(|size| cost_of_call(subject, window(size), size));
        let [Some(few), Some(many)] = costs else { continue };
        let kind = match window(100) {
            Trip::Time(..) => format!("time {minute:?}"),
            _ => "calls".to_owned(),
        };
        let passes = many <= few * 4 + Duration::from_nanos(500);
        parts.push(Result::new(passes, format!("{kind}: {few:?} / {many:?}")));
    }
    Result::all(parts, if any_breaker(subject).is_some() { NO_RATE } else { NO_BREAKER })
}

/// The best of a few batches: what the machine does besides makes only worse ones.
fn cost_of_call(subject: &dyn Subject, trip: Trip, in_window: u32) -> Option<Duration> {
    const BATCH: u32 = 50;
    let guard = subject.breaker(&setup(trip))?;
    for _ in 0..in_window {
        call(&*guard, Ok(()));
    }
    let batch = || {
        let start = Instant::now();
        for _ in 0..BATCH {
            call(&*guard, Ok(()));
        }
        start.elapsed() / BATCH
    };
    (0..40).map(|_| batch()).min()
}

pub fn half_open_holds_back(subject: &dyn Subject) -> Result {
    let Some(guard) = any_breaker(subject) else { return Result::not_offered(NO_BREAKER) };
    if !half_open(&*guard) {
        return Result::not_offered("does not open");
    }
    let calls: Vec<Held> = (0..1_000).map(|_| Held::start(&*guard)).collect();
    let admitted = calls.iter().filter(|held| held.is_admitted()).count();
    if admitted == 0 {
        return Result::new(false, "no probe is let through".to_owned());
    }
    Result::new(admitted <= 10, format!("{admitted} let through"))
}

/// Opens it, and waits until it lets a probe through.
fn half_open(guard: &dyn Guard) -> bool {
    let opens = open(guard);
    guard.wait(OPEN_FOR + OPEN_FOR / 2);
    opens
}

fn open(guard: &dyn Guard) -> bool {
    (0..1_000).any(|_| !call(guard, Err(Broken)))
}

/// Five failures open what is half open, and not what is closed.
fn is_closed(guard: &dyn Guard) -> bool {
    for _ in 0..5 {
        call(guard, Err(Broken));
    }
    call(guard, Ok(()))
}

pub fn stale_results_change_nothing(subject: &dyn Subject) -> Result {
    if any_breaker(subject).is_none() {
        return Result::not_offered(NO_BREAKER);
    }
    let parts = [
        judge("late successes", "close it", |late| after_late(subject, late, Ok(()))),
        judge("late errors", "open it", |late| after_late(subject, late, Err(Broken))),
        judge("a probe of an earlier time", "closes it", |late| {
            earlier_probe(subject, late, false)
        }),
        judge("a probe of an earlier time", "counts", |late| earlier_probe(subject, late, true)),
    ];
    let parts: Vec<Result> = parts.into_iter().flatten().collect();
    Result::all(parts, "the difference does not show")
}

/// Whether late results make a difference. Nothing can be said where the state is already
/// that way without them.
fn judge(what: &str, does: &str, state: impl Fn(bool) -> Option<bool>) -> Option<Result> {
    if state(false)? {
        return None;
    }
    let changed = state(true)?;
    let not = if changed { "" } else { "no sign that " };
    Some(Result::new(!changed, format!("{not}{what} {does}")))
}

/// Three calls are let through, it opens, a probe hangs; then the three end, if they are to.
/// For successes, whether it is closed then; for errors, whether it is open although the
/// probe succeeds.
fn after_late(
    subject: &dyn Subject,
    with_late: bool,
    end: std::result::Result<(), Broken>,
) -> Option<bool> {
    let guard = any_breaker(subject)?;
    let late: Vec<Held> = (0..3).map(|_| Held::start(&*guard)).collect();
    if !late.iter().all(Held::is_admitted) || !half_open(&*guard) {
        return None;
    }
    let probe = Held::start(&*guard);
    if !probe.is_admitted() {
        return None;
    }
    let mut late = Some(late);
    if with_late {
        late.take()?.into_iter().for_each(|held| held.finish(end.clone()));
    }
    if end.is_ok() {
        let closed = is_closed(&*guard);
        drop((probe, late));
        return Some(closed);
    }
    probe.finish(Ok(()));
    let open = !call(&*guard, Ok(()));
    Some(open)
}

/// A probe hangs while another one fails. In the next half-open time a new probe hangs, or
/// succeeds; then the old one succeeds, if it is to. Whether it is closed then.
fn earlier_probe(subject: &dyn Subject, with_old: bool, new_succeeds: bool) -> Option<bool> {
    let guard = any_breaker(subject)?;
    if !half_open(&*guard) {
        return None;
    }
    let old = Held::start(&*guard);
    // Some let another probe through only when the first has taken long.
    let failed = (0..3).any(|_| {
        let failed = call(&*guard, Err(Broken));
        if !failed {
            guard.wait(OPEN_FOR + OPEN_FOR / 2);
        }
        failed
    });
    if !old.is_admitted() || !failed || !open(&*guard) {
        return None;
    }
    guard.wait(OPEN_FOR + OPEN_FOR / 2);
    let new = Held::start(&*guard);
    if !new.is_admitted() {
        return None;
    }
    let mut old = Some(old);
    if with_old {
        old.take()?.finish(Ok(()));
    }
    let mut new = Some(new);
    if new_succeeds {
        new.take()?.finish(Ok(()));
    }
    let closed = is_closed(&*guard);
    drop((old, new));
    Some(closed)
}

pub fn dropped_probe_is_not_the_end(subject: &dyn Subject) -> Result {
    let Some(guard) = any_breaker(subject) else { return Result::not_offered(NO_BREAKER) };
    if !half_open(&*guard) {
        return Result::not_offered("does not open");
    }
    let probes: Vec<Held> = (0..10).map(|_| Held::start(&*guard)).collect();
    drop(probes);
    guard.wait(3 * OPEN_FOR);
    let admitted = (0..100).filter(|_| {
        guard.wait(Duration::from_millis(5));
        call(&*guard, Ok(()))
    });
    let admitted = admitted.count();
    Result::new(admitted >= 50, format!("{admitted} of 100"))
}
