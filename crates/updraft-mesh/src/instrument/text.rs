//! The first bytes of a message in words, such as `COMMIT` or `SET cart:7`: what filters look
//! at and what events tell. It lives inside its message, without memory of its own.

use std::borrow::Cow;
use std::fmt;

/// The most bytes that a text holds; the rest of a longer one is not looked at.
pub const TEXT_MAX: usize = 120;

/// The beginning of a text. Runs of white space are one space.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Text {
    length: u8,
    bytes: [u8; TEXT_MAX],
}

impl Text {
    /// Nothing.
    pub const EMPTY: Self = Self { length: 0, bytes: [0; TEXT_MAX] };

    /// The beginning of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let mut text = Self::EMPTY;
        text.push(bytes);
        text
    }

    /// The beginning of an SQL statement, without the comments before it, where libraries
    /// put their names and traces.
    #[must_use]
    pub fn of_sql(bytes: &[u8]) -> Self {
        Self::of(without_leading_comments(bytes))
    }

    /// Puts `bytes` behind what is there, as far as there is room.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        for byte in bytes {
            let space = byte.is_ascii_whitespace();
            let at = usize::from(self.length);
            if space && (at == 0 || self.bytes[at - 1] == b' ') {
                continue;
            }
            let Some(place) = self.bytes.get_mut(at) else { return };
            *place = if space { b' ' } else { *byte };
            self.length += 1;
        }
    }

    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Whether it begins with `prefix`, where capital and small letters of ASCII are alike.
    #[must_use]
    pub fn starts_with(&self, prefix: &Self) -> bool {
        let (own, prefix) = (self.as_bytes(), prefix.as_bytes());
        own.get(..prefix.len()).is_some_and(|own| own.eq_ignore_ascii_case(prefix))
    }

    /// It as a string; bytes that are no UTF-8 are replaced.
    #[must_use]
    pub fn to_str(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(self.as_bytes())
    }
}

impl Default for Text {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_str())
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.to_str(), f)
    }
}

/// Comments nest in PostgreSQL; one that does not end within `sql` leaves nothing.
fn without_leading_comments(mut sql: &[u8]) -> &[u8] {
    loop {
        sql = sql.trim_ascii_start();
        if sql.starts_with(b"--") {
            let end = sql.iter().position(|byte| *byte == b'\n').unwrap_or(sql.len());
            sql = &sql[end..];
        } else if sql.starts_with(b"/*") {
            sql = &sql[end_of_block_comment(sql)..];
        } else {
            return sql;
        }
    }
}

fn end_of_block_comment(sql: &[u8]) -> usize {
    let (mut at, mut depth) = (0, 0_u32);
    while at < sql.len() {
        if sql[at..].starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if sql[at..].starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                break;
            }
        } else {
            at += 1;
        }
    }
    at.min(sql.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_is_found_behind_white_space_and_comments() {
        for (sql, expected) in [
            ("COMMIT", "COMMIT"),
            ("  \n\tcommit  \n work", "commit work"),
            ("/* app='x' /* nested */ */ COMMIT", "COMMIT"),
            ("-- a\n-- b\nROLLBACK", "ROLLBACK"),
            ("/* never ends COMMIT", ""),
            ("-- only this", ""),
            ("/*/ not closed by its own slash */x", "x"),
            ("-", "-"),
            ("", ""),
        ] {
            assert_eq!(Text::of_sql(sql.as_bytes()).to_str(), expected, "{sql}");
        }
    }

    #[test]
    fn a_prefix_is_compared_without_regard_to_case() {
        for (text, prefix, expected) in [
            ("COMMIT", "commit", true),
            ("commit and chain", "COMMIT", true),
            ("begin \n work", "BEGIN WORK", true),
            ("COMM", "COMMIT", false),
            ("ROLLBACK", "COMMIT", false),
            ("anything", "", true),
        ] {
            let (text, prefix) = (Text::of(text.as_bytes()), Text::of(prefix.as_bytes()));
            assert_eq!(text.starts_with(&prefix), expected, "{text:?} {prefix:?}");
        }
    }

    #[test]
    fn a_long_text_is_cut() {
        let text = Text::of("x".repeat(TEXT_MAX + 50).as_bytes());
        assert_eq!(text.as_bytes().len(), TEXT_MAX);
    }
}
