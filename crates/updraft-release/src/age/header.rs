//! The text at the beginning of a file: who can open it, and a code that vouches for that.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use ring::hmac;

use super::{AgeError, FileKey, header_key};

const VERSION: &[u8] = b"age-encryption.org/v1";
/// Stands before the code.
const END: &str = "---";
/// Characters of a line of a stanza's body; one that is shorter is the last.
const BODY_COLUMNS: usize = 64;
/// Lines of a header that are read.
const LINES_MAX: usize = 1024;

/// A header, without its code.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) stanzas: Vec<Stanza>,
}

/// What one recipient finds the file's key in.
#[derive(Debug)]
pub(super) struct Stanza {
    pub(super) arguments: Vec<String>,
    pub(super) body: Vec<u8>,
}

impl Header {
    /// Reads the header of a file; also tells where its payload begins.
    pub(super) fn parse(file: &[u8]) -> Result<(Self, usize), AgeError> {
        let mut lines = Lines { file, at: 0, left: LINES_MAX };
        if lines.next()? != VERSION {
            return Err(AgeError::Format);
        }
        let mut stanzas = Vec::new();
        loop {
            let line = std::str::from_utf8(lines.next()?).map_err(|_not_text| AgeError::Format)?;
            match line.split_once(' ') {
                Some((END, _code)) => return Ok((Self { stanzas }, lines.at)),
                Some(("->", arguments)) => stanzas.push(Stanza {
                    arguments: arguments.split(' ').map(str::to_owned).collect(),
                    body: body(&mut lines)?,
                }),
                _ => return Err(AgeError::Format),
            }
        }
    }

    pub(super) fn to_bytes(&self, file_key: &FileKey) -> Result<Vec<u8>, AgeError> {
        let mut text = [VERSION, b"\n"].concat();
        for stanza in &self.stanzas {
            text.extend(format!("-> {}\n", stanza.arguments.join(" ")).bytes());
            let body = base64(&stanza.body);
            for line in body.as_bytes().chunks(BODY_COLUMNS) {
                text.extend([line, b"\n"].concat());
            }
            if body.len().is_multiple_of(BODY_COLUMNS) {
                text.push(b'\n');
            }
        }
        text.extend(END.bytes());
        let code = hmac::sign(&header_key(file_key)?, &text);
        text.extend(format!(" {}\n", base64(code.as_ref())).bytes());
        Ok(text)
    }

    /// The header is the one that was written with this key.
    pub(super) fn verify(
        &self,
        file: &[u8],
        payload: usize,
        file_key: &FileKey,
    ) -> Result<(), AgeError> {
        let header = file.get(..payload.saturating_sub(1)).ok_or(AgeError::Damaged)?;
        let last = header.iter().rposition(|&byte| byte == b'\n').ok_or(AgeError::Damaged)?;
        let (vouched, code) = header.split_at(last + 1 + END.len());
        let code = code.strip_prefix(b" ").and_then(|code| std::str::from_utf8(code).ok());
        let code = code.and_then(of_base64).ok_or(AgeError::Damaged)?;
        let verified = hmac::verify(&header_key(file_key)?, vouched, &code);
        verified.map_err(|ring::error::Unspecified| AgeError::Damaged)
    }
}

fn body(lines: &mut Lines<'_>) -> Result<Vec<u8>, AgeError> {
    let mut text = String::new();
    loop {
        let line = std::str::from_utf8(lines.next()?).map_err(|_not_text| AgeError::Format)?;
        text.push_str(line);
        match line.len() {
            BODY_COLUMNS => {}
            shorter if shorter < BODY_COLUMNS => break,
            _ => return Err(AgeError::Format),
        }
    }
    of_base64(&text).ok_or(AgeError::Format)
}

/// Lines of a file whose rest is no text.
struct Lines<'a> {
    file: &'a [u8],
    at: usize,
    left: usize,
}

impl<'a> Lines<'a> {
    fn next(&mut self) -> Result<&'a [u8], AgeError> {
        let rest = self.file.get(self.at..).unwrap_or_default();
        let end = rest.iter().position(|&byte| byte == b'\n').ok_or(AgeError::Format)?;
        self.left = self.left.checked_sub(1).ok_or(AgeError::Format)?;
        self.at += end + 1;
        Ok(&rest[..end])
    }
}

pub(super) fn base64(bytes: &[u8]) -> String {
    STANDARD_NO_PAD.encode(bytes)
}

/// `None` for anything that is not the one way to write these bytes.
pub(super) fn of_base64(text: &str) -> Option<Vec<u8>> {
    STANDARD_NO_PAD.decode(text).ok()
}
