//! What must never be written down: values under names that mean secrets, and what URLs and
//! headers inside of texts carry. Logs and exported spans pass through here. It is the last
//! net, not the first: what is known to be secret belongs into a type that cannot be printed.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize, Serializer};

/// What stands in place of a secret.
pub(crate) const REDACTED: &str = "[redacted]";

/// A value that is never printed, logged or sent on: it reads like any other and shows itself
/// as `[redacted]`.
///
/// ```
/// use updraft::Redacted;
///
/// let card = Redacted::new("4111 1111 1111 1111".to_owned());
/// assert_eq!(format!("{card} {card:?}"), "[redacted] [redacted]");
/// assert_eq!(card.expose().len(), 19);
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Redacted<T>(T);

impl<T> Redacted<T> {
    /// Hides a value.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The value, for the one place that needs it.
    pub const fn expose(&self) -> &T {
        &self.0
    }

    /// The value itself.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> From<T> for Redacted<T> {
    fn from(value: T) -> Self {
        Self(value)
    }
}

impl<T> fmt::Debug for Redacted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

impl<T> fmt::Display for Redacted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

impl<T> Serialize for Redacted<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(REDACTED)
    }
}

/// Ends of names whose values are secret, without `_`, `-` and `.`, in small letters.
const SECRET_NAMES: [&str; 16] = [
    "accesskey",
    "apikey",
    "authorization",
    "cookie",
    "credential",
    "credentials",
    "jwt",
    "passphrase",
    "passwd",
    "password",
    "privatekey",
    "pwd",
    "secret",
    "secretkey",
    "sessionid",
    "token",
];

/// The longest name before `:` or `=` that is looked at.
const NAME_MOST: usize = 64;

/// Words that stand before the credentials of an `authorization` header.
const SCHEMES: [&str; 5] = ["basic", "bearer", "digest", "negotiate", "token"];

/// Whether what is called so is secret: `password`, `db_password`, `X-Api-Key`, `accessToken`.
pub(crate) fn is_secret(name: &str) -> bool {
    // Most names end differently, and are done with here.
    let may_be = name.as_bytes().last().is_some_and(|last| b"denstyDENSTY".contains(last));
    may_be && SECRET_NAMES.iter().any(|secret| ends_with(name.as_bytes(), secret.as_bytes()))
}

/// Whether the letters and digits of `name` end with `end`, whatever their case.
fn ends_with(name: &[u8], end: &[u8]) -> bool {
    let mut letters = name.iter().rev().filter(|byte| !b"_-.".contains(byte));
    end.iter().rev().all(|wanted| letters.next().is_some_and(|it| it.eq_ignore_ascii_case(wanted)))
}

/// The text without secrets: URLs lose user, password, query and fragment; what follows a
/// secret name and `:` or `=` is gone, and so are bearer tokens.
pub(crate) fn scrubbed(text: &str) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    let mut clean: Option<String> = None;
    // Up to here the text is copied, or cut out.
    let mut done = 0;
    let mut at = 0;
    while let Some(found) = bytes.get(at..).and_then(|rest| rest.iter().position(is_mark)) {
        at += found;
        let Some((from, to)) = secret_at(text, at) else {
            at += 1;
            continue;
        };
        let from = from.max(done);
        if from < to {
            let clean = clean.get_or_insert_with(|| String::with_capacity(text.len()));
            clean.push_str(text.get(done..from).unwrap_or_default());
            clean.push_str(REDACTED);
            done = to;
        }
        // A URL may have a query after its user; all others end here.
        at = if bytes.get(at) == Some(&b'?') { to } else { to.max(at + 1) };
    }
    match clean {
        None => Cow::Borrowed(text),
        Some(mut clean) => {
            clean.push_str(text.get(done..).unwrap_or_default());
            Cow::Owned(clean)
        }
    }
}

/// Bytes behind which a secret may stand.
fn is_mark(byte: &u8) -> bool {
    matches!(byte, b':' | b'=' | b'?' | b'#' | b' ')
}

/// The secret that the byte at `at` introduces.
fn secret_at(text: &str, at: usize) -> Option<(usize, usize)> {
    let bytes = text.as_bytes();
    match bytes.get(at)? {
        b':' if bytes.get(at + 1..at + 3) == Some(b"//") => user_of_url(bytes, at + 3),
        b'?' | b'#' => in_url(bytes, at).then(|| (at + 1, url_end(bytes, at))),
        // `path::of::an::item`
        b':' if bytes.get(at + 1) == Some(&b':') || bytes[..at].last() == Some(&b':') => None,
        b':' | b'=' => is_secret(name_before(text, at)).then(|| value_after(bytes, at + 1))?,
        b' ' => credentials_after(bytes, at),
        _ => None,
    }
}

