//! Which reply belongs to which command: they come in order, but for what is pushed, for
//! subscriptions, for `MONITOR` and for clients that want no replies.

use std::collections::VecDeque;

use super::super::frame::{Begin, Malformed, Piece};
use super::super::{Direction, Message, Role, Text};
use super::command;
use super::framer::{Framer, Side};

/// The most commands without a reply whose words are known. Those beyond are only counted, so
/// that a client may send a pipeline of any length before it reads.
const PENDING_MAX: usize = 4096;

/// Both directions of one connection.
#[derive(Debug)]
pub(in super::super) struct Session {
    client: Framer,
    server: Framer,
    pending: VecDeque<Pending>,
    /// Commands behind those whose words are known.
    unknown: u64,
    replies: Replies,
    subscribed: bool,
    monitoring: bool,
    opaque: bool,
}

#[derive(Clone, Copy, Debug)]
struct Pending {
    asked: Asked,
    text: Text,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Command,
    /// `SUBSCRIBE`, `UNSUBSCRIBE` and their kin, with so many confirmations to come.
    Subscription {
        left: u64,
        first: bool,
    },
    Monitor,
    Reset,
    /// `SYNC` and `PSYNC`: what follows is the protocol of replication.
    Replicate,
}

/// `CLIENT REPLY`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Replies {
    On,
    Off,
    SkipNext,
}

const SUBSCRIPTIONS: [&[u8]; 6] =
    [b"SUBSCRIBE", b"PSUBSCRIBE", b"SSUBSCRIBE", b"UNSUBSCRIBE", b"PUNSUBSCRIBE", b"SUNSUBSCRIBE"];

const PUBLISHED: [&[u8]; 3] = [b"message", b"pmessage", b"smessage"];

impl Session {
    pub(in super::super) const fn new() -> Self {
        Self {
            client: Framer::new(Side::Client),
            server: Framer::new(Side::Server),
            pending: VecDeque::new(),
            unknown: 0,
            replies: Replies::On,
            subscribed: false,
            monitoring: false,
            opaque: false,
        }
    }

    /// Whether messages can be told apart no more.
    pub(in super::super) const fn is_opaque(&self) -> bool {
        self.opaque
    }

    pub(in super::super) fn step(
        &mut self,
        direction: Direction,
        bytes: &[u8],
    ) -> Result<Option<Piece>, Malformed> {
        let framer = match direction {
            Direction::Request => &mut self.client,
            Direction::Response => &mut self.server,
        };
        let raw = framer.is_raw();
        let Some(frame) = framer.step(bytes)? else { return Ok(None) };
        let begins = frame.begins.map(|look| match direction {
            Direction::Request if raw => begin(direction, "Bytes", Role::Request),
            Direction::Response if raw => begin(direction, "Bytes", Role::Reply),
            Direction::Request => self.asks(&bytes[..look]),
            Direction::Response => self.answers(&bytes[..look]),
        });
        Ok(Some(Piece { length: frame.length, begins, ends: frame.ends }))
    }

    fn asks(&mut self, bytes: &[u8]) -> Begin {
        let text = command::text(bytes);
        let inline = bytes.first() != Some(&b'*');
        let kind = if inline { "inline command" } else { "command" };
        let mut begin = begin(Direction::Request, kind, Role::Request);
        begin.message.text = text;
        let mut words = command::words(bytes);
        let Some(name) = words.next() else {
            // An empty line or array: no command, and no reply.
            begin.message.role = Role::Part;
            return begin;
        };
        let is = |other: &[u8]| name.eq_ignore_ascii_case(other);
        if is(b"CLIENT") && self.switches_replies(&mut words) {
            return begin;
        }
        match self.replies {
            Replies::On => {}
            Replies::Off => return begin,
            Replies::SkipNext => {
                self.replies = Replies::On;
                return begin;
            }
        }
        let asked = if SUBSCRIPTIONS.iter().any(|other| is(other)) {
            let channels = if inline {
                words.count().try_into().unwrap_or(u64::MAX)
            } else {
                command::elements(bytes).unwrap_or(1).saturating_sub(1)
            };
            Asked::Subscription { left: channels.max(1), first: true }
        } else if is(b"MONITOR") {
            Asked::Monitor
        } else if is(b"RESET") {
            Asked::Reset
        } else if is(b"SYNC") || is(b"PSYNC") {
            self.client.close_eyes();
            self.opaque = true;
            Asked::Replicate
        } else {
            Asked::Command
        };
        self.expect(asked, text);
        begin
    }

