//! Follows the answers that hyper writes, to know when one has begun, when it has ended, and
//! whether it gave the connection to another protocol. Hyper does not tell.

use memchr::memchr;
use memchr::memmem;

use super::scan::Request;

/// The answer to the one request that hyper has.
#[derive(Debug, Default)]
pub(super) struct Answers {
    request: Request,
    state: State,
    /// The begin of a head that was written in parts.
    head: Vec<u8>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// None is owed.
    #[default]
    Done,
    Head,
    Length(u64),
    Chunks(Chunks),
    UntilClose,
    Switched,
}

/// Within a chunked body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Chunks {
    Size(u64),
    SizeEnd(u64),
    Data(u64),
    /// Bytes since the last LF, in the trailer section, without CR.
    Trailers(u32),
}

impl Answers {
    /// Hyper has got this request.
    pub(super) fn owe(&mut self, request: Request) {
        (self.request, self.state) = (request, State::Head);
    }

    /// Whether nothing is owed.
    pub(super) fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Whether the owed answer has not begun; interim answers do not count.
    pub(super) fn is_untouched(&self) -> bool {
        self.state == State::Head && self.head.is_empty()
    }

    /// Whether the connection speaks another protocol now.
    pub(super) fn is_switched(&self) -> bool {
        self.state == State::Switched
    }

    /// These bytes were written.
    pub(super) fn wrote(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let used = match self.state {
                State::Done | State::UntilClose | State::Switched => return,
                State::Head => self.head(bytes),
                State::Length(left) => {
                    let used = clamp(left, bytes.len());
                    let left = left - used as u64;
                    self.state = if left == 0 { State::Done } else { State::Length(left) };
                    used
                }
                State::Chunks(at) => {
                    let (next, used) = chunks(at, bytes);
                    self.state = next.map_or(State::Done, State::Chunks);
                    used
                }
            };
            bytes = &bytes[used..];
        }
    }

    /// Bytes of memory in use.
    #[cfg(test)]
    pub(super) fn kept(&self) -> usize {
        self.head.capacity()
    }

    fn head(&mut self, bytes: &[u8]) -> usize {
        const END: &[u8] = b"\r\n\r\n";
        if self.head.is_empty()
            && let Some(end) = memmem::find(bytes, END)
        {
            self.state = framing(&bytes[..end + 2], self.request);
            return end + END.len();
        }
        // The end may lie across the border of two writes.
        let before = self.head.len();
        self.head.extend_from_slice(bytes);
        let Some(end) = memmem::find(&self.head[before.saturating_sub(3)..], END) else {
            return bytes.len();
        };
        let end = end + before.saturating_sub(3);
        let head = std::mem::take(&mut self.head);
        self.state = framing(&head[..end + 2], self.request);
        end + END.len() - before
    }
}

fn clamp(left: u64, length: usize) -> usize {
    usize::try_from(left).unwrap_or(usize::MAX).min(length)
}

/// How the answer goes on behind this head (RFC 9112, 6.3).
fn framing(head: &[u8], request: Request) -> State {
    let status = head.get(9..12).unwrap_or_default();
    match status {
        b"101" if request.upgrade => return State::Switched,
        [b'1', ..] => return State::Head,
        b"204" | b"304" => return State::Done,
        _ if request.head => return State::Done,
        _ => {}
    }
    let mut rest = head;
    let mut state = State::UntilClose;
    while let Some(end) = memchr(b'\n', rest) {
        let line = &rest[..end];
        rest = &rest[end + 1..];
        if let Some(value) = value_of(line, b"content-length:") {
            let digits = value.iter().filter(|byte| byte.is_ascii_digit());
            let length = digits.fold(0_u64, |number, digit| {
                number.saturating_mul(10).saturating_add(u64::from(digit - b'0'))
            });
            state = if length == 0 { State::Done } else { State::Length(length) };
        } else if let Some(value) = value_of(line, b"transfer-encoding:")
            && value.to_ascii_lowercase().windows(7).any(|part| part == b"chunked")
        {
            return State::Chunks(Chunks::Size(0));
        }
    }
    state
}

