//! How long to wait before the next try: constant, linear, exponential, Fibonacci or any
//! function of the number of tries, with jitter, and never longer than the cap.

#[cfg(feature = "serde")]
mod data;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::invalid::{Findings, Invalid};

/// Waits that grow from try to try. The default is exponential from 100 ms to 10 s, doubled
/// each time, with full jitter.
///
/// As data (feature `serde`) it is one form of growth, and the jitter where it is not the
/// form's own: `{ exponential = { first = "100ms", factor = 2.0, max = "10s" }, jitter =
/// "full" }`, `{ linear = { first = "1s", step = "500ms" } }`, `{ constant = { wait = "1s" } }`
/// or `{ fibonacci = { unit = "1s" } }`. A function cannot be written as data.
///
/// The jitter is applied before the cap, so no wait is ever longer than
/// [`max`](Backoff::max) or shorter than [`min`](Backoff::min); what overflows saturates.
///
/// ```
/// use std::time::Duration;
/// use updraft_resilience::backoff::{Backoff, Jitter};
///
/// let ms = Duration::from_millis;
/// let waits = Backoff::exponential(ms(100), ms(500)).jitter(Jitter::None);
/// let mut random = fastrand::Rng::with_seed(7);
/// let first: Vec<_> = (1..=4).map(|retry| waits.delay(retry, None, &mut random)).collect();
/// assert_eq!(first, [ms(100), ms(200), ms(400), ms(500)]);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Backoff {
    growth: Growth,
    jitter: Jitter,
    min: Duration,
    max: Duration,
}

#[derive(Clone, Debug, PartialEq)]
enum Growth {
    Constant(Duration),
    Linear { first: Duration, step: Duration },
    Exponential { first: Duration, factor: f64 },
    Fibonacci(Duration),
    Function(Function),
}

/// How waits are spread, so that callers that failed together do not come back together.
///
/// Full, equal and decorrelated are those of Marc Brooker, "Exponential Backoff And Jitter",
/// AWS Architecture Blog, 2015.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Jitter {
    /// The wait itself.
    None,
    /// Between nothing, or the shortest wait where there is one, and the wait.
    #[default]
    Full,
    /// Between half of the wait and the wait.
    Equal,
    /// Between the first wait and three times the last one; the growth only gives the first.
    Decorrelated,
}

#[derive(Clone)]
struct Function(Arc<dyn Fn(u32) -> Duration + Send + Sync>);

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fn(u32) -> Duration")
    }
}

/// Functions cannot be compared: each is equal to its clones only.
impl PartialEq for Function {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// The cap where none is given.
const MAX: Duration = Duration::from_secs(3600);

impl Default for Backoff {
    fn default() -> Self {
        Self::exponential(Duration::from_millis(100), Duration::from_secs(10))
    }
}

impl Backoff {
    const fn new(growth: Growth, jitter: Jitter, max: Duration) -> Self {
        Self { growth, jitter, min: Duration::ZERO, max }
    }

    /// Always the same, without jitter.
    pub const fn constant(wait: Duration) -> Self {
        Self::new(Growth::Constant(wait), Jitter::None, MAX)
    }

    /// `first`, then `step` more each time; with full jitter.
    pub const fn linear(first: Duration, step: Duration) -> Self {
        Self::new(Growth::Linear { first, step }, Jitter::Full, MAX)
    }

    /// `first`, doubled each time up to `max`; with full jitter.
    pub const fn exponential(first: Duration, max: Duration) -> Self {
        Self::new(Growth::Exponential { first, factor: 2.0 }, Jitter::Full, max)
    }

    /// `unit` times 1, 1, 2, 3, 5, 8 …; with full jitter.
    pub const fn fibonacci(unit: Duration) -> Self {
        Self::new(Growth::Fibonacci(unit), Jitter::Full, MAX)
    }

    /// What `wait` gives for the number of the retry, from 1; without jitter.
    pub fn function(wait: impl Fn(u32) -> Duration + Send + Sync + 'static) -> Self {
        Self::new(Growth::Function(Function(Arc::new(wait))), Jitter::None, MAX)
    }

