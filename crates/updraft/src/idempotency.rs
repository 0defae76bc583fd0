//! Requests that may be sent twice and have one effect: the header `Idempotency-Key`
//! (draft-ietf-httpapi-idempotency-key-header-07). The first request with a key takes it, its
//! answer is kept in the service's database, and the same request again gets that answer.

mod answer;
mod carried;
mod keeper;
mod key;
mod metrics;
mod record;
mod store;

use std::time::Duration;

use crate::Migration;
use crate::config::{Config, Invalid};

pub(crate) use keeper::Keeper;
pub(crate) use key::{HEADER, key_of};
pub use record::{Idempotency, RecordError, Recorded};

/// The table of keys.
const MIGRATION: Migration = Migration::of_kinds(
    "updraft_idempotency_1",
    include_str!("idempotency/tables.sqlite.sql"),
    include_str!("idempotency/tables.postgres.sql"),
);

/// The shortest lease: a process renews it three times before it is over.
const LEASE_LEAST: Duration = Duration::from_secs(1);

/// Whether a key must be sent with each request of an operation. `idempotent` in the brackets
/// of [`post`](macro@crate::post) and [`patch`](macro@crate::patch) says which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdempotencyKey {
    /// Without a key there is no answer but a 400.
    Required,
    /// Without a key each request has an effect of its own.
    Optional,
}

/// How long keys are kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct IdempotencySettings {
    /// From its first request to when a key is forgotten.
    ttl: Duration,
    /// How long a key stays taken by a process that has died.
    lease: Duration,
}

impl IdempotencySettings {
    /// Reads all of it.
    ///
    /// # Errors
    ///
    /// [`Invalid`] when any of it is wrong.
    pub(crate) fn read(config: &mut Config) -> Result<Self, Invalid> {
        let ttl_about = "how long the answer to a request with an Idempotency-Key is kept";
        let ttl = config.or("IDEMPOTENCY_TTL", Duration::from_secs(24 * 3600), ttl_about);
        let lease_about = "how long an Idempotency-Key stays taken when its process has died";
        let lease = config.or("IDEMPOTENCY_LEASE", Duration::from_secs(30), lease_about);
        let (ttl, lease): (Duration, Duration) = (ttl?, lease?);
        if lease < LEASE_LEAST {
            let wrong = "is less than 1s".to_owned();
            return Err(config.problem::<Duration>("IDEMPOTENCY_LEASE", lease_about, wrong));
        }
        if ttl < lease {
            let wrong = "is less than IDEMPOTENCY_LEASE".to_owned();
            return Err(config.problem::<Duration>("IDEMPOTENCY_TTL", ttl_about, wrong));
        }
        Ok(Self { ttl, lease })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_that_cannot_work_are_refused() {
        for (ttl, lease, wrong) in [
            ("24h", "30s", None),
            ("1s", "1s", None),
            ("24h", "999ms", Some("IDEMPOTENCY_LEASE")),
            ("10s", "11s", Some("IDEMPOTENCY_TTL")),
            ("soon", "30s", Some("IDEMPOTENCY_TTL")),
            ("24h", "0", Some("IDEMPOTENCY_LEASE")),
        ] {
            let variables = [("IDEMPOTENCY_TTL", ttl), ("IDEMPOTENCY_LEASE", lease)];
            let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
            let mut config = Config::from_variables(variables);
            assert_eq!(IdempotencySettings::read(&mut config).is_err(), wrong.is_some(), "{ttl}");
            let report = config.report().map(|it| it.to_string()).unwrap_or_default();
            assert_eq!(report.is_empty(), wrong.is_none(), "{report}");
            assert!(report.contains(wrong.unwrap_or_default()), "{report}");
        }
    }
}
