//! Which answer belongs to which statement: the rules of the simple and of the extended query
//! protocol, with pipelines, errors and COPY.

use std::collections::VecDeque;

use super::super::frame::{Begin, Malformed, Piece};
use super::super::{Direction, Message, Role, Text};
use super::framer::{Framer, Side, Start, Tag};
use super::statements::Statements;

/// The most messages that may wait for their answer; until some have come, no further ones are
/// read from the client. A server that is not listened to does not read on either.
const PENDING_MAX: usize = 4096;

/// Both directions of one connection.
#[derive(Debug)]
pub(in super::super) struct Session {
    frontend: Framer,
    backend: Framer,
    pending: VecDeque<Pending>,
    statements: Statements,
    /// After an error in the extended protocol the server drops everything up to `Sync`.
    dropping: bool,
    /// While it takes in a COPY, the server does not answer `Sync`.
    copying: bool,
    opaque: bool,
}

/// What the client has sent and the server has not finished to answer.
#[derive(Clone, Copy, Debug)]
struct Pending {
    what: Asked,
    text: Text,
    /// Whether the answer has begun.
    begun: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Startup,
    Query,
    Function,
    Parse,
    Bind,
    Describe,
    Close,
    Execute,
    Sync,
    /// `CopyDone` or `CopyFail`: no answer of its own, only a place in the order.
    CopyEnd,
}

impl Asked {
    /// Whether `ReadyForQuery` ends its answer.
    const fn ends_ready(self) -> bool {
        matches!(self, Self::Startup | Self::Query | Self::Function | Self::Sync)
    }

    const fn is_request(self) -> bool {
        matches!(self, Self::Query | Self::Function | Self::Execute)
    }
}

impl Session {
    pub(in super::super) fn new() -> Self {
        Self {
            frontend: Framer::new(Side::Frontend),
            backend: Framer::new(Side::Backend),
            pending: VecDeque::new(),
            statements: Statements::default(),
            dropping: false,
            copying: false,
            opaque: false,
        }
    }

    /// Whether messages can be told apart no more.
    pub(in super::super) const fn is_opaque(&self) -> bool {
        self.opaque
    }

    /// Whether the client's bytes have to wait for the server.
    pub(in super::super) fn waits(&self) -> bool {
        let full = self.pending.len() >= PENDING_MAX && !self.frontend.is_inside();
        full || self.frontend.is_negotiating()
    }

    pub(in super::super) fn step(
        &mut self,
        direction: Direction,
        bytes: &[u8],
    ) -> Result<Option<Piece>, Malformed> {
        let frame = match direction {
            Direction::Request if self.waits() => return Ok(None),
            Direction::Request => self.frontend.step(bytes)?,
            Direction::Response => self.backend.step(bytes)?,
        };
        let Some(frame) = frame else { return Ok(None) };
        let begins = frame.begins.map(|start| {
            let body = &bytes[start.body.clone()];
            match direction {
                Direction::Request => self.asks(&start, body),
                Direction::Response => self.answers(&start, body),
            }
        });
        Ok(Some(Piece { length: frame.length, begins, ends: frame.ends }))
    }

    fn asks(&mut self, start: &Start, body: &[u8]) -> Begin {
        let letter = match start.tag {
            Tag::Typed(letter) => letter,
            other => return self.opens(other),
        };
        let (what, text) = match letter {
            b'Q' => (Some(Asked::Query), Text::of_sql(without_zero(body))),
            b'F' => (Some(Asked::Function), Text::EMPTY),
            b'P' => (Some(Asked::Parse), self.statements.parse(body)),
            b'B' => (Some(Asked::Bind), self.statements.bind(body)),
            b'D' => (Some(Asked::Describe), Text::EMPTY),
            b'E' => (Some(Asked::Execute), self.statements.execute(body)),
            b'S' => (Some(Asked::Sync), Text::EMPTY),
            b'c' | b'f' => (Some(Asked::CopyEnd), Text::EMPTY),
            b'C' => {
                self.statements.close(body);
                (Some(Asked::Close), Text::EMPTY)
            }
            _ => (None, Text::EMPTY),
        };
        if let Some(what) = what {
            self.expect(what, text);
        }
        let request = what.is_some_and(Asked::is_request);
        Begin {
            message: Message {
                direction: Direction::Request,
                kind: frontend_kind(letter),
                role: if request { Role::Request } else { Role::Part },
                text,
                asked: Text::EMPTY,
            },
            completes_request: matches!(letter, b'Q' | b'F' | b'S' | b'H'),
            completes_reply: false,
        }
    }

    fn opens(&mut self, tag: Tag) -> Begin {
        let (kind, role) = match tag {
            Tag::SslRequest | Tag::GssRequest => {
                self.backend.expect_answer();
                let kind = if tag == Tag::SslRequest { "SSLRequest" } else { "GSSENCRequest" };
                (kind, Role::Part)
            }
            Tag::Cancel => ("CancelRequest", Role::Part),
            Tag::Startup => {
                self.expect(Asked::Startup, Text::EMPTY);
                ("StartupMessage", Role::Part)
            }
            _ => {
                self.close_eyes();
                ("Bytes", Role::Request)
            }
        };
        begin(Direction::Request, kind, role)
    }

    fn expect(&mut self, what: Asked, text: Text) {
        match what {
            Asked::CopyEnd if self.copying => {
                self.copying = false;
                return;
            }
            Asked::CopyEnd if self.pending.is_empty() => return,
            Asked::Sync if self.copying => return,
            Asked::Sync => self.dropping = false,
            _ if self.dropping => return,
            _ => {}
        }
        self.pending.push_back(Pending { what, text, begun: false });
    }

