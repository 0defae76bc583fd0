//! An answer of HTTP/1.1 out of its bytes (RFC 9112, 4 to 7): whether it is whole, and where it
//! ends.

use super::{Answer, Lost};

/// The longest head, in bytes.
const HEAD_BYTES_MAX: usize = 256 * 1024;

/// The answer that the bytes begin with, and its length; `None`: it is not whole yet. `ended`:
/// nothing more will come.
pub(super) fn parse(
    bytes: &[u8],
    to_head: bool,
    ended: bool,
) -> Result<Option<(Answer, usize)>, Lost> {
    let begins = bytes.iter().zip(b"HTTP/1.").all(|(is, should)| is == should);
    if !begins {
        return Err(Lost::NotHttp);
    }
    let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else {
        return if bytes.len() > HEAD_BYTES_MAX { Err(Lost::NotHttp) } else { Ok(None) };
    };
    let head = String::from_utf8_lossy(bytes.get(..end).unwrap_or_default());
    let mut answer = read_head(&head).ok_or(Lost::NotHttp)?;
    let start = end + 4;
    let rest = bytes.get(start..).unwrap_or_default();
    let body = match framing(&answer, to_head) {
        Framing::Length(length) => rest.get(..length).map(|body| (body.to_vec(), length)),
        Framing::Chunked => unchunked(rest)?,
        Framing::End => ended.then(|| (rest.to_vec(), rest.len())),
    };
    Ok(body.map(|(body, length)| {
        answer.body = body;
        (answer, start + length)
    }))
}

fn read_head(head: &str) -> Option<Answer> {
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let field = |line: &str| {
        let (name, value) = line.split_once(':')?;
        Some((name.trim().to_ascii_lowercase(), value.trim().to_owned()))
    };
    Some(Answer { status, headers: lines.filter_map(field).collect(), body: Vec::new() })
}

/// How the length of a body is told.
enum Framing {
    Length(usize),
    Chunked,
    /// By the end of the connection.
    End,
}

fn framing(answer: &Answer, to_head: bool) -> Framing {
    if to_head || matches!(answer.status, 100..=199 | 204 | 304) {
        return Framing::Length(0);
    }
    let chunked = |value: &str| value.to_ascii_lowercase().ends_with("chunked");
    if answer.header("transfer-encoding").is_some_and(chunked) {
        return Framing::Chunked;
    }
    match answer.header("content-length").and_then(|length| length.parse().ok()) {
        Some(length) => Framing::Length(length),
        None => Framing::End,
    }
}

/// The body of chunks, and how many bytes they take; `None`: they are not whole.
fn unchunked(bytes: &[u8]) -> Result<Option<(Vec<u8>, usize)>, Lost> {
    let mut body = Vec::new();
    let mut at = 0;
    loop {
        let Some((line, next)) = line(bytes, at) else { return Ok(None) };
        let size = line.split(';').next().unwrap_or_default().trim();
        let size = usize::from_str_radix(size, 16).ok().ok_or(Lost::NotHttp)?;
        if size == 0 {
            return Ok(trailers_end(bytes, next).map(|end| (body, end)));
        }
        let end = next.checked_add(size).ok_or(Lost::NotHttp)?;
        let Some(chunk) = bytes.get(next..end) else { return Ok(None) };
        body.extend(chunk);
        at = end + 2;
        if at > bytes.len() {
            return Ok(None);
        }
    }
}

fn trailers_end(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        let (text, next) = line(bytes, at)?;
        if text.is_empty() {
            return Some(next);
        }
        at = next;
    }
}

/// The line that begins at `at`, and where the next one does.
fn line(bytes: &[u8], at: usize) -> Option<(String, usize)> {
    let rest = bytes.get(at..)?;
    let end = rest.windows(2).position(|window| window == b"\r\n")?;
    Some((String::from_utf8_lossy(rest.get(..end)?).into_owned(), at + end + 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every beginning of an answer is not whole, and the whole has its length.
    #[test]
    fn an_answer_is_whole_at_its_last_byte_and_not_before() {
        let answers = [
            ("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nok\n", "ok\n"),
            ("HTTP/1.1 204 No Content\r\n\r\n", ""),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", "ok"),
            (
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1;a=b\r\no\r\n0\r\nt: 1\r\n\r\n",
                "o",
            ),
        ];
        for (text, body) in answers {
            for cut in 0..text.len() {
                let parsed = parse(&text.as_bytes()[..cut], false, false);
                assert!(matches!(parsed, Ok(None)), "{cut} of {text}");
            }
            let more = format!("{text}HTTP/1.1 500");
            let (answer, length) = parse(more.as_bytes(), false, false).unwrap().unwrap();
            assert_eq!((answer.text().as_str(), length), (body, text.len()));
        }
    }

    #[test]
    fn a_body_without_a_length_is_whole_at_the_end_of_the_connection_only() {
        let text = b"HTTP/1.0 200 OK\r\n\r\nabc";
        assert!(matches!(parse(text, false, false), Ok(None)));
        let (answer, _) = parse(text, false, true).unwrap().unwrap();
        assert_eq!(answer.text(), "abc");
        let short = b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc";
        assert!(matches!(parse(short, false, true), Ok(None)));
    }

    #[test]
    fn what_is_no_http_is_said_to_be_none() {
        for text in ["SSH-2.0-OpenSSH", "HTTP/1.1 abc\r\n\r\n"] {
            assert!(matches!(parse(text.as_bytes(), false, false), Err(Lost::NotHttp)), "{text}");
        }
    }
}
