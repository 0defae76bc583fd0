//! Where a message of Redis begins and ends. Syntax only: it needs a number for each level of
//! nesting, whatever the length of a message.

use super::super::frame::{LOOK_MAX, Malformed};
use super::PROTOCOL;

/// How deep values may be nested.
const DEPTH_MAX: usize = 64;

/// The longest string, eight times what Redis allows (`proto-max-bulk-len`) unless it is told
/// otherwise.
const STRING_MAX: u64 = 8 * 512 * 1024 * 1024;

/// The longest line of a reply. `MONITOR` tells commands with all their arguments in a line.
const LINE_MAX: u64 = STRING_MAX;

/// The longest command in a line of its own (`PROTO_INLINE_MAX_SIZE`).
const INLINE_MAX: u64 = 64 * 1024;

/// The most elements of an aggregate (`INT_MAX` in the server).
const ELEMENTS_MAX: u64 = 0x7fff_ffff;

/// Whose messages they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The client's: commands.
    Client,
    /// The server's: replies and pushes.
    Server,
}

/// Bytes that belong to one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// How many, from the start of those that were given; at least 1.
    pub length: usize,
    /// If a message begins here: how many of the bytes may be looked at to see what it is.
    pub begins: Option<usize>,
    /// Whether it ends here.
    pub ends: bool,
}

/// Finds messages in the bytes of one side.
#[derive(Clone, Debug)]
pub struct Framer {
    side: Side,
    state: State,
    levels: Vec<Level>,
    raw: bool,
}

/// An aggregate whose elements are still to come.
#[derive(Clone, Copy, Debug)]
struct Level {
    left: u64,
    /// An attribute stands before a value and is none.
    attribute: bool,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// Before a message.
    Between,
    /// Before the type of an element.
    Type,
    /// In a line that ends with CR LF, or for a command with LF alone.
    Line { length: u64, most: u64, cr: bool, bare: bool },
    /// In a line with a number.
    Number { of: Counted, digits: u8, value: u64, negative: bool, cr: bool },
    /// In a string, with the CR LF behind it.
    String { left: u64 },
    /// Behind a string.
    StringCr,
    /// Behind it and its CR.
    StringLf,
}

/// What a number counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Counted {
    Bytes,
    Elements,
    Pairs,
    Attributes,
}

impl Framer {
    /// For a connection that has just been opened.
    #[must_use]
    pub const fn new(side: Side) -> Self {
        Self { side, state: State::Between, levels: Vec::new(), raw: false }
    }

    /// From the next message on, bytes are not told apart any more.
    pub const fn close_eyes(&mut self) {
        self.raw = true;
    }

    /// Whether bytes are told apart no more.
    #[must_use]
    pub const fn is_raw(&self) -> bool {
        self.raw && matches!(self.state, State::Between)
    }

    /// The next piece of what was read. `None`: more bytes are needed, fewer than 600 in all.
    /// What a piece took is not to be given again.
    ///
    /// # Errors
    ///
    /// Bytes that are none of the protocol. Nothing that follows makes sense.
    pub fn step(&mut self, bytes: &[u8]) -> Result<Option<Frame>, Malformed> {
        if bytes.is_empty() {
            return Ok(None);
        }
        if !matches!(self.state, State::Between) {
            let (length, ends) = self.run(bytes)?;
            return Ok(Some(Frame { length, begins: None, ends }));
        }
        if self.raw {
            return Ok(Some(Frame { length: bytes.len(), begins: Some(0), ends: true }));
        }
        let window = &bytes[..bytes.len().min(LOOK_MAX)];
        let (length, ends) = self.run(window)?;
        if !ends && window.len() < LOOK_MAX {
            self.state = State::Between;
            self.levels.clear();
            return Ok(None);
        }
        Ok(Some(Frame { length, begins: Some(length), ends }))
    }

