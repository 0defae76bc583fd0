//! Which of the headers that the listener looks for a request has. Most requests have few of
//! them, and one look at all names is cheaper than a search for each.

use http::HeaderMap;
use updraft_resilience::deadline::header as deadline;

/// The headers that are there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Present {
    /// `x-request-id`
    pub(super) id: bool,
    /// `traceparent`
    pub(super) trace: bool,
    /// A time that the caller has left, of any kind.
    pub(super) time: bool,
    /// `upgrade`
    pub(super) upgrade: bool,
    /// `accept-encoding`
    pub(super) accepts: bool,
}

impl Present {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let mut present = Self::default();
        for name in headers.keys() {
            match name.as_str() {
                "x-request-id" => present.id = true,
                "traceparent" => present.trace = true,
                deadline::EXPECTED_TIMEOUT_MS | deadline::GRPC_TIMEOUT => present.time = true,
                "upgrade" => present.upgrade = true,
                "accept-encoding" => present.accepts = true,
                _ => {}
            }
        }
        present
    }
}
