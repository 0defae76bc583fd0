//! The one source of time of every policy: monotonic, injected, and in tests turned by hand.
//!
//! The cores of this crate never read it; they are told what time it is.

use std::fmt;
use std::ops::{Add, Sub};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// A moment of a [`Clock`]: nanoseconds since an origin that is fixed for the life of the
/// process. Moments of different clocks have nothing to do with each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Instant(u64);

impl Instant {
    /// The origin.
    pub const ZERO: Self = Self(0);

    /// Later than every other moment: nobody lives to see it.
    pub(crate) const NEVER: Self = Self(u64::MAX);

    /// The moment so many nanoseconds after the origin.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the origin.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// How long after `earlier` this is; zero when it is not after it.
    pub const fn saturating_duration_since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    /// Saturates: a moment in five hundred years stands for every later one.
    fn add(self, span: Duration) -> Self {
        Self(self.0.saturating_add(nanos(span)))
    }
}

impl Sub<Duration> for Instant {
    type Output = Self;

    /// Saturates at the origin.
    fn sub(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(nanos(span)))
    }
}

/// A span in nanoseconds; spans beyond five hundred years saturate.
pub(crate) fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

/// Where policies read the time and wait for it. A clone is the same clock.
#[derive(Clone, Debug)]
pub struct Clock(Kind);

#[derive(Clone, Debug)]
enum Kind {
    System,
    #[cfg(feature = "tokio")]
    Tokio(tokio::time::Instant),
    Manual(Arc<Manual>),
}

impl Clock {
    /// The kernel's coarse monotonic clock: read without a system call in about 5 ns, a
    /// quarter of what [`std::time::Instant`] takes, at a resolution of 1 to 10 ms (the
    /// kernel's tick). Elsewhere than on Linux the standard library's clock.
    pub const fn system() -> Self {
        Self(Kind::System)
    }

    /// Tokio's clock, which follows `tokio::time::pause` and `advance`.
    #[cfg(feature = "tokio")]
    #[must_use]
    pub fn tokio() -> Self {
        // An origin in the past keeps differences to earlier moments from saturating.
        Self(Kind::Tokio(tokio::time::Instant::now()))
    }

    /// The present moment.
    #[inline]
    pub fn now(&self) -> Instant {
        match &self.0 {
            Kind::System => system_now(),
            #[cfg(feature = "tokio")]
            Kind::Tokio(origin) => Instant(nanos(origin.elapsed())),
            Kind::Manual(manual) => manual.now(),
        }
    }

    /// Resolves when it is `deadline` or later.
    ///
    /// # Panics
    ///
    /// The future panics outside of a tokio runtime, unless the clock is turned by hand.
    pub fn sleep_until(&self, deadline: Instant) -> Sleep {
        match &self.0 {
            Kind::Manual(manual) => Sleep(Waiting::Manual { clock: Arc::clone(manual), deadline }),
            #[cfg(feature = "tokio")]
            _ => {
                let left = deadline.saturating_duration_since(self.now());
                Sleep(Waiting::Tokio(Box::pin(tokio::time::sleep(left))))
            }
            #[cfg(not(feature = "tokio"))]
            Kind::System => Sleep(Waiting::Never),
        }
    }

    /// Blocks the thread until it is `deadline` or later.
    pub fn block_until(&self, deadline: Instant) {
        match &self.0 {
            Kind::Manual(manual) => manual.block_until(deadline),
            _ => block_for(deadline.saturating_duration_since(self.now())),
        }
    }

    /// Parks the thread until `waker`, which unparks it, is woken or `deadline` has come. May
    /// return early.
    pub(crate) fn park_until(&self, deadline: Instant, waker: &Waker) {
        match &self.0 {
            Kind::Manual(manual) => {
                if manual.poll(deadline, waker).is_pending() {
                    std::thread::park();
                }
            }
            _ => std::thread::park_timeout(deadline.saturating_duration_since(self.now())),
        }
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::system()
    }
}

#[expect(clippy::disallowed_methods, reason = "the wait of a caller that has chosen to block")]
fn block_for(span: Duration) {
    std::thread::sleep(span);
}

#[cfg(target_os = "linux")]
#[inline]
fn system_now() -> Instant {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::MonotonicCoarse);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    let rest = u64::try_from(time.tv_nsec).unwrap_or_default();
    Instant(seconds.saturating_mul(1_000_000_000).saturating_add(rest))
}

#[cfg(not(target_os = "linux"))]
fn system_now() -> Instant {
    static ORIGIN: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    Instant(nanos(ORIGIN.get_or_init(std::time::Instant::now).elapsed()))
}

/// The future of [`Clock::sleep_until`].
#[must_use = "it does nothing until it is awaited"]
pub struct Sleep(Waiting);

enum Waiting {
    #[cfg(feature = "tokio")]
    Tokio(Pin<Box<tokio::time::Sleep>>),
    Manual {
        clock: Arc<Manual>,
        deadline: Instant,
    },
    #[cfg(not(feature = "tokio"))]
    Never,
}