    /// What an exponential wait is multiplied by each time; 2 when it is not given. Other
    /// forms have no factor, and keep their growth.
    #[must_use]
    pub fn factor(mut self, times: f64) -> Self {
        if let Growth::Exponential { factor, .. } = &mut self.growth {
            *factor = times;
        }
        self
    }

    /// The shortest wait, whatever the growth and the jitter say; none when it is not given.
    /// As `min` of `wait_exponential` and `wait_random_exponential` of tenacity.
    #[must_use]
    pub const fn min(mut self, min: Duration) -> Self {
        self.min = min;
        self
    }

    /// The longest wait; an hour when it is not given.
    #[must_use]
    pub const fn max(mut self, max: Duration) -> Self {
        self.max = max;
        self
    }

    /// How waits are spread.
    #[must_use]
    pub const fn jitter(mut self, jitter: Jitter) -> Self {
        self.jitter = jitter;
        self
    }

    /// The wait before retry number `retry`, from 1, when the wait before it was `previous`.
    pub fn delay(
        &self,
        retry: u32,
        previous: Option<Duration>,
        random: &mut fastrand::Rng,
    ) -> Duration {
        let spread = match self.jitter {
            Jitter::None => self.base(retry),
            Jitter::Full => {
                let above = self.base(retry).saturating_sub(self.min);
                self.min.saturating_add(above.mul_f64(random.f64()))
            }
            Jitter::Equal => self.base(retry).mul_f64(0.5 + random.f64() / 2.0),
            Jitter::Decorrelated => {
                let first = self.base(1);
                let most =
                    previous.unwrap_or(first).saturating_mul(3).clamp(first, self.max.max(first));
                first + (most - first).mul_f64(random.f64())
            }
        };
        spread.max(self.min).min(self.max)
    }

    /// The wait without jitter, capped: what is larger could not be multiplied safely.
    fn base(&self, retry: u32) -> Duration {
        let steps = retry.saturating_sub(1);
        let wait = match &self.growth {
            Growth::Constant(wait) => *wait,
            Growth::Linear { first, step } => first.saturating_add(step.saturating_mul(steps)),
            Growth::Exponential { first, factor } => {
                let seconds = first.as_secs_f64() * factor.powf(f64::from(steps));
                Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
            }
            Growth::Fibonacci(unit) => unit.saturating_mul(fibonacci(retry)),
            Growth::Function(Function(wait)) => wait(retry),
        };
        wait.max(self.min).min(self.max)
    }

