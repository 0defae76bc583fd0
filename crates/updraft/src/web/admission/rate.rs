//! How much one client may ask, and how it is told (draft-ietf-httpapi-ratelimit-headers-10).

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use updraft_resilience::rate_limit::{KeyedRateLimiter, RateLimitConfig};
use updraft_resilience::{Clock, Invalid};

use crate::config::Variable;
use crate::problem::ProblemDetails;

/// Clients that are remembered; those seen least recently are forgotten, and start anew.
const CLIENTS: u32 = 65_536;

/// One customer commonly has a whole network of IPv6 of this length, so it is one client.
const CLIENT_NETWORK: u128 = u128::MAX << 64;

const RATELIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATELIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// So many requests in such a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rate {
    calls: u32,
    unit: Unit,
    burst: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    Second,
    Minute,
    Hour,
}

/// A rate for each client (GCRA).
#[derive(Debug)]
pub(super) struct RateLimit {
    limiter: KeyedRateLimiter<IpAddr>,
    policy: HeaderValue,
    burst: u32,
    clock: Clock,
}

impl Unit {
    fn span(self) -> Duration {
        Duration::from_secs(match self {
            Self::Second => 1,
            Self::Minute => 60,
            Self::Hour => 3600,
        })
    }
}

impl Variable for Rate {
    const EXPECTED: &'static str =
        "a number of requests per s, m or h, such as 100/s, or with a burst: 100/s,burst=20";

    fn parse(text: &str) -> Result<Self, String> {
        let (rate, burst) = match text.split_once(",burst=") {
            Some((rate, burst)) => (rate, Some(burst)),
            None => (text, None),
        };
        let (calls, unit) = rate.split_once('/').ok_or("is no rate")?;
        let unit = match unit {
            "s" => Unit::Second,
            "m" => Unit::Minute,
            "h" => Unit::Hour,
            _ => return Err("has another unit than s, m and h".to_owned()),
        };
        let number = |text: &str| match text.parse::<u32>() {
            Ok(number @ 1..=1_000_000) => Ok(number),
            _ => Err("has a number that is not from 1 to 1000000".to_owned()),
        };
        let calls = number(calls)?;
        let burst = burst.map_or(Ok(calls), number)?;
        Ok(Self { calls, unit, burst })
    }

    fn show(&self) -> String {
        let unit = match self.unit {
            Unit::Second => 's',
            Unit::Minute => 'm',
            Unit::Hour => 'h',
        };
        match self.burst == self.calls {
            true => format!("{}/{unit}", self.calls),
            false => format!("{}/{unit},burst={}", self.calls, self.burst),
        }
    }
}

impl RateLimit {
    pub(super) fn new(rate: Rate, clock: Clock) -> Result<Self, Invalid> {
        let config =
            RateLimitConfig { calls: rate.calls, per: rate.unit.span(), burst: rate.burst };
        let policy = format!("\"client\";q={};w={}", rate.calls, rate.unit.span().as_secs());
        // Digits and quotes are sound in any header.
        let policy =
            HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static("\"client\""));
        let limiter = KeyedRateLimiter::new(config, CLIENTS)?;
        Ok(Self { limiter, policy, burst: rate.burst, clock })
    }

    pub(super) fn take(&self, client: Option<IpAddr>) -> Result<(), ProblemDetails> {
        self.limiter.try_acquire(&key(client), self.clock.now()).map_err(|limited| {
            ProblemDetails::new(StatusCode::TOO_MANY_REQUESTS)
                .detail("this client asks too much")
                .retry_after(whole_seconds(limited.retry_after).max(1))
        })
    }

    pub(super) fn tell(&self, client: Option<IpAddr>, headers: &mut HeaderMap) {
        let snapshot = self.limiter.snapshot(&key(client), self.clock.now());
        let (left, next) = match snapshot {
            Some(snapshot) => (snapshot.available, whole_seconds(snapshot.next_in)),
            None => (self.burst, 0),
        };
        let text = format!("\"client\";r={left};t={next}");
        if let Ok(value) = HeaderValue::try_from(text) {
            headers.insert(RATELIMIT, value);
        }
        headers.insert(RATELIMIT_POLICY, self.policy.clone());
    }
}

/// Who counts as one client. All who have no address are one: behind a Unix socket there is
/// one proxy, which must be trusted to be told apart from its clients.
fn key(client: Option<IpAddr>) -> IpAddr {
    match client {
        None => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        Some(IpAddr::V6(v6)) => match v6.to_ipv4_mapped() {
            Some(v4) => IpAddr::V4(v4),
            None => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & CLIENT_NETWORK)),
        },
        Some(v4) => v4,
    }
}

/// Rounded up, so that nobody comes too early.
fn whole_seconds(span: Duration) -> u32 {
    let seconds = span.as_secs() + u64::from(0 < span.subsec_nanos());
    u32::try_from(seconds).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::response::IntoResponse;
    use updraft_resilience::ManualClock;

    #[test]
    fn a_rate_is_shown_as_it_is_read() {
        for text in ["100/s", "1/m", "1000000/h", "100/s,burst=20"] {
            assert_eq!(Rate::parse(text).unwrap().show(), text);
        }
        for wrong in ["100", "100/d", "0/s", "x/s", "1000001/s", "1/s,burst=0", "1/s,20", "-1/s"] {
            assert!(Rate::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn each_client_has_its_own_rate_and_is_told_when_to_come_back() {
        let hand = ManualClock::new();
        let limit = RateLimit::new(Rate::parse("2/m").unwrap(), hand.clock()).unwrap();
        let client = |text: &str| Some(text.parse().unwrap());
        for _ in 0..2 {
            assert!(limit.take(client("192.0.2.1")).is_ok());
        }
        let refused = limit.take(client("192.0.2.1")).unwrap_err().into_response();
        assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(refused.headers()["retry-after"], "30");
        assert!(limit.take(client("192.0.2.2")).is_ok());
        let mut headers = HeaderMap::new();
        limit.tell(client("192.0.2.1"), &mut headers);
        assert_eq!(headers["ratelimit"], "\"client\";r=0;t=30");
        assert_eq!(headers["ratelimit-policy"], "\"client\";q=2;w=60");
        hand.advance(Duration::from_secs(30));
        assert!(limit.take(client("192.0.2.1")).is_ok());
    }

    #[test]
    fn a_client_cannot_multiply_by_its_own_addresses() {
        let hand = ManualClock::new();
        let limit = RateLimit::new(Rate::parse("1/h").unwrap(), hand.clock()).unwrap();
        let client = |text: &str| Some(text.parse().unwrap());
        assert!(limit.take(client("2001:db8:1:2::1")).is_ok());
        assert!(limit.take(client("2001:db8:1:2:ffff::9")).is_err());
        assert!(limit.take(client("2001:db8:1:3::1")).is_ok());
        assert!(limit.take(client("192.0.2.1")).is_ok());
        assert!(limit.take(client("::ffff:192.0.2.1")).is_err());
    }
}