impl fmt::Debug for Sleep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sleep").finish_non_exhaustive()
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.0 {
            #[cfg(feature = "tokio")]
            Waiting::Tokio(sleep) => sleep.as_mut().poll(cx),
            Waiting::Manual { clock, deadline } => clock.poll(*deadline, cx.waker()),
            #[cfg(not(feature = "tokio"))]
            Waiting::Never => Poll::Pending,
        }
    }
}

/// Turns a [`Clock`] by hand: time passes when a test says so.
///
/// ```
/// use std::time::Duration;
/// use updraft_resilience::ManualClock;
///
/// let hand = ManualClock::new();
/// let clock = hand.clock();
/// let before = clock.now();
/// hand.advance(Duration::from_secs(3600));
/// assert_eq!(clock.now().saturating_duration_since(before), Duration::from_secs(3600));
/// ```
#[derive(Clone, Debug, Default)]
pub struct ManualClock(Arc<Manual>);

#[derive(Debug, Default)]
struct Manual {
    now: AtomicU64,
    sleepers: Mutex<Vec<(Instant, Waker)>>,
    turned: Condvar,
}

/// A moment that is not the origin, so that a test may look back.
const MANUAL_ORIGIN: u64 = 1_000_000_000_000;

impl ManualClock {
    /// A clock that stands still.
    #[must_use]
    pub fn new() -> Self {
        let manual = Manual { now: AtomicU64::new(MANUAL_ORIGIN), ..Manual::default() };
        Self(Arc::new(manual))
    }

    /// The clock for a policy.
    #[must_use]
    pub fn clock(&self) -> Clock {
        Clock(Kind::Manual(Arc::clone(&self.0)))
    }

    /// The present moment.
    pub fn now(&self) -> Instant {
        self.0.now()
    }

    /// Lets time pass, and wakes who waits for a moment up to then.
    pub fn advance(&self, span: Duration) {
        let due = {
            let mut sleepers = self.0.sleepers();
            self.0.now.fetch_add(nanos(span), Ordering::SeqCst);
            let now = self.0.now();
            let (due, rest) = sleepers.drain(..).partition(|(deadline, _)| *deadline <= now);
            *sleepers = rest;
            let due: Vec<(Instant, Waker)> = due;
            due
        };
        self.0.turned.notify_all();
        due.into_iter().for_each(|(_, waker)| waker.wake());
    }

    /// The earliest moment that somebody waits for.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.0.sleepers().iter().map(|(deadline, _)| *deadline).min()
    }
}

impl Manual {
    fn now(&self) -> Instant {
        Instant(self.now.load(Ordering::SeqCst))
    }

    fn sleepers(&self) -> MutexGuard<'_, Vec<(Instant, Waker)>> {
        self.sleepers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn poll(&self, deadline: Instant, waker: &Waker) -> Poll<()> {
        let mut sleepers = self.sleepers();
        if deadline <= self.now() {
            return Poll::Ready(());
        }
        // Polled again by the same task, it still waits once.
        sleepers.retain(|(at, other)| *at != deadline || !other.will_wake(waker));
        sleepers.push((deadline, waker.clone()));
        Poll::Pending
    }

    fn block_until(&self, deadline: Instant) {
        let sleepers = self.sleepers();
        let waited = self.turned.wait_while(sleepers, |_| self.now() < deadline);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_saturates_at_both_ends() {
        let moment = Instant::from_nanos(5);
        assert_eq!(moment - Duration::from_secs(1), Instant::ZERO);
        assert_eq!((moment + Duration::MAX).as_nanos(), u64::MAX);
        assert_eq!(Instant::ZERO.saturating_duration_since(moment), Duration::ZERO);
    }

    #[test]
    fn the_system_clock_never_goes_back() {
        let clock = Clock::system();
        let mut last = clock.now();
        for _ in 0..10_000 {
            let now = clock.now();
            assert!(last <= now);
            last = now;
        }
    }

    #[tokio::test]
    async fn a_sleeper_wakes_when_the_hand_has_passed_its_moment() {
        let hand = ManualClock::new();
        let clock = hand.clock();
        let deadline = clock.now() + Duration::from_secs(10);
        let sleeper = tokio::spawn(clock.sleep_until(deadline));
        while hand.next_deadline().is_none() {
            tokio::task::yield_now().await;
        }
        assert_eq!(hand.next_deadline(), Some(deadline));
        hand.advance(Duration::from_secs(9));
        assert_eq!(hand.next_deadline(), Some(deadline));
        hand.advance(Duration::from_secs(1));
        sleeper.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn the_clock_of_tokio_follows_its_pause() {
        let clock = Clock::tokio();
        let before = clock.now();
        clock.sleep_until(before + Duration::from_secs(86_400)).await;
        assert!(clock.now().saturating_duration_since(before) >= Duration::from_secs(86_400));
    }
}