    fn answers(&mut self, start: &Start, body: &[u8]) -> Begin {
        let letter = match start.tag {
            Tag::Typed(letter) => letter,
            Tag::Answer(answer) => {
                let encrypted = answer != b'N';
                self.frontend.answered(encrypted);
                if encrypted {
                    self.close_eyes();
                }
                return begin(Direction::Response, "EncryptionResponse", Role::Part);
            }
            _ => return begin(Direction::Response, "Bytes", Role::Reply),
        };
        if self.frontend.is_negotiating() {
            // An error in place of the answer: the server ends the connection next.
            self.frontend.answered(false);
        }
        while self.pending.front().is_some_and(|head| head.what == Asked::CopyEnd) {
            self.pending.pop_front();
        }
        let text = match letter {
            b'C' => Text::of(without_zero(body)),
            b'E' => error(body),
            b'Z' => Text::of(body),
            _ => Text::EMPTY,
        };
        let mut message = Message {
            direction: Direction::Response,
            kind: backend_kind(letter),
            role: Role::Aside,
            text,
            asked: Text::EMPTY,
        };
        let mut completes_reply = false;
        if !matches!(letter, b'N' | b'S' | b'A')
            && let Some(head) = self.pending.front_mut()
        {
            message.asked = head.text;
            message.role = Role::Part;
            if head.what.is_request() && letter != b'Z' && !head.begun {
                head.begun = true;
                message.role = Role::Reply;
            }
            completes_reply = self.settles(letter, body);
        }
        Begin { message, completes_request: false, completes_reply }
    }

    /// Takes from what is pending what this message answers, and says whether an answer to a
    /// request ends with it.
    fn settles(&mut self, letter: u8, body: &[u8]) -> bool {
        let Some(what) = self.pending.front().map(|head| head.what) else { return false };
        match (letter, what) {
            (b'Z', _) => {
                if body == b"I" {
                    self.statements.end_transaction();
                }
                while let Some(head) = self.pending.pop_front() {
                    if head.what.ends_ready() {
                        return head.what.is_request();
                    }
                }
                false
            }
            (b'E', what) if !what.ends_ready() => {
                self.copying = false;
                self.fail();
                what.is_request()
            }
            (b'C' | b'I' | b's', Asked::Execute) => {
                self.pending.pop_front();
                true
            }
            (b'1', Asked::Parse)
            | (b'2', Asked::Bind)
            | (b'3', Asked::Close)
            | (b'T' | b'n', Asked::Describe) => {
                self.pending.pop_front();
                false
            }
            (b'G', Asked::Execute) => {
                self.take_in();
                false
            }
            _ => false,
        }
    }

    /// An error in the extended protocol: everything up to the next `Sync` has no answer.
    fn fail(&mut self) {
        while self.pending.front().is_some_and(|head| head.what != Asked::Sync) {
            self.pending.pop_front();
        }
        self.dropping = self.pending.is_empty();
    }

    /// COPY FROM STDIN in the extended protocol: the server does not answer a `Sync` that
    /// comes before the end of the data.
    fn take_in(&mut self) {
        let end = self.pending.iter().position(|entry| entry.what == Asked::CopyEnd);
        let until = end.unwrap_or(self.pending.len());
        let mut at = 0;
        self.pending.retain(|entry| {
            at += 1;
            at > until || entry.what != Asked::Sync
        });
        self.copying = end.is_none();
    }

    fn close_eyes(&mut self) {
        self.frontend.close_eyes();
        self.backend.close_eyes();
        self.opaque = true;
    }
}

const fn begin(direction: Direction, kind: &'static str, role: Role) -> Begin {
    let message = Message { direction, kind, role, text: Text::EMPTY, asked: Text::EMPTY };
    Begin { message, completes_request: true, completes_reply: true }
}

fn without_zero(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    &bytes[..end]
}

/// Severity and SQLSTATE of an `ErrorResponse`: fields of a letter and a string each.
fn error(body: &[u8]) -> Text {
    let field = |letter: u8| {
        let mut fields = body.split(|byte| *byte == 0);
        fields.find_map(|field| field.strip_prefix(&[letter])).unwrap_or_default()
    };
    let mut text = Text::of(field(b'S'));
    text.push(b" ");
    text.push(field(b'C'));
    text
}

const fn frontend_kind(letter: u8) -> &'static str {
    match letter {
        b'B' => "Bind",
        b'C' => "Close",
        b'D' => "Describe",
        b'E' => "Execute",
        b'F' => "FunctionCall",
        b'H' => "Flush",
        b'P' => "Parse",
        b'Q' => "Query",
        b'S' => "Sync",
        b'X' => "Terminate",
        b'c' => "CopyDone",
        b'd' => "CopyData",
        b'f' => "CopyFail",
        b'p' => "Password",
        _ => "unknown",
    }
}

const fn backend_kind(letter: u8) -> &'static str {
    match letter {
        b'1' => "ParseComplete",
        b'2' => "BindComplete",
        b'3' => "CloseComplete",
        b'A' => "NotificationResponse",
        b'C' => "CommandComplete",
        b'D' => "DataRow",
        b'E' => "ErrorResponse",
        b'G' => "CopyInResponse",
        b'H' => "CopyOutResponse",
        b'I' => "EmptyQueryResponse",
        b'K' => "BackendKeyData",
        b'N' => "NoticeResponse",
        b'R' => "Authentication",
        b'S' => "ParameterStatus",
        b'T' => "RowDescription",
        b'V' => "FunctionCallResponse",
        b'W' => "CopyBothResponse",
        b'Z' => "ReadyForQuery",
        b'c' => "CopyDone",
        b'd' => "CopyData",
        b'n' => "NoData",
        b's' => "PortalSuspended",
        b't' => "ParameterDescription",
        b'v' => "NegotiateProtocolVersion",
        _ => "unknown",
    }
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
