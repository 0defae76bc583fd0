//! The protocol of a stream, chosen once.

use super::super::frame::{Begin, Malformed, Piece};
use super::super::{Direction, Message, Role, Text, postgres, redis};
use super::Protocol;

/// Both directions of one connection, in one of the protocols.
#[derive(Debug)]
pub(super) enum Conversation {
    Postgres(Box<postgres::Session>),
    Redis(Box<redis::Session>),
    Opaque,
}

impl Conversation {
    pub(super) fn new(protocol: Protocol) -> Self {
        match protocol {
            Protocol::Postgres => Self::Postgres(Box::new(postgres::Session::new())),
            Protocol::Redis => Self::Redis(Box::new(redis::Session::new())),
            Protocol::Opaque => Self::Opaque,
        }
    }

    /// The next piece of what was read in a direction; `None` when more bytes are needed, or
    /// when it [waits](Self::waits).
    pub(super) fn step(
        &mut self,
        direction: Direction,
        bytes: &[u8],
    ) -> Result<Option<Piece>, Malformed> {
        match self {
            Self::Postgres(session) => session.step(direction, bytes),
            Self::Redis(session) => session.step(direction, bytes),
            Self::Opaque => Ok((!bytes.is_empty()).then(|| opaque(direction, bytes.len()))),
        }
    }

    /// Whether bytes in this direction have to wait for the other one.
    pub(super) fn waits(&self, direction: Direction) -> bool {
        match self {
            Self::Postgres(session) => direction == Direction::Request && session.waits(),
            Self::Redis(_) | Self::Opaque => false,
        }
    }

    /// Whether messages can be told apart no more, although they could at first.
    pub(super) const fn turned_opaque(&self) -> bool {
        match self {
            Self::Postgres(session) => session.is_opaque(),
            Self::Redis(session) => session.is_opaque(),
            Self::Opaque => false,
        }
    }
}

const fn opaque(direction: Direction, length: usize) -> Piece {
    let role = match direction {
        Direction::Request => Role::Request,
        Direction::Response => Role::Reply,
    };
    let message = Message { direction, kind: "Bytes", role, text: Text::EMPTY, asked: Text::EMPTY };
    let begins = Begin { message, completes_request: true, completes_reply: true };
    Piece { length, begins: Some(begins), ends: true }
}
