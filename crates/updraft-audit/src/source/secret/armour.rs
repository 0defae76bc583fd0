//! Private keys between lines of dashes (RFC 7468), also where JSON has escaped their lines.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::scan::{Judgement, Weight};

/// The longest key: RSA with 16384 bits.
const LENGTH_MAX: usize = 24 << 10;

const END: &[u8] = b"-----END ";

/// How the file of a key of OpenSSH begins.
const OPENSSH: &[u8] = b"openssh-key-v1\0";

/// Judges the line of dashes at a place.
pub(super) fn judge(text: &[u8], start: usize) -> Option<Judgement> {
    let text = &text[start..text.len().min(start + LENGTH_MAX)];
    let rest = text.strip_prefix(b"-----BEGIN ")?;
    let label_end = find(rest, b"-----")?;
    let label = &rest[..label_end];
    let what = match label {
        b"PRIVATE KEY" => "a private key (PKCS #8)",
        b"ENCRYPTED PRIVATE KEY" => "a private key that is encrypted",
        b"RSA PRIVATE KEY" => "a private key (RSA)",
        b"EC PRIVATE KEY" => "a private key (EC)",
        b"DSA PRIVATE KEY" => "a private key (DSA)",
        b"OPENSSH PRIVATE KEY" => "a private key (OpenSSH)",
        _ => return None,
    };
    let rest = &rest[label_end + b"-----".len()..];
    let body_end = find(rest, END)?;
    let end = start + (text.len() - rest.len()) + body_end + END.len();
    let body = &rest[..body_end];
    let headed = find(body, b"ENCRYPTED").is_some();
    if headed || label == b"ENCRYPTED PRIVATE KEY" {
        let what = "a private key that is encrypted";
        return Some(Judgement { weight: Weight::Info, what, end });
    }
    let Ok(key) = STANDARD.decode(letters(body)) else { return None };
    let weight = match label {
        b"OPENSSH PRIVATE KEY" => openssh(&key)?,
        _ => is_der(&key).then_some(Weight::Fail)?,
    };
    let what = if weight == Weight::Info { "a private key that is encrypted" } else { what };
    Some(Judgement { weight, what, end })
}

/// The letters of Base64, without the breaks of lines, be they bytes or `\n`, and without what
/// quotes the lines of a source.
fn letters(body: &[u8]) -> Vec<u8> {
    let mut letters = Vec::with_capacity(body.len());
    let mut bytes = body.iter().copied();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => drop(bytes.next()),
            b' ' | b'\t' | b'\r' | b'\n' | b'"' | b'\'' | b',' => {}
            byte => letters.push(byte),
        }
    }
    letters
}

/// `openssh-key-v1`, then the name of the cipher: `none` or one.
fn openssh(key: &[u8]) -> Option<Weight> {
    let [a, b, c, d, rest @ ..] = key.strip_prefix(OPENSSH)? else { return None };
    let Ok(length) = usize::try_from(u32::from_be_bytes([*a, *b, *c, *d])) else { return None };
    let cipher = rest.get(..length)?;
    let is_whole = rest.len() > 64;
    is_whole.then_some(if cipher == b"none" { Weight::Fail } else { Weight::Info })
}

/// One SEQUENCE that is as long as it says, with a version first: every form of a private key
/// is that.
fn is_der(key: &[u8]) -> bool {
    let [0x30, first, rest @ ..] = key else { return false };
    let (length, content) = match first {
        0x81 => match rest {
            [length, content @ ..] => (usize::from(*length), content),
            [] => return false,
        },
        0x82 => match rest {
            [high, low, content @ ..] => (usize::from(u16::from_be_bytes([*high, *low])), content),
            _ => return false,
        },
        length => (usize::from(*length), rest),
    };
    content.len() == length && length > 32 && content.starts_with(&[0x02, 0x01]) && content[2] <= 1
}

fn find(text: &[u8], word: &[u8]) -> Option<usize> {
    text.windows(word.len()).position(|part| part == word)
}
