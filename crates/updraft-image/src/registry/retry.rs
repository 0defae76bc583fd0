//! How often and when a request is tried again: exponential waits with full jitter, after Marc
//! Brooker, "Exponential Backoff And Jitter" (AWS Architecture Blog, 2015), and never before
//! the registry's own `Retry-After`.

use std::time::{Duration, SystemTime};

use http::HeaderMap;
use http::header::RETRY_AFTER;

use super::error::RegistryError;
use super::options::Limits;

const FIRST_WAIT: Duration = Duration::from_millis(250);
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// What is left of one operation's tries.
#[derive(Debug)]
pub(super) struct Patience {
    tries: u32,
    failed: u32,
    longest: Duration,
}

impl Patience {
    pub(super) fn new(limits: &Limits) -> Self {
        Self { tries: limits.tries.max(1), failed: 0, longest: limits.retry_after }
    }

    /// Something was achieved; failures before it do not count any more.
    pub(super) fn renew(&mut self) {
        self.failed = 0;
    }

    /// How often in a row it failed.
    pub(super) fn failed(&self) -> u32 {
        self.failed
    }

    /// Waits until the next try, or gives the error back when there is none.
    pub(super) async fn wait(&mut self, error: RegistryError) -> Result<(), RegistryError> {
        self.failed += 1;
        let asked = error.retry_after().unwrap_or_default();
        if self.tries <= self.failed || self.longest < asked {
            return Err(error);
        }
        let wait = backoff(self.failed, fastrand::f64()).max(asked);
        tokio::time::sleep(wait).await;
        Ok(())
    }
}

/// Before retry number `retry`, from 1, with `chance` from 0 to 1.
fn backoff(retry: u32, chance: f64) -> Duration {
    let doubled = FIRST_WAIT.saturating_mul(2_u32.saturating_pow(retry.saturating_sub(1)));
    doubled.min(LONGEST_WAIT).mul_f64(chance)
}

/// Seconds, or a date (RFC 9110, 10.2.3).
pub(super) fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    match text.parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_no_number) => {
            let date = httpdate::parse_http_date(text).ok()?;
            Some(date.duration_since(now).unwrap_or_default())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_cap_and_are_spread_from_nothing() {
        let ms = |retry| backoff(retry, 1.0).as_millis();
        assert_eq!(
            [ms(1), ms(2), ms(3), ms(6), ms(7), ms(u32::MAX)],
            [250, 500, 1000, 8000, 10_000, 10_000]
        );
        assert_eq!(backoff(3, 0.0), Duration::ZERO);
    }

    #[test]
    fn retry_after_is_read_as_seconds_or_a_date() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        let date = httpdate::fmt_http_date(now + Duration::from_secs(7));
        let past = httpdate::fmt_http_date(now - Duration::from_secs(7));
        for (text, expected) in
            [("5", Some(5)), (&*date, Some(7)), (&*past, Some(0)), ("soon", None), ("-1", None)]
        {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, text.parse().unwrap())]);
            assert_eq!(retry_after(&headers, now), expected.map(Duration::from_secs), "{text}");
        }
    }
}
