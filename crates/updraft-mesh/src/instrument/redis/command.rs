//! What the beginning of a command or reply says: its words, as far as they are there.

use super::super::Text;

/// The words of a command, from its first bytes; the last one may be cut.
pub(super) fn words(bytes: &[u8]) -> Words<'_> {
    match bytes.first() {
        Some(b'*') => Words::Strings(after_line(bytes)),
        _ => Words::Line(bytes),
    }
}

/// The words one by one.
#[derive(Clone, Debug)]
pub(super) enum Words<'a> {
    /// As strings of a known length.
    Strings(&'a [u8]),
    /// As a line with spaces.
    Line(&'a [u8]),
}

impl<'a> Iterator for Words<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        match self {
            Self::Strings(bytes) => {
                let length = length(bytes)?;
                let body = after_line(bytes);
                let word = body.get(..length).unwrap_or(body);
                *bytes = body
                    .get(length..)
                    .and_then(|rest| rest.strip_prefix(b"\r\n"))
                    .unwrap_or_default();
                Some(word)
            }
            Self::Line(bytes) => {
                let start = bytes.trim_ascii_start();
                let end = start.iter().position(u8::is_ascii_whitespace).unwrap_or(start.len());
                let (word, rest) = start.split_at(end);
                *bytes = rest;
                (!word.is_empty()).then_some(word)
            }
        }
    }
}

/// All words in one text.
pub(super) fn text(bytes: &[u8]) -> Text {
    let mut text = Text::EMPTY;
    for word in words(bytes) {
        if !text.is_empty() {
            text.push(b" ");
        }
        text.push(word);
    }
    text
}

/// How many elements an aggregate has.
pub(super) fn elements(bytes: &[u8]) -> Option<u64> {
    number(bytes.get(1..)?)
}

/// The first line, without its type.
pub(super) fn line(bytes: &[u8]) -> &[u8] {
    let rest = bytes.get(1..).unwrap_or_default();
    let end = rest.iter().position(|byte| *byte == b'\r').unwrap_or(rest.len());
    &rest[..end]
}

/// The integer behind the words of a message of a subscription: how many there are now.
pub(super) fn subscriptions(bytes: &[u8]) -> Option<u64> {
    let mut words = words_of_reply(bytes);
    words.next()?;
    let rest = match words {
        Words::Strings(rest) | Words::Line(rest) => rest,
    };
    // The channel is a string, or nothing at all.
    let rest = match rest.strip_prefix(b"$-1\r\n").or_else(|| rest.strip_prefix(b"_\r\n")) {
        Some(rest) => rest,
        None => after_line(rest).get(length(rest)?..)?.strip_prefix(b"\r\n")?,
    };
    number(rest.strip_prefix(b":")?)
}

/// The words of an array or push, up to the first element that is no string.
pub(super) fn words_of_reply(bytes: &[u8]) -> Words<'_> {
    Words::Strings(after_line(bytes))
}

/// The length of a string that begins here.
fn length(bytes: &[u8]) -> Option<usize> {
    number(bytes.strip_prefix(b"$")?).and_then(|length| usize::try_from(length).ok())
}

fn number(bytes: &[u8]) -> Option<u64> {
    let end = bytes.iter().position(|byte| *byte == b'\r')?;
    std::str::from_utf8(&bytes[..end]).ok()?.parse().ok()
}

fn after_line(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |end| end + 1);
    &bytes[end..]
}