    /// Reads up to the end of the message or of the bytes: how many, and whether it ended.
    fn run(&mut self, bytes: &[u8]) -> Result<(usize, bool), Malformed> {
        let mut at = 0;
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            if let State::String { left } = self.state {
                let there = u64::try_from(rest.len()).unwrap_or(u64::MAX);
                let skip = left.min(there);
                at += usize::try_from(skip).unwrap_or(rest.len());
                let left = left - skip;
                self.state = if left == 0 { State::StringCr } else { State::String { left } };
                continue;
            }
            if let State::Line { length, most, cr, bare } = self.state {
                let (used, ends) = line(rest, length, most, cr, bare, &mut self.state)?;
                at += used;
                if ends && self.value_ends() {
                    return Ok((at, true));
                }
                continue;
            }
            at += 1;
            if self.byte(rest[0])? && self.value_ends() {
                return Ok((at, true));
            }
        }
        Ok((at, false))
    }

    /// One byte outside of lines and strings; true when a value ends with it.
    fn byte(&mut self, byte: u8) -> Result<bool, Malformed> {
        match self.state {
            State::Between if self.side == Side::Client => {
                self.state = match byte {
                    b'*' => counting(Counted::Elements),
                    // The first byte may be the end of an empty line already.
                    b'\n' => return Ok(true),
                    _ => State::Line { length: 1, most: INLINE_MAX, cr: false, bare: true },
                };
                Ok(false)
            }
            State::Between | State::Type => {
                self.state = self.value_begins(byte)?;
                Ok(false)
            }
            State::Number { of, digits, value, negative, cr } => {
                self.number(byte, of, digits, value, negative, cr)
            }
            State::StringCr if byte == b'\r' => {
                self.state = State::StringLf;
                Ok(false)
            }
            State::StringLf if byte == b'\n' => Ok(true),
            _ => Err(malformed("a string does not end where it should")),
        }
    }

    fn value_begins(&self, kind: u8) -> Result<State, Malformed> {
        if self.side == Side::Client && kind != b'$' {
            return Err(malformed("a command consists of strings"));
        }
        Ok(match kind {
            b'+' | b'-' | b':' | b',' | b'#' | b'_' | b'(' => {
                State::Line { length: 0, most: LINE_MAX, cr: false, bare: false }
            }
            b'$' | b'=' | b'!' => counting(Counted::Bytes),
            b'*' | b'~' | b'>' => counting(Counted::Elements),
            b'%' => counting(Counted::Pairs),
            b'|' => counting(Counted::Attributes),
            _ => return Err(malformed("a value has no known type")),
        })
    }

    fn number(
        &mut self,
        byte: u8,
        of: Counted,
        digits: u8,
        value: u64,
        negative: bool,
        cr: bool,
    ) -> Result<bool, Malformed> {
        const DIGITS_MAX: u8 = 10;
        match byte {
            b'0'..=b'9' if !cr && digits < DIGITS_MAX => {
                let value = value * 10 + u64::from(byte - b'0');
                self.state = State::Number { of, digits: digits + 1, value, negative, cr };
                Ok(false)
            }
            b'-' if digits == 0 && !negative && !cr => {
                self.state = State::Number { of, digits, value, negative: true, cr };
                Ok(false)
            }
            b'\r' if digits > 0 && !cr => {
                self.state = State::Number { of, digits, value, negative, cr: true };
                Ok(false)
            }
            b'\n' if cr && negative => self.nothing(of, value),
            b'\n' if cr => self.counted(of, value),
            _ => Err(malformed("a length is no number")),
        }
    }

    /// A length of -1: no value, or for a client no command.
    fn nothing(&self, of: Counted, value: u64) -> Result<bool, Malformed> {
        let nullable = matches!(of, Counted::Bytes | Counted::Elements);
        let allowed = self.side == Side::Server || self.levels.is_empty();
        if value == 1 && nullable && allowed {
            return Ok(true);
        }
        Err(malformed("a length is negative"))
    }

    fn counted(&mut self, of: Counted, value: u64) -> Result<bool, Malformed> {
        let (most, left) = match of {
            Counted::Bytes => (STRING_MAX, value),
            Counted::Elements => (ELEMENTS_MAX, value),
            Counted::Pairs | Counted::Attributes => (ELEMENTS_MAX / 2, value * 2),
        };
        if value > most {
            return Err(malformed("a length is too great"));
        }
        if of == Counted::Bytes {
            self.state = if left == 0 { State::StringCr } else { State::String { left } };
            return Ok(false);
        }
        let attribute = of == Counted::Attributes;
        self.state = State::Type;
        if left == 0 {
            return Ok(!attribute);
        }
        if self.levels.len() >= DEPTH_MAX {
            return Err(malformed("values are nested too deeply"));
        }
        self.levels.push(Level { left, attribute });
        Ok(false)
    }

    /// A value is complete; true when the message is.
    fn value_ends(&mut self) -> bool {
        self.state = State::Type;
        while let Some(level) = self.levels.last_mut() {
            level.left -= 1;
            if level.left > 0 {
                return false;
            }
            let attribute = level.attribute;
            self.levels.pop();
            if attribute {
                return false;
            }
        }
        self.state = State::Between;
        true
    }
}

/// Reads on in a line: how many bytes, and whether the line ended.
fn line(
    bytes: &[u8],
    length: u64,
    most: u64,
    cr: bool,
    bare: bool,
    state: &mut State,
) -> Result<(usize, bool), Malformed> {
    let end = bytes.iter().position(|byte| *byte == b'\n');
    let before = end.unwrap_or(bytes.len());
    let length = length.saturating_add(u64::try_from(before).unwrap_or(u64::MAX));
    if length > most {
        return Err(malformed("a line is too long"));
    }
    let cr = if before == 0 { cr } else { bytes[before - 1] == b'\r' };
    if end.is_some() {
        if !cr && !bare {
            return Err(malformed("a line does not end with CR LF"));
        }
        return Ok((before + 1, true));
    }
    *state = State::Line { length, most, cr, bare };
    Ok((before, false))
}

const fn counting(of: Counted) -> State {
    State::Number { of, digits: 0, value: 0, negative: false, cr: false }
}

fn malformed(reason: &'static str) -> Malformed {
    Malformed { protocol: PROTOCOL, reason }
}

#[cfg(test)]
#[path = "framer_tests.rs"]
mod tests;
