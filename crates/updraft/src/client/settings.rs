//! What the environment says of a client: where the service is, and how it may be called.

use std::num::NonZeroU32;
use std::time::Duration;

use updraft_resilience::Policy;
use updraft_resilience::backoff::Backoff;
use updraft_resilience::breaker::{BreakerConfig, OpenFor, Trip};
use updraft_resilience::bulkhead::BulkheadConfig;
use updraft_resilience::policy::PolicyConfig;
use updraft_resilience::retry::RetryConfig;

use super::ServiceUrl;
use crate::app::FieldSpec;
use crate::config::{ByteSize, Config, Invalid, Variable};

/// How long a call may take.
pub(super) const TIMEOUT: Duration = Duration::from_secs(5);

/// How long an attempt may take that another one may follow.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(2);

/// Attempts of one call at most, the first included.
const ATTEMPTS: u32 = 3;

/// Calls that run at once, and as many wait.
const IN_FLIGHT: u32 = 256;

/// The longest that a call waits for its turn.
const TURN_TIME: Duration = Duration::from_secs(1);

/// Failures in a row after which an address is left alone.
const FAILURES: u32 = 5;

/// How long it is left alone at first, and at most.
const OPEN_TIME: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// The largest answer in bytes.
const ANSWER_MOST: u64 = 4 * 1024 * 1024;

/// Beginnings of what a policy has beside the variables that have a type of their own.
const PARTS: [&str; 9] = [
    "RETRY_",
    "BREAKER_",
    "BULKHEAD_",
    "HEDGE_",
    "RATE_LIMIT_",
    "THROTTLE_",
    "ADAPTIVE_",
    "CHAOS_",
    "IDEMPOTENT",
];

/// What the environment says of a client.
#[derive(Debug)]
pub struct Settings {
    pub(crate) url: ServiceUrl,
    pub(super) policy: PolicyConfig,
    pub(super) answer_most: usize,
    pub(super) ping: Option<String>,
    pub(super) tls: Tls,
}

#[cfg(feature = "tls")]
pub(super) type Tls = super::tls::TlsSettings;

/// This build speaks no TLS.
#[cfg(not(feature = "tls"))]
#[derive(Clone, Debug, Default)]
pub(super) struct Tls {}

/// The policy where nothing changes it.
pub(super) fn policy() -> PolicyConfig {
    let first = Duration::from_millis(50);
    PolicyConfig {
        deadline: Some(TIMEOUT),
        attempt_timeout: Some(ATTEMPT_TIMEOUT),
        retry: Some(RetryConfig {
            attempts: ATTEMPTS,
            backoff: Backoff::exponential(first, Duration::from_secs(1)),
            ..RetryConfig::default()
        }),
        breaker: Some(
            BreakerConfig::any_of([Trip::failure_rate(0.5), Trip::consecutive(FAILURES)])
                .open_for(OpenFor { first: OPEN_TIME.0, max: OPEN_TIME.1, ..OpenFor::default() }),
        ),
        bulkhead: Some(BulkheadConfig {
            max: IN_FLIGHT,
            queue: IN_FLIGHT,
            max_wait: TURN_TIME,
            ..BulkheadConfig::default()
        }),
        ..PolicyConfig::default()
    }
}

/// A path that is asked for to learn whether a service is up.
struct PingPath(String);

impl Variable for PingPath {
    const EXPECTED: &'static str = "a path such as /livez";
    const EXAMPLE: &'static str = "/livez";

    fn parse(text: &str) -> Result<Self, String> {
        let is_path = text.starts_with('/') && text.parse::<http::uri::PathAndQuery>().is_ok();
        if is_path { Ok(Self(text.to_owned())) } else { Err("is no path".to_owned()) }
    }

    fn show(&self) -> String {
        self.0.clone()
    }
}

/// The variable of a client with these words behind its name, such as `LEDGER_TIMEOUT`. A
/// process reads each once, so that what leaks is a few bytes for each of its clients: the
/// declarations of variables live as long as the process.
pub(super) fn variable(spec: &FieldSpec, words: &str) -> &'static str {
    let name = spec.url.strip_suffix("_URL").unwrap_or(spec.url);
    String::leak(format!("{name}_{words}"))
}

impl Settings {
    /// Without variables.
    pub(super) fn of(url: ServiceUrl, policy: PolicyConfig) -> Self {
        let answer_most = usize::try_from(ANSWER_MOST).unwrap_or(usize::MAX);
        Self { url, policy, answer_most, ping: None, tls: Tls::default() }
    }

