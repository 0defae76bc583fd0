//! What an instrument is told of a message, whatever its protocol.

use std::fmt;

use super::Text;

/// Which way a message goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Direction {
    /// From the caller to the service or resource.
    Request,
    /// Back to the caller.
    Response,
}

impl Direction {
    /// Its name in events.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Response => "response",
        }
    }
}

/// The number of a connection of an edge, from 1, never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId(pub(super) u64);

impl ConnectionId {
    /// The number itself.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a message is to the conversation it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// It asks for something to be done: an HTTP request, a Redis command; in PostgreSQL
    /// `Query`, `Execute` and `FunctionCall`.
    Request,
    /// The first message of the answer to a request.
    Reply,
    /// It belongs to another one: a row, the end of an answer, what prepares a statement,
    /// whatever is said before the first request.
    Part,
    /// Nobody asked for it: a notice, a notification, a message of a subscription.
    Aside,
}

/// One message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message {
    /// Which way it goes.
    pub direction: Direction,
    /// What its protocol calls it, such as `CommandComplete`.
    pub kind: &'static str,
    /// What it is to the conversation.
    pub role: Role,
    /// Its own words: an SQL statement, a Redis command with its arguments, `GET /cart`; of
    /// answers the command tag (`COMMIT`), severity and SQLSTATE (`ERROR 40001`), the letter
    /// of the transaction's status (`I`, `T`, `E`), the status of HTTP (`503`), the line of a
    /// simple string or error of Redis. Empty for all else.
    pub text: Text,
    /// The words of the request that it answers; empty for requests and where it is unknown.
    pub asked: Text,
}
