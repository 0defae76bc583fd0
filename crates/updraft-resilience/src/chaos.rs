//! Faults on purpose: a share of the calls is slow, fails or never ends, so that one sees in
//! time what the policies make of it.
//!
//! After the chaos strategies of Polly (<https://www.pollydocs.org/chaos>), with one seed in
//! place of its random generators: the same seed gives the same faults.

mod substitute;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

pub use self::substitute::Substituted;
use crate::invalid::{Findings, Invalid};

/// Which share of calls gets which fault. A call gets one fault at most, so the rates together
/// may not exceed 1. The default is off and without faults.
///
/// ```
/// use std::time::Duration;
/// use updraft_resilience::chaos::{Chaos, ChaosConfig, Fault, LatencyFault};
///
/// let slow = LatencyFault { rate: 0.1, add: Duration::from_millis(300), ..Default::default() };
/// let config = ChaosConfig {
///     enabled: true,
///     seed: 7,
///     latency: Some(slow),
///     error_rate: 0.05,
///     ..ChaosConfig::default()
/// };
/// let chaos = Chaos::new(config)?;
/// let faults = (0..1000).filter(|_| chaos.draw() != Fault::None).count();
/// assert!((100..200).contains(&faults));
/// # Ok::<(), updraft_resilience::Invalid>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(deny_unknown_fields, default, rename_all = "snake_case")
)]
pub struct ChaosConfig {
    /// Whether it starts switched on. Default false.
    pub enabled: bool,
    /// Where the sequence of faults starts. Default 0.
    pub seed: u64,
    /// Calls that take longer. Default none.
    pub latency: Option<LatencyFault>,
    /// Share of calls that fail, from 0 to 1. Default 0.
    pub error_rate: f64,
    /// Share of calls that never end, as if they hung, from 0 to 1. Default 0.
    pub cancel_rate: f64,
    /// Share of attempts that give a made outcome where [`Chaos::substitute`] is put around
    /// them, from 0 to 1. Drawn apart from the other faults. Default 0.
    pub result_rate: f64,
}

/// Calls that take longer than they need to.
///
/// ```
/// use std::time::Duration;
/// use updraft_resilience::chaos::LatencyFault;
///
/// let add = Duration::from_millis(100);
/// let between_100_and_150_ms = LatencyFault { rate: 0.2, add, jitter: add / 2 };
/// assert_eq!(between_100_and_150_ms.rate, 0.2);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(deny_unknown_fields, default, rename_all = "snake_case")
)]
pub struct LatencyFault {
    /// Share of calls, from 0 to 1. Default 0.
    pub rate: f64,
    /// How much longer they take. Default nothing.
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub add: Duration,
    /// Up to how much is added to `add`, evenly spread. Default nothing.
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub jitter: Duration,
}

impl ChaosConfig {
    /// Whether it makes sense.
    ///
    /// # Errors
    ///
    /// Every field that does not.
    pub fn validate(&self) -> Result<(), Invalid> {
        let latency_rate = self.latency.map_or(0.0, |latency| latency.rate);
        let rates = [
            ("latency.rate", latency_rate),
            ("error_rate", self.error_rate),
            ("cancel_rate", self.cancel_rate),
        ];
        let mut findings = Findings::default();
        for (field, rate) in rates.into_iter().chain([("result_rate", self.result_rate)]) {
            findings.require((0.0..=1.0).contains(&rate), field, "a share from 0 to 1");
        }
        let sum: f64 = rates.iter().map(|(_, rate)| rate).sum();
        // Rates such as 0.7, 0.2 and 0.1 add up to a little more than 1.
        findings.require(sum.is_nan() || sum <= 1.0 + 1e-9, "the sum of all rates", "1 at most");
        findings.into_result()
    }
}

/// What happens to one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a fault does nothing unless it is acted upon"]
pub enum Fault {
    /// Nothing: it runs as ever.
    None,
    /// It runs after this much time.
    Latency(Duration),
    /// It fails without having run.
    Error,
    /// It neither runs nor ends, until its caller gives up.
    Cancel,
}

/// Draws faults. Shared by all callers of one target.
///
/// The fault of the n-th draw depends on the seed and on n only: however many threads draw,
/// all draws together give the same faults each time.
#[derive(Debug)]
pub struct Chaos {
    config: ChaosConfig,
    enabled: AtomicBool,
    drawn: AtomicU64,
    results_drawn: AtomicU64,
}

impl Chaos {
    /// One that has drawn nothing yet; switched on if the configuration says so.
    ///
    /// # Errors
    ///
    /// Every field of the configuration that makes no sense.
    pub fn new(config: ChaosConfig) -> Result<Self, Invalid> {
        config.validate()?;
        let enabled = AtomicBool::new(config.enabled);
        let (drawn, results_drawn) = (AtomicU64::new(0), AtomicU64::new(0));
        Ok(Self { config, enabled, drawn, results_drawn })
    }

    /// The fault of the next call. Switched off, it is [`Fault::None`] and does not count as a
    /// draw.
    pub fn draw(&self) -> Fault {
        if !self.is_enabled() {
            return Fault::None;
        }
        self.fault(self.drawn.fetch_add(1, Ordering::Relaxed))
    }

    /// The fault of the draw with this number, from 0: to find again what a test has met.
    pub fn fault(&self, number: u64) -> Fault {
        let random = nth_random(self.config.seed, number);
        let mut point = share(random);
        if let Some(latency) = self.config.latency {
            if point < latency.rate {
                // Not the same number again: small points would only ever mean small jitter.
                let jitter = latency.jitter.mul_f64(share(mix(random)));
                return Fault::Latency(latency.add.saturating_add(jitter));
            }
            point -= latency.rate;
        }
        if point < self.config.error_rate {
            Fault::Error
        } else if point - self.config.error_rate < self.config.cancel_rate {
            Fault::Cancel
        } else {
            Fault::None
        }
    }

    /// Whether the next attempt gives a made outcome.
    fn draws_result(&self) -> bool {
        if !self.is_enabled() || self.config.result_rate == 0.0 {
            return false;
        }
        let number = self.results_drawn.fetch_add(1, Ordering::Relaxed);
        // Another sequence than that of the other faults, so that neither shifts the other.
        share(nth_random(mix(!self.config.seed), number)) < self.config.result_rate
    }

    /// Whether draws give faults now.
    pub fn is_enabled(&self) -> bool {
        self.enabled.load(Ordering::Relaxed)
    }

    /// Switches it on or off, for the draws from now on. The sequence goes on where it stood.
    pub fn set_enabled(&self, enabled: bool) {
        self.enabled.store(enabled, Ordering::Relaxed);
    }

    /// How many faults have been drawn, [`Fault::None`] among them.
    pub fn drawn(&self) -> u64 {
        self.drawn.load(Ordering::Relaxed)
    }
}

/// The n-th number of SplitMix64 (Steele, Lea and Flood, "Fast Splittable Pseudorandom Number
/// Generators", OOPSLA 2014), which needs no state but n.
const fn nth_random(seed: u64, n: u64) -> u64 {
    const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
    mix(seed.wrapping_add(n.wrapping_add(1).wrapping_mul(STEP)))
}

const fn mix(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

/// The upper 53 bits as a number from 0 to just below 1.
fn share(random: u64) -> f64 {
    const SCALE: f64 = (1_u64 << 53) as f64;
    (random >> 11) as f64 / SCALE
}

#[cfg(test)]
#[path = "chaos_tests.rs"]
mod tests;