/// User and password of the URL whose authority begins at `start`.
fn user_of_url(bytes: &[u8], start: usize) -> Option<(usize, usize)> {
    let url = bytes.get(start..url_end(bytes, start))?;
    let authority = url.iter().position(|byte| b"/?#".contains(byte)).unwrap_or(url.len());
    let last_at = |part: &[u8]| part.iter().rposition(|byte| *byte == b'@');
    // A password with a slash in it is no valid URL, and a password nevertheless.
    let upto = match url[..authority] {
        ref user if user.contains(&b'@') => {
            url.iter().position(|byte| b"?#".contains(byte)).unwrap_or(url.len())
        }
        ref user if user.contains(&b':') => url.len(),
        _ => return None,
    };
    last_at(&url[..upto]).map(|at| (start, start + at))
}

/// Whether the run of text around `at` began as a URL.
fn in_url(bytes: &[u8], at: usize) -> bool {
    let start = bytes[..at].iter().rposition(ends_url).map_or(0, |end| end + 1);
    bytes[start..at].windows(3).any(|three| three == b"://")
}

fn url_end(bytes: &[u8], from: usize) -> usize {
    let rest = bytes.get(from..).unwrap_or_default();
    from + rest.iter().position(ends_url).unwrap_or(rest.len())
}

fn ends_url(byte: &u8) -> bool {
    byte.is_ascii_whitespace() || b"\"'<>`|".contains(byte)
}

/// The name that ends before `at`, with or without quotes.
fn name_before(text: &str, at: usize) -> &str {
    let bytes = text.as_bytes()[..at].trim_ascii_end();
    let end = bytes.len() - usize::from(matches!(bytes.last(), Some(b'"' | b'\'')));
    let of_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-.".contains(byte);
    let letters = bytes[..end].iter().rev().take(NAME_MOST).take_while(|byte| of_name(byte));
    text.get(end - letters.count()..end).unwrap_or_default()
}

/// The value that begins after `from`: a word, a quoted text, or what brackets hold.
fn value_after(bytes: &[u8], from: usize) -> Option<(usize, usize)> {
    let start = from + spaces(bytes, from);
    let mut end = value_end(bytes, start);
    let word = bytes.get(start..end)?;
    if SCHEMES.iter().any(|scheme| word.eq_ignore_ascii_case(scheme.as_bytes())) {
        end = value_end(bytes, end + spaces(bytes, end));
    }
    (start < end).then_some((start, end))
}

fn spaces(bytes: &[u8], from: usize) -> usize {
    bytes.get(from..).unwrap_or_default().iter().take_while(|byte| **byte == b' ').count()
}

fn value_end(bytes: &[u8], start: usize) -> usize {
    let mut depth = 0_usize;
    let mut at = start;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' | b'\'' => at = quote_end(bytes, at),
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' if depth == 0 => return at,
            b')' | b']' | b'}' => depth -= 1,
            b',' | b';' | b'&' if depth == 0 => return at,
            _ if byte.is_ascii_whitespace() && depth == 0 => return at,
            _ => {}
        }
        at += 1;
    }
    bytes.len()
}

/// The place of the quote that ends what the one at `open` begins; the last byte without one.
fn quote_end(bytes: &[u8], open: usize) -> usize {
    let mut at = open + 1;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'\\' => at += 1,
            _ if *byte == bytes[open] => return at,
            _ => {}
        }
        at += 1;
    }
    bytes.len()
}

/// The credentials after `Bearer ` and `Basic `, outside of any header.
fn credentials_after(bytes: &[u8], space: usize) -> Option<(usize, usize)> {
    let before = &bytes[..space];
    let least = match before.last()? {
        b'r' | b'R' if ends_with(before, b"bearer") => 8,
        b'c' | b'C' if ends_with(before, b"basic") => 16,
        _ => return None,
    };
    let end = value_end(bytes, space + 1);
    (space + least < end).then_some((space + 1, end))
}

#[cfg(test)]
#[path = "redaction_tests.rs"]
mod tests;
