//! Lines of a head, and the values in them that decide about framing.

use memchr::memchr;

use super::authority;
use super::rule::Rule;
use super::text::{has_control, is_path, is_query, trim};

/// Where the lines of a section are.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Lines {
    /// Bytes of whole lines that were seen.
    pub(super) seen: usize,
    /// Bytes in which no further line ends.
    searched: usize,
}

impl Lines {
    /// Whether there is any byte of it.
    pub(super) fn has_begun(&self) -> bool {
        self.searched > 0
    }

    /// The next whole line of the section that `bytes` begin with, without CR and LF.
    pub(super) fn next<'a>(
        &mut self,
        bytes: &'a [u8],
        limit: usize,
        long: Rule,
    ) -> Result<Option<&'a [u8]>, Rule> {
        let Some(at) = memchr(b'\n', &bytes[self.searched..]) else {
            self.searched = bytes.len();
            return if bytes.len() >= limit { Err(long) } else { Ok(None) };
        };
        let end = self.searched + at;
        if end >= limit {
            return Err(long);
        }
        let line = &bytes[self.seen..end];
        (self.seen, self.searched) = (end + 1, end + 1);
        whole_line(line).map(Some)
    }
}

/// Takes the CR from the end of a line whose LF is gone already.
pub(super) fn whole_line(line: &[u8]) -> Result<&[u8], Rule> {
    let line = line.strip_suffix(b"\r").ok_or(Rule::BareLf)?;
    if !has_control(line) {
        return Ok(line);
    }
    Err(if memchr(b'\r', line).is_some() { Rule::BareCr } else { Rule::ControlByte })
}

/// Whether it is a target for this method: a path with an optional query, `*` for OPTIONS, or an
/// http or https URI (RFC 9112, 3.2).
pub(super) fn is_target(target: &[u8], method: &[u8]) -> bool {
    if target == b"*" {
        return method == b"OPTIONS";
    }
    let path = match target {
        [b'/', ..] => target,
        _ => match after_scheme(target) {
            Some(rest) => {
                let end = memchr(b'/', rest).unwrap_or(rest.len());
                if !authority::is_valid(&rest[..end]) {
                    return false;
                }
                &rest[end..]
            }
            None => return false,
        },
    };
    let query = memchr(b'?', path).unwrap_or(path.len());
    is_path(&path[..query]) && is_query(&path[query..])
}

fn after_scheme(target: &[u8]) -> Option<&[u8]> {
    [&b"http://"[..], b"https://"].into_iter().find_map(|scheme| {
        let (start, rest) = target.split_at_checked(scheme.len())?;
        start.eq_ignore_ascii_case(scheme).then_some(rest)
    })
}

/// The value of a framing field: one that has a tab around it was written to be overlooked.
fn spaces(mut value: &[u8]) -> &[u8] {
    while let [b' ', rest @ ..] | [rest @ .., b' '] = value {
        value = rest;
    }
    value
}

/// `1*DIGIT` without leading zeros, which some read as octal, of at most 18 digits.
pub(super) fn length(value: &[u8]) -> Option<u64> {
    let value = spaces(value);
    let plain = value == b"0" || !value.starts_with(b"0");
    if value.is_empty() || value.len() > 18 || !plain {
        return None;
    }
    value.iter().try_fold(0_u64, |number, byte| {
        byte.is_ascii_digit().then(|| number * 10 + u64::from(byte - b'0'))
    })
}

/// RFC 9112, 6.1: an encoding that is valid but unknown is 501, any other is 400.
pub(super) fn encoding(value: &[u8]) -> Result<(), Rule> {
    let value = spaces(value);
    if value.eq_ignore_ascii_case(b"chunked") {
        return Ok(());
    }
    let known = |coding: &[u8]| {
        [&b"gzip"[..], b"x-gzip", b"deflate", b"compress", b"x-compress"]
            .iter()
            .any(|name| coding.eq_ignore_ascii_case(name))
    };
    let mut codings = value.rsplit(|byte| *byte == b',').map(trim);
    let plain = memchr(b'\t', value).is_none();
    let chunked_last = codings.next().is_some_and(|last| last.eq_ignore_ascii_case(b"chunked"));
    if plain && chunked_last && codings.all(known) {
        return Err(Rule::UnknownTransferEncoding);
    }
    Err(Rule::InvalidTransferEncoding)
}
