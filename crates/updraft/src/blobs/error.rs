//! Why a blob was not read or written.

use std::time::Duration;

use crate::BoxError;
use crate::attachment::Outcome;

/// A blob was not read or written.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// It is no name.
    #[error(
        "the name of a blob is of 1 to {max} bytes: letters, digits, spaces and \
         -_.+=@,!'()$&:; in parts of at most 200 bytes between slashes"
    )]
    Name {
        /// The longest name, in bytes.
        max: usize,
    },
    /// There is none of this name.
    #[error("there is no such blob")]
    Missing,
    /// There is one already.
    #[error("there is a blob of this name")]
    Exists,
    /// It is not the version that the caller saw.
    #[error("the blob is not of this version any more")]
    Changed,
    /// It is larger than what is read or written at once.
    #[error("the blob has more than {max} bytes; use a stream")]
    TooLarge {
        /// The bound, `max_bytes` of the URL.
        max: u64,
    },
    /// It is longer than what a stream may carry.
    #[error("the stream has more than {max} bytes")]
    TooLong {
        /// The bound.
        max: u64,
    },
    /// It has no such range.
    #[error("the blob has no such range")]
    Range,
    /// The stream of the caller failed; nothing was written.
    #[error("the stream to be written failed")]
    Stream(#[source] BoxError),
    /// It took too long. A write may have been done.
    #[error("there was no answer within {waited:?}")]
    Timeout {
        /// The bound, `timeout` of the URL.
        waited: Duration,
    },
    /// Too many operations run at once.
    #[error("too many operations on blobs run at once")]
    Full,
    /// The place has failed so often that it is not asked for a moment.
    #[error("the place is not asked for another {retry_after:?}, because it failed before")]
    Open {
        /// When it is asked again.
        retry_after: Duration,
    },
    /// The place cannot be reached, or fails.
    #[error("the place for blobs is away")]
    Away(#[source] BoxError),
    /// The place does not do this.
    #[error("the place for blobs refused")]
    Refused(#[source] BoxError),
}

impl BlobError {
    /// Whether the place itself is unwell, and not what it was asked for.
    pub fn is_away(&self) -> bool {
        matches!(self, Self::Timeout { .. } | Self::Full | Self::Open { .. } | Self::Away(_))
    }

    pub(super) fn outcome(&self) -> Outcome {
        match self {
            Self::Missing => Outcome::Miss,
            Self::Exists | Self::Changed => Outcome::Unmet,
            Self::Name { .. }
            | Self::TooLarge { .. }
            | Self::TooLong { .. }
            | Self::Range
            | Self::Stream(_) => Outcome::Invalid,
            Self::Timeout { .. } => Outcome::Timeout,
            Self::Full => Outcome::Full,
            Self::Open { .. } | Self::Away(_) => Outcome::Away,
            Self::Refused(_) => Outcome::Refused,
        }
    }
}
