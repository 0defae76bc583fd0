//! Why a cache did not do something.

use std::time::Duration;

use crate::BoxError;
use crate::attachment::Outcome;

/// A cache did not do what it was asked for. Most callers go on without it.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// The key is empty, too long, or holds a control character.
    #[error("the key of a cache is of 1 to {max} bytes without control characters")]
    Key {
        /// The longest key, in bytes.
        max: usize,
    },
    /// The value has no JSON form.
    #[error("the value has no JSON form")]
    Json(#[source] serde_json::Error),
    /// The value is too large.
    #[error("the value has {bytes} bytes, and the cache takes at most {max}")]
    TooLarge {
        /// Its size as JSON.
        bytes: u64,
        /// The bound, `max_value_bytes` of the cache's URL.
        max: u64,
    },
    /// There is a number that cannot grow by this, or something that is no number.
    #[error("the counter cannot be changed by this")]
    Counter,
    /// It does not answer in time.
    #[error("the cache did not answer within {waited:?}")]
    Timeout {
        /// The bound, `timeout` of the cache's URL.
        waited: Duration,
    },
    /// Too many operations run at once.
    #[error("too many operations on the cache run at once")]
    Full,
    /// It has failed so often that it is not asked for a moment.
    #[error("the cache is not asked for another {retry_after:?}, because it failed before")]
    Open {
        /// When it is asked again.
        retry_after: Duration,
    },
    /// It cannot be reached.
    #[error("the cache is away")]
    Away(#[source] BoxError),
    /// It answered that it does not do this.
    #[error("the cache refused")]
    Refused(#[source] BoxError),
}

impl CacheError {
    /// Whether the cache itself is unwell, and not what it was asked for.
    pub fn is_away(&self) -> bool {
        matches!(self, Self::Timeout { .. } | Self::Full | Self::Open { .. } | Self::Away(_))
    }

    pub(super) fn outcome(&self) -> Outcome {
        match self {
            Self::Key { .. } | Self::Json(_) | Self::TooLarge { .. } | Self::Counter => {
                Outcome::Invalid
            }
            Self::Timeout { .. } => Outcome::Timeout,
            Self::Full => Outcome::Full,
            Self::Open { .. } | Self::Away(_) => Outcome::Away,
            Self::Refused(_) => Outcome::Refused,
        }
    }
}