    /// Reads all but the URL.
    pub(super) fn read(
        config: &mut Config,
        spec: &FieldSpec,
        url: ServiceUrl,
    ) -> Result<Self, Invalid> {
        let named = |words| variable(spec, words);
        let not_zero = |count| NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN);
        let timeout = config.or(named("TIMEOUT"), TIMEOUT, "how long a call may take in all");
        let attempt_timeout = config.or(
            named("ATTEMPT_TIMEOUT"),
            ATTEMPT_TIMEOUT,
            "how long an attempt may take that another one may follow",
        );
        let attempts = config.or(
            named("RETRY_ATTEMPTS"),
            not_zero(ATTEMPTS),
            "attempts of one call at most, the first included",
        );
        let max = config.or(named("BULKHEAD_MAX"), not_zero(IN_FLIGHT), "calls that run at once");
        let queue = config.or(
            named("BULKHEAD_QUEUE"),
            IN_FLIGHT,
            "calls that wait for one that runs to end; 0: none",
        );
        let answer_most = config.or(
            named("ANSWER_MOST"),
            ByteSize::new(ANSWER_MOST),
            "the longest answer that is read",
        );
        let about = "the path that is asked for to check the service's health; not set: none is";
        let ping = config.optional::<PingPath>(named("PING"), about);
        let tls = Self::tls(config, spec, &url);
        let mut changed = policy();
        changed.deadline = Some(timeout?);
        changed.attempt_timeout = Some(attempt_timeout?);
        if let Some(retry) = &mut changed.retry {
            retry.attempts = attempts?.get();
        }
        if let Some(bulkhead) = &mut changed.bulkhead {
            (bulkhead.max, bulkhead.queue) = (max?.get(), queue?);
        }
        let policy = Self::policy(config, spec, changed);
        let answer_most = usize::try_from(answer_most?.bytes()).unwrap_or(usize::MAX);
        let ping = ping?.map(|PingPath(path)| path);
        Ok(Self { url, policy: policy?, answer_most, ping, tls: tls? })
    }

    #[cfg(feature = "tls")]
    fn tls(config: &mut Config, spec: &FieldSpec, url: &ServiceUrl) -> Result<Tls, Invalid> {
        if url.is_encrypted() { Tls::read(config, spec) } else { Ok(Tls::default()) }
    }

    #[cfg(not(feature = "tls"))]
    fn tls(_: &mut Config, _: &FieldSpec, _: &ServiceUrl) -> Result<Tls, Invalid> {
        Ok(Tls {})
    }

    /// The policy with what further variables say, each by the path of its field in
    /// [`PolicyConfig`], such as `LEDGER_BREAKER_OPEN_FOR_FIRST`.
    fn policy(
        config: &mut Config,
        spec: &FieldSpec,
        mut policy: PolicyConfig,
    ) -> Result<PolicyConfig, Invalid> {
        let prefix = variable(spec, "");
        let typed = ["RETRY_ATTEMPTS", "BULKHEAD_MAX", "BULKHEAD_QUEUE"];
        let is_part =
            |path: &str| PARTS.iter().any(|part| path.starts_with(part)) && !typed.contains(&path);
        let mut invalid = None;
        for path in config.names_below(prefix).into_iter().filter(|path| is_part(path)) {
            let (name, about) = (variable(spec, &path), "a field of the policy of calls");
            let text = match config.optional::<String>(name, about) {
                Ok(text) => text.unwrap_or_default(),
                Err(error) => {
                    invalid = Some(error);
                    continue;
                }
            };
            match changed(&policy, &path, text) {
                Some(with_it) => policy = with_it,
                None => {
                    let wrong = "is no field of a policy, or not a value that it can have; the \
                                 reference page of the client lists the fields"
                        .to_owned();
                    invalid = Some(config.problem::<String>(name, about, wrong));
                }
            }
        }
        // Some fields are sound only together.
        if invalid.is_none()
            && let Err(unsound) = policy.validate()
        {
            let wrong = format!("leads to a policy that cannot be: {unsound}");
            let about = "the policy of calls";
            invalid = Some(config.problem::<String>(variable(spec, "TIMEOUT"), about, wrong));
        }
        invalid.map_or(Ok(policy), Err)
    }
}

/// The policy with one field changed. What is wrong would repeat the value, so it is not told.
fn changed(policy: &PolicyConfig, path: &str, text: String) -> Option<PolicyConfig> {
    let variable = (format!("RESILIENCE_CLIENT_{path}"), text);
    let builder = Policy::named("client").config(policy.clone()).variables([variable]).ok()?;
    // Built, so that a field that can be no part of any policy is found where it is set.
    Some(builder.build().ok()?.handle().config())
}

#[cfg(test)]
#[path = "settings_tests.rs"]
mod tests;
