//! One endpoint in one of its lives: who it is, how it fares, and which part of its share of the
//! work it gets now.

use std::hash::{Hash, Hasher};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use updraft_resilience::breaker::{Breaker, State, Transition};
use updraft_resilience::{Clock, Instant};
use updraft_system::Name;
use updraft_system::mesh::{EndpointConfig, EndpointTls};

use super::latency::Latency;

/// How long an endpoint that joins others, or comes back from an open breaker, takes to get its
/// whole share: Envoy's `slow_start_window`.
const SLOW_START: Duration = Duration::from_secs(10);
/// What it begins with: Envoy's `min_weight_percent`, with the same default.
const SLOW_START_LEAST: f64 = 0.1;
/// What is left of the share of an endpoint that asked for less load. Not nothing: when all
/// endpoints ask for less, they must share the load as before, and when most do, the last one
/// must not get it all.
pub(super) const OVERLOADED_SHARE: f64 = 0.1;
/// How long it gets less when it does not say.
const OVERLOADED_FOR: Duration = Duration::from_secs(1);
/// The longest that an endpoint may ask for.
const OVERLOADED_LONGEST: Duration = Duration::from_secs(60);

/// One endpoint in one of its lives. Two are equal when address, incarnation, TLS and version
/// are.
#[derive(Debug)]
pub(crate) struct Endpoint {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// Which life of it this is.
    pub(crate) incarnation: u64,
    /// The release it runs.
    pub(crate) version: Option<Name>,
    /// How it is reached.
    pub(crate) tls: EndpointTls,
    pub(super) breaker: Breaker,
    /// For the moment at which a pick is dropped.
    pub(super) clock: Clock,
    pub(super) latency: Latency,
    pub(super) in_flight: AtomicU32,
    pub(super) tally: Tally,
    /// All in nanoseconds of the clock. Before this moment it gets a part of its share; the two
    /// that follow tell which.
    reduced_until: AtomicU64,
    slow_since: AtomicU64,
    overloaded_until: AtomicU64,
    opened_at: AtomicU64,
}

/// What is counted for people and metrics; nothing depends on it.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Attempts that were sent here.
    pub(super) requests: AtomicU64,
    /// Those of them that failed.
    pub(super) failures: AtomicU64,
    /// How often the breaker has opened.
    pub(super) ejections: AtomicU64,
}

impl PartialEq for Endpoint {
    fn eq(&self, other: &Self) -> bool {
        self.address == other.address
            && self.incarnation == other.incarnation
            && self.tls == other.tls
            && self.version == other.version
    }
}

impl Eq for Endpoint {}

impl Hash for Endpoint {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.address, self.incarnation, self.tls).hash(state);
        self.version.hash(state);
    }
}

impl Endpoint {
    pub(super) fn new(config: &EndpointConfig, breaker: Breaker, clock: Clock) -> Self {
        Self {
            address: config.address,
            incarnation: config.incarnation,
            version: config.version.clone(),
            tls: config.tls,
            breaker,
            clock,
            latency: Latency::default(),
            in_flight: AtomicU32::new(0),
            tally: Tally::default(),
            reduced_until: AtomicU64::new(0),
            slow_since: AtomicU64::new(0),
            overloaded_until: AtomicU64::new(0),
            opened_at: AtomicU64::new(0),
        }
    }

    /// Whether this is the endpoint that the configuration means.
    pub(super) fn is_of(&self, config: &EndpointConfig) -> bool {
        self.address == config.address
            && self.incarnation == config.incarnation
            && self.tls == config.tls
            && self.version == config.version
    }

    /// Begins a slow start: the share grows from a tenth to the whole in 10 s.
    pub(super) fn start_slowly(&self, now: Instant) {
        self.slow_since.store(now.as_nanos(), Ordering::Relaxed);
        self.reduced_until.fetch_max((now + SLOW_START).as_nanos(), Ordering::Release);
    }

    /// It asked for less load, for this time from now: at most a minute, and a second when it
    /// does not say.
    pub(super) fn shed(&self, span: Option<Duration>, now: Instant) {
        let until = now + span.unwrap_or(OVERLOADED_FOR).min(OVERLOADED_LONGEST);
        self.overloaded_until.fetch_max(until.as_nanos(), Ordering::Relaxed);
        self.reduced_until.fetch_max(until.as_nanos(), Ordering::Release);
    }

    /// Whether it has asked for less load.
    pub(super) fn is_overloaded(&self, now: Instant) -> bool {
        now.as_nanos() < self.overloaded_until.load(Ordering::Relaxed)
    }

    /// Which part of its share of the work it gets now: more than 0, at most 1.
    #[inline]
    pub(super) fn share(&self, now: Instant) -> f64 {
        if now.as_nanos() >= self.reduced_until.load(Ordering::Acquire) {
            return 1.0;
        }
        self.reduced_share(now)
    }

    /// Envoy's formula of a slow start, `max(least, (elapsed / window) ^ (1 / aggression))`
    /// with the aggression 1, and the share of an overloaded endpoint.
    #[cold]
    fn reduced_share(&self, now: Instant) -> f64 {
        let since = Instant::from_nanos(self.slow_since.load(Ordering::Relaxed));
        let elapsed = now.saturating_duration_since(since).as_secs_f64();
        let grown = (elapsed / SLOW_START.as_secs_f64()).clamp(SLOW_START_LEAST, 1.0);
        grown * if self.is_overloaded(now) { OVERLOADED_SHARE } else { 1.0 }
    }

    /// The state of its breaker.
    #[inline]
    pub(super) fn state(&self, now: Instant) -> State {
        self.breaker.state(now)
    }

    /// When its breaker last opened.
    pub(super) fn opened_at(&self) -> Instant {
        Instant::from_nanos(self.opened_at.load(Ordering::Acquire))
    }

    /// Follows its breaker, whatever changed its state.
    pub(super) fn note(&self, transition: Option<Transition>) {
        match transition {
            None => {}
            Some(Transition { to: State::Open, at, .. }) => {
                self.opened_at.store(at.as_nanos(), Ordering::Release);
                self.tally.ejections.fetch_add(1, Ordering::Relaxed);
            }
            Some(Transition { to: State::Closed, at, .. }) => self.start_slowly(at),
            Some(Transition { to: State::HalfOpen, .. }) => {}
        }
    }
}
