//! The line before a chunk (RFC 9112, 7.1), whose many spellings servers read in many ways.

use memchr::memchr;

use super::line::whole_line;
use super::rule::Rule;

/// Bytes of the extensions of one chunk.
const EXTENSION_BYTES: usize = 256;
/// Bytes of the extensions of one body: many small chunks with extensions are much to read
/// and little to pass on (CVE-2023-39326).
pub(super) const BODY_EXTENSION_BYTES: usize = 4 * 1024;
/// Hexadecimal digits of a size: as many as a signed number of 64 bits has room for.
const SIZE_DIGITS: usize = 15;
/// Bytes of a line, with CR and LF.
const LINE_BYTES: usize = SIZE_DIGITS + EXTENSION_BYTES + 2;

/// A whole line before a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ChunkLine {
    /// Its own bytes.
    pub(super) bytes: usize,
    /// Those of the chunk.
    pub(super) size: u64,
    /// Those of the extensions.
    pub(super) extension: usize,
}

/// Reads the line that `bytes` begin with; `None`: it has not ended yet.
pub(super) fn line(bytes: &[u8]) -> Result<Option<ChunkLine>, Rule> {
    let window = &bytes[..bytes.len().min(LINE_BYTES)];
    let Some(end) = memchr(b'\n', window) else {
        if window.len() < LINE_BYTES {
            return Ok(None);
        }
        digits(window)?;
        return Err(Rule::ChunkExtensionTooLong);
    };
    let text = whole_line(&window[..end])?;
    let (size, count) = digits(text)?;
    let extension = text.len() - count;
    match text.get(count) {
        None | Some(b';') => {}
        Some(_) => return Err(Rule::InvalidChunkSize),
    }
    if !is_extension(&text[count..]) {
        return Err(Rule::InvalidChunkExtension);
    }
    Ok(Some(ChunkLine { bytes: end + 1, size, extension }))
}

fn digits(text: &[u8]) -> Result<(u64, usize), Rule> {
    let count = text.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    if count == 0 || count > SIZE_DIGITS {
        return Err(Rule::InvalidChunkSize);
    }
    let size = text[..count].iter().fold(0_u64, |size, byte| {
        let digit = char::from(*byte).to_digit(16).unwrap_or(0);
        size << 4 | u64::from(digit)
    });
    Ok((size, count))
}

/// Nothing, or `;` and plain text; a name must come, or `0;` and `0` would differ in nothing.
fn is_extension(text: &[u8]) -> bool {
    match text {
        [] => true,
        [b';', rest @ ..] => !rest.is_empty() && rest.is_ascii(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_plain_hexadecimal_numbers() {
        let size = |text: &[u8]| line(text).map(|line| line.map(|line| line.size));
        for (text, want) in [
            (&b"0\r\n"[..], Ok(Some(0))),
            (b"a\r\n", Ok(Some(10))),
            (b"1F;name=value\r\n", Ok(Some(31))),
            (b"7ffffffffffffff\r\n", Ok(Some(0x7ff_ffff_ffff_ffff))),
            (b"a\r", Ok(None)),
            (b"a\n", Err(Rule::BareLf)),
            (b"\r\n", Err(Rule::InvalidChunkSize)),
            (b"0x1\r\n", Err(Rule::InvalidChunkSize)),
            (b"+1\r\n", Err(Rule::InvalidChunkSize)),
            (b"-1\r\n", Err(Rule::InvalidChunkSize)),
            (b" 1\r\n", Err(Rule::InvalidChunkSize)),
            (b"1 \r\n", Err(Rule::InvalidChunkSize)),
            (b"1 ;a\r\n", Err(Rule::InvalidChunkSize)),
            (b"1_0\r\n", Err(Rule::InvalidChunkSize)),
            (b"1;\r\n", Err(Rule::InvalidChunkExtension)),
            (b"1;\xff\r\n", Err(Rule::InvalidChunkExtension)),
            (b"1\r1\r\n", Err(Rule::BareCr)),
            (b"1;a\0\r\n", Err(Rule::ControlByte)),
            (b"10000000000000000\r\n", Err(Rule::InvalidChunkSize)),
        ] {
            assert_eq!(size(text), want, "{}", text.escape_ascii());
        }
    }

    #[test]
    fn extensions_end_within_their_bound() {
        let text = |length: usize| [b"1;", "e".repeat(length).as_bytes(), b"\r\n"].concat();
        assert!(line(&text(EXTENSION_BYTES - 1)).is_ok());
        assert_eq!(line(&text(LINE_BYTES)), Err(Rule::ChunkExtensionTooLong));
    }
}