    /// `CLIENT REPLY ON|OFF|SKIP`; true when it has no reply itself.
    fn switches_replies(&mut self, words: &mut command::Words<'_>) -> bool {
        if !words.next().is_some_and(|word| word.eq_ignore_ascii_case(b"REPLY")) {
            return false;
        }
        let mode = words.next().unwrap_or_default().to_ascii_uppercase();
        match mode.as_slice() {
            b"ON" => {
                self.replies = Replies::On;
                false
            }
            b"OFF" => {
                self.replies = Replies::Off;
                true
            }
            b"SKIP" => {
                if self.replies != Replies::Off {
                    self.replies = Replies::SkipNext;
                }
                true
            }
            _ => false,
        }
    }

    fn expect(&mut self, asked: Asked, text: Text) {
        if self.unknown > 0 || self.pending.len() >= PENDING_MAX {
            self.unknown += 1;
        } else {
            self.pending.push_back(Pending { asked, text });
        }
    }

    fn answers(&mut self, bytes: &[u8]) -> Begin {
        let kind = bytes.first().copied().unwrap_or_default();
        let mut begin = begin(Direction::Response, reply_kind(kind), Role::Aside);
        if matches!(kind, b'+' | b'-') {
            begin.message.text = Text::of(command::line(bytes));
        }
        let word = matches!(kind, b'*' | b'>')
            .then(|| command::words_of_reply(bytes).next())
            .flatten()
            .unwrap_or_default();
        if self.confirms(kind, word, bytes, &mut begin) {
            return begin;
        }
        if self.is_aside(kind, word, bytes) {
            return begin;
        }
        let Some(head) = self.pending.pop_front() else {
            if self.unknown > 0 {
                self.unknown -= 1;
                begin.message.role = Role::Reply;
            }
            return begin;
        };
        begin.message.role = Role::Reply;
        begin.message.asked = head.text;
        match head.asked {
            Asked::Monitor => self.monitoring = kind == b'+',
            Asked::Reset => {
                self.subscribed = false;
                self.monitoring = false;
            }
            Asked::Replicate => self.server.close_eyes(),
            Asked::Command | Asked::Subscription { .. } => {}
        }
        begin
    }

    /// Whether nobody asked for the message.
    fn is_aside(&mut self, kind: u8, word: &[u8], bytes: &[u8]) -> bool {
        let is = |other: &&[u8]| word.eq_ignore_ascii_case(other);
        match kind {
            b'>' => true,
            b'+' => self.monitoring && bytes.get(1).is_some_and(u8::is_ascii_digit),
            b'*' if self.subscribed && SUBSCRIPTIONS.iter().any(is) => {
                // More confirmations than there were channels in the command.
                self.count_subscriptions(bytes);
                true
            }
            b'*' => self.subscribed && PUBLISHED.iter().any(is),
            _ => false,
        }
    }

    /// In RESP2 a connection with subscriptions is one that gets messages unasked. In RESP3
    /// they are pushed and need no such care.
    fn count_subscriptions(&mut self, bytes: &[u8]) {
        self.subscribed = command::subscriptions(bytes).is_none_or(|count| count > 0);
    }

    /// Whether the message confirms a subscription or its end.
    fn confirms(&mut self, kind: u8, word: &[u8], bytes: &[u8], begin: &mut Begin) -> bool {
        if !matches!(kind, b'*' | b'>') {
            return false;
        }
        let Some(head) = self.pending.front_mut() else { return false };
        let Asked::Subscription { left, first } = head.asked else { return false };
        let name = head.text.as_bytes().split(|byte| *byte == b' ').next().unwrap_or_default();
        if !name.eq_ignore_ascii_case(word) {
            return false;
        }
        head.asked = Asked::Subscription { left: left - 1, first: false };
        begin.message.asked = head.text;
        begin.message.role = if first { Role::Reply } else { Role::Part };
        begin.completes_reply = left == 1;
        if left == 1 {
            self.pending.pop_front();
        }
        if kind == b'*' {
            self.count_subscriptions(bytes);
        }
        true
    }
}

const fn begin(direction: Direction, kind: &'static str, role: Role) -> Begin {
    let message = Message { direction, kind, role, text: Text::EMPTY, asked: Text::EMPTY };
    Begin { message, completes_request: true, completes_reply: true }
}

const fn reply_kind(kind: u8) -> &'static str {
    match kind {
        b'+' => "simple string",
        b'-' => "error",
        b':' => "integer",
        b'$' => "bulk string",
        b'*' => "array",
        b'_' => "null",
        b'#' => "boolean",
        b',' => "double",
        b'(' => "big number",
        b'!' => "bulk error",
        b'=' => "verbatim string",
        b'%' => "map",
        b'~' => "set",
        b'>' => "push",
        b'|' => "attribute",
        _ => "unknown",
    }
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
