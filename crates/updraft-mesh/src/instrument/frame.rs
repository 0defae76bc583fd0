//! What framers of all protocols give: pieces of messages, never whole ones, so that a row of
//! 100 MB passes through a buffer of a few kilobytes.

use super::Message;

/// How many bytes of a message a framer may wait for before it lets the first one go. A buffer
/// must hold more than that.
pub(super) const LOOK_MAX: usize = 512;

/// The bytes are none of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{protocol}: {reason}")]
pub struct Malformed {
    /// What was expected.
    pub protocol: &'static str,
    /// What is wrong.
    pub reason: &'static str,
}

/// Bytes that belong to one message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece {
    /// How many, from the start of what was given. At least 1.
    pub(super) length: usize,
    /// The message, if it begins here.
    pub(super) begins: Option<Begin>,
    /// Whether it ends here.
    pub(super) ends: bool,
}

/// The beginning of a message in its conversation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Begin {
    pub(super) message: Message,
    /// Whether the receiver can work on all requests up to here once it has this message.
    pub(super) completes_request: bool,
    /// Whether an answer ends with this message.
    pub(super) completes_reply: bool,
}