    /// Looks for waits that make no sense.
    ///
    /// # Errors
    ///
    /// [`Invalid`] with every bad field.
    pub fn validate(&self) -> Result<(), Invalid> {
        let mut findings = Findings::default();
        findings.require(self.min <= self.max, "min", "at most `max`");
        if let Growth::Exponential { factor, first } = &self.growth {
            let sound = factor.is_finite() && *factor >= 1.0;
            findings.require(sound, "factor", "a number of at least 1");
            findings.require(*first <= self.max, "first", "at most `max`");
            findings.require(!first.is_zero(), "first", "longer than nothing");
        }
        findings.into_result()
    }
}

/// The `n`th Fibonacci number, from 1; saturates.
fn fibonacci(n: u32) -> u32 {
    let (mut this, mut next) = (0_u32, 1_u32);
    for _ in 0..n {
        (this, next) = (next, this.saturating_add(next));
        if this == u32::MAX {
            break;
        }
    }
    this
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn waits(backoff: &Backoff, count: usize) -> Vec<u128> {
        let mut random = fastrand::Rng::with_seed(1);
        (1..).take(count).map(|n| backoff.delay(n, None, &mut random).as_millis()).collect()
    }

    /// The formulas of tenacity 9 (`tenacity/wait.py`), with the jitter taken out.
    #[test]
    fn the_formulas_of_tenacity() {
        let ms = Duration::from_millis;
        let exponential = Backoff::exponential(ms(1000), ms(10_000)).jitter(Jitter::None);
        let table: [(&str, Backoff, &[u128]); 7] = [
            ("wait_fixed(3)", Backoff::constant(ms(3000)), &[3000, 3000, 3000]),
            ("wait_none()", Backoff::constant(ms(0)), &[0, 0]),
            (
                "wait_incrementing(start=0.5, increment=0.25)",
                Backoff::linear(ms(500), ms(250)).jitter(Jitter::None),
                &[500, 750, 1000, 1250],
            ),
            (
                "wait_exponential(multiplier=1, max=10)",
                exponential.clone(),
                &[1000, 2000, 4000, 8000, 10_000, 10_000],
            ),
            (
                "wait_exponential(multiplier=1, min=3, max=10)",
                exponential.clone().min(ms(3000)),
                &[3000, 3000, 4000, 8000, 10_000],
            ),
            (
                "wait_exponential(exp_base=3, max=10)",
                exponential.factor(3.0),
                &[1000, 3000, 9000, 10_000],
            ),
            (
                "wait_chain of Fibonacci numbers",
                Backoff::fibonacci(ms(100)).jitter(Jitter::None),
                &[100, 100, 200, 300, 500, 800, 1300],
            ),
        ];
        for (name, backoff, expected) in table {
            assert_eq!(waits(&backoff, expected.len()), expected, "{name}");
        }
    }

    fn any_backoff() -> impl Strategy<Value = Backoff> {
        let span = || (0_u64..10_000_000).prop_map(Duration::from_micros);
        let growth = prop_oneof![
            span().prop_map(Growth::Constant),
            (span(), span()).prop_map(|(first, step)| Growth::Linear { first, step }),
            (span(), 1.0..100.0_f64)
                .prop_map(|(first, factor)| Growth::Exponential { first, factor }),
            span().prop_map(Growth::Fibonacci),
            Just(Growth::Function(Function(Arc::new(|_| Duration::MAX)))),
        ];
        let jitter = prop_oneof![
            Just(Jitter::None),
            Just(Jitter::Full),
            Just(Jitter::Equal),
            Just(Jitter::Decorrelated)
        ];
        (growth, jitter, span(), span()).prop_map(|(growth, jitter, min, max)| {
            Backoff::new(growth, jitter, max).min(min.min(max))
        })
    }

    proptest! {
        #[test]
        fn no_wait_is_out_of_its_bounds(
            backoff in any_backoff(),
            retry in any::<u32>(),
            previous in proptest::option::of(any::<u64>().prop_map(Duration::from_nanos)),
            seed in any::<u64>(),
        ) {
            let mut random = fastrand::Rng::with_seed(seed);
            let wait = backoff.delay(retry, previous, &mut random);
            prop_assert!(backoff.min <= wait && wait <= backoff.max);
        }

        #[test]
        fn jitter_stays_within_its_own_bounds(retry in 1_u32..40, seed in any::<u64>()) {
            let plain = Backoff::exponential(Duration::from_millis(10), Duration::from_secs(5));
            let mut random = fastrand::Rng::with_seed(seed);
            let base = plain.clone().jitter(Jitter::None).delay(retry, None, &mut random);
            prop_assert!(plain.clone().jitter(Jitter::Full).delay(retry, None, &mut random) <= base);
            let equal = plain.jitter(Jitter::Equal).delay(retry, None, &mut random);
            prop_assert!(base.mul_f64(0.499) <= equal && equal <= base);
        }
    }

    #[test]
    fn waits_that_make_no_sense_are_all_found() {
        let ms = Duration::from_millis;
        let invalid =
            Backoff::exponential(ms(100), ms(10)).factor(f64::NAN).validate().unwrap_err();
        assert_eq!(invalid.problems().len(), 2, "{invalid}");
        assert!(Backoff::exponential(ms(0), ms(10)).validate().is_err());
        assert!(Backoff::linear(ms(1), ms(1)).min(ms(2)).max(ms(1)).validate().is_err());
        assert!(Backoff::default().validate().is_ok());
    }
}