fn value_of<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let (start, value) = line.split_at_checked(name.len())?;
    start.eq_ignore_ascii_case(name).then_some(value)
}

/// One step in a chunked body; `None`: it has ended.
fn chunks(at: Chunks, bytes: &[u8]) -> (Option<Chunks>, usize) {
    let byte = bytes[0];
    let next = match at {
        Chunks::Data(left) => {
            let used = clamp(left, bytes.len());
            let left = left - used as u64;
            return (Some(if left == 0 { Chunks::Size(0) } else { Chunks::Data(left) }), used);
        }
        Chunks::Size(size) => match char::from(byte).to_digit(16) {
            Some(digit) => Chunks::Size(size << 4 | u64::from(digit)),
            None => Chunks::SizeEnd(size),
        },
        Chunks::SizeEnd(0) if byte == b'\n' => Chunks::Trailers(0),
        // With the CR and LF behind the data.
        Chunks::SizeEnd(size) if byte == b'\n' => Chunks::Data(size.saturating_add(2)),
        Chunks::SizeEnd(size) => Chunks::SizeEnd(size),
        Chunks::Trailers(0) if byte == b'\n' => return (None, 1),
        Chunks::Trailers(_) if byte == b'\n' => Chunks::Trailers(0),
        Chunks::Trailers(count) if byte == b'\r' => Chunks::Trailers(count),
        Chunks::Trailers(count) => Chunks::Trailers(count.saturating_add(1)),
    };
    (Some(next), 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Request = Request { head: false, upgrade: false };

    /// The number of bytes of `text` after which the answer is done.
    fn ends_at(text: &[u8], request: Request, step: usize) -> Option<usize> {
        let mut answers = Answers::default();
        answers.owe(request);
        text.chunks(step).enumerate().find_map(|(index, part)| {
            answers.wrote(part);
            answers.is_done().then_some((index * step + part.len()).min(text.len()))
        })
    }

    #[test]
    fn the_end_is_where_the_framing_says_however_it_is_cut() {
        let head = Request { head: true, ..PLAIN };
        for (text, request, ends) in [
            (&b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc"[..], PLAIN, true),
            (b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nabc", PLAIN, false),
            (b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n", head, true),
            (b"HTTP/1.1 204 No Content\r\n\r\n", PLAIN, true),
            (b"HTTP/1.1 304 Not Modified\r\ncontent-length: 4\r\n\r\n", PLAIN, true),
            (b"HTTP/1.1 200 OK\r\n\r\nabc", PLAIN, false),
            (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\nA\r\n0123456789\r\n0\r\n\r\n", PLAIN, true),
            (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\na: b\r\nc: d\r\n\r\n", PLAIN, true),
            (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\na: b\r\n", PLAIN, false),
            (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", PLAIN, true),
            (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", PLAIN, false),
        ] {
            for step in 1..=text.len() {
                let at = ends_at(text, request, step);
                assert_eq!(at, ends.then_some(text.len()), "{} by {step}", text.escape_ascii());
            }
        }
    }

    #[test]
    fn a_101_that_nobody_asked_for_switches_nothing() {
        let mut answers = Answers::default();
        answers.owe(PLAIN);
        answers.wrote(b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\n\r\n");
        assert!(!answers.is_switched() && !answers.is_done());
    }

    #[test]
    fn an_interim_answer_is_no_begin_and_an_asked_101_switches() {
        let mut answers = Answers::default();
        answers.owe(Request { upgrade: true, ..PLAIN });
        answers.wrote(b"HTTP/1.1 100 Continue\r\n\r\n");
        assert!(answers.is_untouched());
        answers.wrote(b"HTTP/1.1 101");
        assert!(!answers.is_untouched() && !answers.is_switched());
        answers.wrote(b" Switching Protocols\r\nupgrade: websocket\r\n\r\n\x81\x00");
        assert!(answers.is_switched());
    }
}
