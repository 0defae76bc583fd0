//! Where a message of PostgreSQL begins and ends. Syntax only: it needs no memory but a count
//! of bytes, whatever the length of a message.

use std::ops::Range;

use super::super::frame::{LOOK_MAX, Malformed};
use super::PROTOCOL;

/// The longest message in bytes after its letter, as the server allocates no more
/// (`MaxAllocSize`).
const MESSAGE_MAX: u32 = 0x3fff_ffff;

/// The longest packet before authentication (`MAX_STARTUP_PACKET_LENGTH`).
const STARTUP_MAX: u32 = 10_000;

/// A packet of the opening has a length and a code.
const OPENING_HEAD: usize = 8;

/// Any other message has a letter and a length.
const HEAD: usize = 5;

const SSL_REQUEST: u32 = 80_877_103;
const GSS_REQUEST: u32 = 80_877_104;
const CANCEL_REQUEST: u32 = 80_877_102;

/// The first byte of a TLS handshake: since version 17 a client may begin with it.
const TLS_HANDSHAKE: u8 = 0x16;

/// Whose messages they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The client's.
    Frontend,
    /// The server's.
    Backend,
}

/// What a message is by its head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tag {
    /// `StartupMessage`.
    Startup,
    /// `SSLRequest`.
    SslRequest,
    /// `GSSENCRequest`.
    GssRequest,
    /// `CancelRequest`; nothing follows it.
    Cancel,
    /// The one byte that answers a request for encryption.
    Answer(u8),
    /// A message with this letter.
    Typed(u8),
    /// Bytes that cannot be told apart.
    Raw,
}

/// The head of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start {
    /// What it is.
    pub tag: Tag,
    /// Its length with its head; for [`Tag::Raw`] that of the piece.
    pub total: u64,
    /// Where the beginning of its body is in the bytes that were given, as far as it is
    /// looked at.
    pub body: Range<usize>,
}

/// Bytes that belong to one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// How many, from the start of those that were given; at least 1.
    pub length: usize,
    /// The message, if it begins here.
    pub begins: Option<Start>,
    /// Whether it ends here.
    pub ends: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Packets without a letter.
    Opening,
    /// A request for encryption has been sent; nothing may be said until it is answered.
    Negotiating,
    /// The next byte answers a request for encryption.
    Answering,
    Typed,
    Raw,
}

/// Finds messages in the bytes of one side.
#[derive(Clone, Debug)]
pub struct Framer {
    side: Side,
    phase: Phase,
    /// Bytes of the message under way that are still to come.
    rest: u64,
}

impl Framer {
    /// For a connection that has just been opened.
    #[must_use]
    pub const fn new(side: Side) -> Self {
        let phase = match side {
            Side::Frontend => Phase::Opening,
            Side::Backend => Phase::Typed,
        };
        Self { side, phase, rest: 0 }
    }

    /// Whether nothing can be read before the other side has answered.
    #[must_use]
    pub const fn is_negotiating(&self) -> bool {
        matches!(self.phase, Phase::Negotiating) && self.rest == 0
    }

    /// Whether a message has begun and not ended.
    #[must_use]
    pub const fn is_inside(&self) -> bool {
        self.rest > 0
    }

    /// Tells the server's framer that the client has asked for encryption.
    pub const fn expect_answer(&mut self) {
        self.phase = Phase::Answering;
    }

    /// Tells the client's framer what the server has answered.
    pub const fn answered(&mut self, encrypted: bool) {
        self.phase = if encrypted { Phase::Raw } else { Phase::Opening };
    }

    /// From the next message on, bytes are not told apart any more.
    pub const fn close_eyes(&mut self) {
        self.phase = Phase::Raw;
    }

