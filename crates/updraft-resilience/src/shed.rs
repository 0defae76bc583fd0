//! A server with more work than it can do drops the least important of it, and early: what
//! is refused at once costs little, what times out in a queue has cost everything.
//!
//! Two signals, either of which is enough: the load that the caller measures, such as calls
//! in progress over the capacity; and the time that work has waited in a queue, judged as
//! CoDel does (Nichols and Jacobson, "Controlling Queue Delay", ACM Queue 2012; RFC 8289;
//! used for servers by Maurer, "Fail at Scale", ACM Queue 2015).

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::invalid::{Findings, Invalid};
use crate::{Instant, Priority};

/// When what is shed. By default background work goes at 80 % load, and with each further
/// 10 % the next priority, so that normal calls go at 100 % and critical ones only at 120 %;
/// and work that waits longer than 20 ms for 100 ms at a stretch makes it shed as well.
///
/// ```
/// use updraft_resilience::shed::ShedConfig;
///
/// let early = ShedConfig { start: 0.5, full: 1.0, ..ShedConfig::default() };
/// assert!(early.validate().is_ok());
/// assert!(ShedConfig { start: 1.0, ..early }.validate().is_err());
/// ```
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields, default, rename_all = "snake_case"))]
pub struct ShedConfig {
    /// The load from which on [`Priority::Background`] is shed.
    pub start: f64,
    /// The load from which on all is shed; the other priorities lie evenly in between.
    pub full: f64,
    /// How far the load must fall below where a priority began to be shed before it is
    /// admitted again; less than a quarter of the way from start to full.
    pub hysteresis: f64,
    /// The longest time that work should wait in the queue. Not below the resolution of the
    /// clock that measures it, which is up to 10 ms for the system's coarse one.
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub target_delay: Duration,
    /// How long all work must have waited longer than that until some is shed. A queue that
    /// empties in between is only busy, not overloaded.
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub interval: Duration,
}

impl Default for ShedConfig {
    fn default() -> Self {
        Self {
            start: 0.8,
            full: 1.2,
            hysteresis: 0.05,
            target_delay: Duration::from_millis(20),
            interval: Duration::from_millis(100),
        }
    }
}

impl ShedConfig {
    /// Looks for what makes no sense.
    ///
    /// # Errors
    ///
    /// [`Invalid`] with every bad field.
    pub fn validate(&self) -> Result<(), Invalid> {
        let mut findings = Findings::default();
        let start = self.start.is_finite() && self.start > 0.0;
        findings.require(start, "start", "a number above 0");
        let full = self.full.is_finite() && self.full > self.start;
        findings.require(full, "full", "a number above `start`");
        let quarter = (self.full - self.start) / 4.0;
        let hysteresis = self.hysteresis >= 0.0 && self.hysteresis < quarter;
        let must = "from 0 to less than a quarter of `full` - `start`";
        findings.require(hysteresis, "hysteresis", must);
        findings.require(!self.target_delay.is_zero(), "target_delay", "longer than nothing");
        let interval = self.interval > self.target_delay;
        findings.require(interval, "interval", "longer than `target_delay`");
        findings.into_result()
    }

    /// The load at which the priority of this rank, from 0 for the lowest, is shed.
    fn threshold(&self, rank: u8) -> f64 {
        self.start + (self.full - self.start) * f64::from(rank) / 4.0
    }

    /// How many of the priorities, from the lowest, a load sheds.
    fn shed_at(&self, load: f64) -> u8 {
        (0..RANKS).take_while(|rank| load >= self.threshold(*rank)).fold(0, |count, _| count + 1)
    }
}

const RANKS: u8 = 5;

/// The most priorities that waiting alone sheds: never the critical one, for which the
/// queue may be full of what is waiting still.
const MOST_BY_DELAY: u8 = RANKS - 1;

const fn rank(priority: Priority) -> u8 {
    match priority {
        Priority::Background => 0,
        Priority::Low => 1,
        Priority::Normal => 2,
        Priority::High => 3,
        Priority::Critical => 4,
    }
}

/// What a shedder does at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShedSnapshot {
    /// The lowest priority that is admitted; `None` when none is.
    pub lowest_admitted: Option<Priority>,
    /// How many priorities are shed because of the load last seen.
    pub by_load: u8,
    /// How many priorities are shed because work has waited for long.
    pub by_delay: u8,
}

/// Decides which calls a server with too much work refuses. Whatever it refuses, it refuses
/// all that is less important too.
///
/// ```
/// use updraft_resilience::shed::{ShedConfig, Shedder};
/// use updraft_resilience::{ManualClock, Priority};
///
/// let now = ManualClock::new().now();
/// let shedder = Shedder::new(ShedConfig::default())?;
/// assert!(shedder.admit(Priority::Background, 0.5, now));
/// assert!(!shedder.admit(Priority::Background, 0.85, now));
/// assert!(shedder.admit(Priority::Normal, 0.85, now));
/// assert!(shedder.admit(Priority::Critical, 1.15, now));
/// # Ok::<(), updraft_resilience::Invalid>(())
/// ```
#[derive(Debug)]
pub struct Shedder {
    config: ShedConfig,
    by_load: AtomicU8,
    /// What `queue` has come to, to be read without its lock; with [`WATCHING`] on top while
    /// there is anything in it.
    by_delay: AtomicU8,
    queue: Mutex<Queue>,
}