    /// The next piece of what was read. `None`: more bytes are needed, fewer than 600 in all.
    /// What a piece took is not to be given again.
    ///
    /// # Errors
    ///
    /// Bytes that are none of the protocol. Nothing that follows makes sense.
    pub fn step(&mut self, bytes: &[u8]) -> Result<Option<Frame>, Malformed> {
        if bytes.is_empty() || self.is_negotiating() {
            return Ok(None);
        }
        if self.rest > 0 {
            return Ok(Some(self.go_on(bytes.len())));
        }
        if self.phase == Phase::Opening && bytes.first() == Some(&TLS_HANDSHAKE) {
            self.phase = Phase::Raw;
        }
        if self.phase == Phase::Answering && bytes.first() == Some(&b'E') {
            // Servers before encryption answer with an error.
            self.phase = Phase::Typed;
        }
        let start = match self.phase {
            Phase::Opening => self.opening(bytes)?,
            Phase::Answering => Some(self.answer(bytes)?),
            Phase::Typed => typed(self.side, bytes)?,
            Phase::Raw | Phase::Negotiating => {
                let total = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
                Some(Start { tag: Tag::Raw, total, body: 0..0 })
            }
        };
        let Some(start) = start else { return Ok(None) };
        self.rest = start.total;
        let frame = self.go_on(bytes.len());
        Ok(Some(Frame { begins: Some(start), ..frame }))
    }

    fn go_on(&mut self, there: usize) -> Frame {
        let length = usize::try_from(self.rest).unwrap_or(usize::MAX).min(there);
        self.rest -= u64::try_from(length).unwrap_or(self.rest);
        Frame { length, begins: None, ends: self.rest == 0 }
    }

    fn opening(&mut self, bytes: &[u8]) -> Result<Option<Start>, Malformed> {
        let Some(length) = number(bytes, 0) else { return Ok(None) };
        if !(8..=STARTUP_MAX).contains(&length) {
            return Err(malformed("the first packet has an impossible length"));
        }
        let Some(code) = number(bytes, 4) else { return Ok(None) };
        let (tag, next) = match (code, length) {
            (SSL_REQUEST, 8) => (Tag::SslRequest, Phase::Negotiating),
            (GSS_REQUEST, 8) => (Tag::GssRequest, Phase::Negotiating),
            (CANCEL_REQUEST, 12..) => (Tag::Cancel, Phase::Raw),
            (code, 9..) if code >> 16 == 3 => (Tag::Startup, Phase::Typed),
            _ => return Err(malformed("the first packet is of no known version")),
        };
        self.phase = next;
        Ok(Some(Start { tag, total: u64::from(length), body: OPENING_HEAD..OPENING_HEAD }))
    }

    fn answer(&mut self, bytes: &[u8]) -> Result<Start, Malformed> {
        let answer = bytes.first().copied().unwrap_or_default();
        self.phase = match answer {
            b'S' | b'G' => Phase::Raw,
            b'N' => Phase::Typed,
            _ => return Err(malformed("a request for encryption is answered by S, G or N")),
        };
        Ok(Start { tag: Tag::Answer(answer), total: 1, body: 0..0 })
    }
}

fn typed(side: Side, bytes: &[u8]) -> Result<Option<Start>, Malformed> {
    let letter = bytes.first().copied().unwrap_or_default();
    if !letter.is_ascii_alphanumeric() {
        return Err(malformed("a message begins with a letter"));
    }
    let Some(length) = number(bytes, 1) else { return Ok(None) };
    if !(4..=MESSAGE_MAX).contains(&length) {
        return Err(malformed("a message has an impossible length"));
    }
    let total = u64::from(length) + 1;
    let looked_at = match side {
        Side::Frontend => matches!(letter, b'Q' | b'P' | b'B' | b'E' | b'C'),
        Side::Backend => matches!(letter, b'C' | b'E' | b'Z'),
    };
    let whole = usize::try_from(total).unwrap_or(usize::MAX);
    let end = if looked_at { whole.min(LOOK_MAX) } else { HEAD };
    if bytes.len() < end {
        return Ok(None);
    }
    Ok(Some(Start { tag: Tag::Typed(letter), total, body: HEAD..end }))
}

/// The number of four bytes at a place, if they are there.
fn number(bytes: &[u8], at: usize) -> Option<u32> {
    let four = bytes.get(at..)?.first_chunk::<4>()?;
    Some(u32::from_be_bytes(*four))
}

fn malformed(reason: &'static str) -> Malformed {
    Malformed { protocol: PROTOCOL, reason }
}

#[cfg(test)]
#[path = "framer_tests.rs"]
mod tests;