/// CoDel's state: the time above the target, and when the next priority goes.
#[derive(Debug, Default)]
struct Queue {
    above_since: Option<Instant>,
    /// The next change, up or down.
    next: Instant,
    shed: u8,
    last_seen: Instant,
}

const WATCHING: u8 = 0x80;

impl Shedder {
    /// A shedder that admits all.
    ///
    /// # Errors
    ///
    /// [`Invalid`] as [`ShedConfig::validate`] tells it.
    pub fn new(config: ShedConfig) -> Result<Self, Invalid> {
        config.validate()?;
        Ok(Self {
            config,
            by_load: AtomicU8::new(0),
            by_delay: AtomicU8::new(0),
            queue: Mutex::default(),
        })
    }

    /// Whether to admit a call at this load: the share of the capacity that is in use, 1 when
    /// all of it is, more when work waits. What is not a number counts as no load.
    pub fn admit(&self, priority: Priority, load: f64, now: Instant) -> bool {
        let by_load = self.shed_by_load(load);
        rank(priority) >= by_load.max(self.shed_by_delay(now))
    }

    /// Tells how long a piece of work has waited when it is taken from the queue.
    pub fn observe_queue_delay(&self, delay: Duration, now: Instant) {
        let short = delay < self.config.target_delay;
        if short && self.by_delay.load(Ordering::Relaxed) == 0 {
            return;
        }
        let mut queue = self.queue();
        queue.calm_down(self.config.interval, now);
        queue.observe(short, self.config.interval, now);
        self.publish(&queue);
    }

    /// What it does now.
    pub fn snapshot(&self, now: Instant) -> ShedSnapshot {
        let by_load = self.by_load.load(Ordering::Relaxed);
        let by_delay = self.shed_by_delay(now);
        let lowest_admitted = match by_load.max(by_delay) {
            0 => Some(Priority::Background),
            1 => Some(Priority::Low),
            2 => Some(Priority::Normal),
            3 => Some(Priority::High),
            4 => Some(Priority::Critical),
            _ => None,
        };
        ShedSnapshot { lowest_admitted, by_load, by_delay }
    }

    fn shed_by_load(&self, load: f64) -> u8 {
        let current = self.by_load.load(Ordering::Relaxed);
        // Where a priority is shed anew, and where one that is shed still is.
        let least = self.config.shed_at(load);
        let most = self.config.shed_at(load + self.config.hysteresis);
        let next = current.clamp(least, most);
        if next != current {
            self.by_load.store(next, Ordering::Relaxed);
        }
        next
    }

    fn shed_by_delay(&self, now: Instant) -> u8 {
        let known = self.by_delay.load(Ordering::Relaxed);
        if known == 0 {
            return 0;
        }
        // With everything shed nothing is queued, and nobody tells of short waits.
        let mut queue = self.queue();
        queue.calm_down(self.config.interval, now);
        self.publish(&queue);
        queue.shed
    }

    fn publish(&self, queue: &Queue) {
        let watching = queue.shed > 0 || queue.above_since.is_some();
        let known = queue.shed | if watching { WATCHING } else { 0 };
        self.by_delay.store(known, Ordering::Relaxed);
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    fn observe(&mut self, short: bool, interval: Duration, now: Instant) {
        self.last_seen = self.last_seen.max(now);
        if short {
            if self.above_since.take().is_some() {
                self.next = now + interval;
            }
            // One by one, so that what has been held back does not all come at once.
            if self.shed > 0 && now >= self.next {
                self.shed -= 1;
                self.next = now + interval;
            }
            return;
        }
        if self.above_since.is_none() {
            self.above_since = Some(now);
            self.next = now + interval;
        } else if now >= self.next {
            self.shed = (self.shed + 1).min(MOST_BY_DELAY);
            // The control law of CoDel: ever sooner while it does not help.
            self.next = now + interval.div_f64(f64::from(self.shed).sqrt());
        }
    }

    /// When no work has come through for a whole interval, one priority comes back in each.
    fn calm_down(&mut self, interval: Duration, now: Instant) {
        while now.saturating_duration_since(self.last_seen) >= interval
            && (self.shed > 0 || self.above_since.is_some())
        {
            self.above_since = None;
            self.shed = self.shed.saturating_sub(1);
            self.last_seen = self.last_seen + interval;
            self.next = self.last_seen + interval;
        }
    }
}

#[cfg(test)]
#[path = "shed_tests.rs"]
mod tests;
