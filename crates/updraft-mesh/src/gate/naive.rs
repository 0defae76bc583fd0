//! The reference: reads a whole buffer of requests with no regard for speed, line by line, as
//! RFC 9112 says and the gate narrows it.

/// A request as the reference reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) method: String,
    pub(super) target: String,
    pub(super) body: Vec<u8>,
    /// Where its last byte is, in the whole buffer.
    pub(super) end: usize,
}

/// All that a buffer has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Reading {
    pub(super) requests: Vec<Request>,
    /// What follows must be refused; otherwise it is the begin of a request, or nothing.
    pub(super) refused: bool,
}

/// Why there is no further request.
enum Stop {
    Incomplete,
    Refused,
}

pub(super) fn read(input: &[u8]) -> Reading {
    let mut reading = Reading::default();
    let mut at = 0;
    loop {
        match request(input, at) {
            Ok(request) => {
                at = request.end;
                reading.requests.push(request);
            }
            Err(stop) => {
                reading.refused = matches!(stop, Stop::Refused);
                return reading;
            }
        }
    }
}

fn request(input: &[u8], start: usize) -> Result<Request, Stop> {
    let mut at = start;
    if input.get(at).is_some_and(|byte| !is_token(&[*byte]) && !b"\r\n".contains(byte)) {
        return Err(Stop::Refused);
    }
    let mut first = line(input, &mut at)?;
    if first.is_empty() {
        if input.get(at).is_some_and(|byte| !is_token(&[*byte]) && !b"\r\n".contains(byte)) {
            return Err(Stop::Refused);
        }
        first = line(input, &mut at)?;
    }
    let words: Vec<_> = first.split(' ').collect();
    let [method, target, version] = words[..] else { return Err(Stop::Refused) };
    let version_known = version == "HTTP/1.1" || version == "HTTP/1.0";
    if !is_token(method.as_bytes())
        || !version_known
        || method == "CONNECT"
        || !is_target(target, method)
    {
        return Err(Stop::Refused);
    }
    let (mut hosts, mut lengths, mut encodings) = (0, Vec::new(), 0);
    loop {
        let field = line(input, &mut at)?;
        if field.is_empty() {
            break;
        }
        let (name, value) = field_of(&field)?;
        match name.replace('_', "-").as_str() {
            alias @ ("content-length" | "transfer-encoding") if alias != name => {
                return Err(Stop::Refused);
            }
            "host" if is_host(value.trim_matches([' ', '\t'])) => hosts += 1,
            "host" => return Err(Stop::Refused),
            "content-length" => lengths.push(value.trim_matches(' ').to_owned()),
            "transfer-encoding" if value.trim_matches(' ').to_lowercase() == "chunked" => {
                encodings += 1;
            }
            "transfer-encoding" => return Err(Stop::Refused),
            _ => {}
        }
        let bad_length = lengths.iter().any(|text| {
            let canonical = text.parse::<u64>().is_ok_and(|number| number.to_string() == *text);
            !canonical || text.len() > 18
        });
        let old = encodings > 0 && version == "HTTP/1.0";
        if bad_length || old || hosts > 1 || lengths.len() + encodings > 1 {
            return Err(Stop::Refused);
        }
    }
    if hosts == 0 && version == "HTTP/1.1" {
        return Err(Stop::Refused);
    }
    let body = if encodings > 0 {
        chunks(input, &mut at)?
    } else {
        let length = lengths.first().map_or(0, |text| text.parse().unwrap_or(usize::MAX));
        take(input, &mut at, length)?
    };
    Ok(Request { method: method.into(), target: target.into(), body, end: at })
}

/// A line without its end, as Latin-1.
fn line(input: &[u8], at: &mut usize) -> Result<String, Stop> {
    let rest = &input[*at..];
    let length = rest.iter().position(|byte| *byte == b'\n').ok_or(Stop::Incomplete)?;
    *at += length + 1;
    let text = rest[..length].strip_suffix(b"\r").ok_or(Stop::Refused)?;
    if text.iter().any(|byte| byte.is_ascii_control() && *byte != b'\t') {
        return Err(Stop::Refused);
    }
    Ok(text.iter().copied().map(char::from).collect())
}

fn field_of(line: &str) -> Result<(String, String), Stop> {
    let (name, value) = line.split_once(':').ok_or(Stop::Refused)?;
    if !name.is_ascii() || !is_token(name.as_bytes()) {
        return Err(Stop::Refused);
    }
    Ok((name.to_lowercase(), value.to_owned()))
}

fn take(input: &[u8], at: &mut usize, length: usize) -> Result<Vec<u8>, Stop> {
    let end = at.checked_add(length).ok_or(Stop::Incomplete)?;
    let bytes = input.get(*at..end).ok_or(Stop::Incomplete)?;
    *at = end;
    Ok(bytes.to_vec())
}

fn chunks(input: &[u8], at: &mut usize) -> Result<Vec<u8>, Stop> {
    let mut body = Vec::new();
    loop {
        let text = line(input, at)?;
        let (size, extension) = text.split_once(';').unwrap_or((&text, "x"));
        let digits = !size.is_empty() && size.len() <= 15;
        if !digits || !size.chars().all(|c| c.is_ascii_hexdigit()) {
            return Err(Stop::Refused);
        }
        if extension.is_empty() || !extension.is_ascii() {
            return Err(Stop::Refused);
        }
        let size = usize::from_str_radix(size, 16).unwrap_or(usize::MAX);
        if size == 0 {
            break;
        }
        body.extend(take(input, at, size)?);
        for wanted in b"\r\n" {
            match input.get(*at) {
                None => return Err(Stop::Incomplete),
                Some(byte) if byte != wanted => return Err(Stop::Refused),
                Some(_) => *at += 1,
            }
        }
    }
    loop {
        let field = line(input, at)?;
        if field.is_empty() {
            return Ok(body);
        }
        let (name, _) = field_of(&field)?;
        let name = name.replace('_', "-");
        if ["host", "content-length", "transfer-encoding"].contains(&name.as_str()) {
            return Err(Stop::Refused);
        }
    }
}

fn is_token(bytes: &[u8]) -> bool {
    let delimiter = |byte: &u8| b"\"(),/:;<=>?@[\\]{}".contains(byte);
    !bytes.is_empty() && bytes.iter().all(|byte| byte.is_ascii_graphic() && !delimiter(byte))
}

fn is_host(text: &str) -> bool {
    let (fits, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((inner, port)) => {
            let hex = inner.chars().all(|c| c.is_ascii_hexdigit() || ":.".contains(c));
            (hex && inner.len() >= 2, port)
        }
        None => {
            let (name, port) = text.split_at(text.find(':').unwrap_or(text.len()));
            let fits = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
            (!name.is_empty() && name.chars().all(fits), port)
        }
    };
    let number = port.strip_prefix(':').is_some_and(|digits| {
        let digit = digits.chars().all(|c| c.is_ascii_digit());
        digit && digits.len() <= 5 && digits.parse::<u16>().is_ok()
    });
    fits && (port.is_empty() || number)
}

fn is_target(target: &str, method: &str) -> bool {
    if target == "*" {
        return method == "OPTIONS";
    }
    let scheme = ["http://", "https://"].into_iter().find(|scheme| {
        target.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    });
    let rest = match scheme {
        Some(scheme) => {
            let rest = &target[scheme.len()..];
            let (host, rest) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            if !is_host(host) {
                return false;
            }
            rest
        }
        None if target.starts_with('/') => target,
        None => return false,
    };
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    path.bytes().all(|b| b.is_ascii_graphic() && !b"\"#<>\\^`{}".contains(&b))
        && query.bytes().all(|b| b.is_ascii_graphic() && !b"\"#<>".contains(&b))
}

/// Streams of requests that are right, and streams that are nearly right.
#[cfg(test)]
pub(super) mod streams {
    use proptest::prelude::*;
    use proptest::sample::{Index, select};

    fn body() -> impl Strategy<Value = Vec<u8>> {
        let near = select(b"\r\n0G :a;".to_vec());
        proptest::collection::vec(near, 0..12)
    }

    fn request() -> impl Strategy<Value = Vec<u8>> {
        let method = select(vec!["GET", "POST", "PUT", "OPTIONS", "DELETE"]);
        let target =
            select(vec!["/", "/a/b?c=d", "/%41;x=1", "/a//b", "http://a:80/b", "https://[::1]/"]);
        let extra = select(vec!["", "Accept: */*\r\n", "X: a\tb\r\nEmpty:\r\n", "Cookie: a=b\r\n"]);
        let host_first = any::<bool>();
        let chunks = proptest::collection::vec((body(), any::<bool>()), 0..4);
        let framing = prop_oneof![
            Just(None),
            body().prop_map(|body| Some(Ok(body))),
            (chunks, select(vec!["", "X-Sum: 1\r\n"])).prop_map(|chunked| Some(Err(chunked))),
        ];
        (any::<bool>(), method, target, extra, host_first, framing).prop_map(
            |(leading, method, target, extra, host_first, framing)| {
                let mut text = if leading { b"\r\n".to_vec() } else { Vec::new() };
                text.extend(format!("{method} {target} HTTP/1.1\r\n").bytes());
                let (mut fields, mut after) = (String::new(), Vec::new());
                match framing {
                    None => {}
                    Some(Ok(body)) => {
                        fields = format!("Content-Length: {}\r\n", body.len());
                        after = body;
                    }
                    Some(Err((chunks, trailer))) => {
                        fields.push_str("Transfer-Encoding: chunked\r\n");
                        for (chunk, extension) in chunks.iter().filter(|(c, _)| !c.is_empty()) {
                            let extension = if *extension { ";a=b" } else { "" };
                            after.extend(format!("{:x}{extension}\r\n", chunk.len()).bytes());
                            after.extend(chunk);
                            after.extend(b"\r\n");
                        }
                        after.extend(format!("0\r\n{trailer}\r\n").bytes());
                    }
                }
                let host = "Host: a\r\n";
                let (one, two) = if host_first { (host, &*fields) } else { (&*fields, host) };
                text.extend(format!("{one}{extra}{two}\r\n").bytes());
                text.extend(after);
                text
            },
        )
    }

    pub(crate) fn valid() -> impl Strategy<Value = Vec<Vec<u8>>> {
        proptest::collection::vec(request(), 0..5)
    }

    /// Valid streams with some bytes changed, put in or taken out.
    pub(crate) fn near() -> impl Strategy<Value = Vec<u8>> {
        let byte = select(b"\r\n \t\0:;,+-_0159aHhx/?#\x7f\xff".to_vec());
        let edit = (any::<Index>(), 0..3_u8, byte);
        (valid(), proptest::collection::vec(edit, 0..4)).prop_map(|(requests, edits)| {
            let mut text = requests.concat();
            for (index, kind, byte) in edits {
                let at = index.index(text.len() + 1);
                match kind {
                    0 => text.insert(at, byte),
                    _ if at == text.len() => {}
                    1 => text[at] = byte,
                    _ => drop(text.remove(at)),
                }
            }
            text
        })
    }

    /// Pieces of requests in any order.
    pub(crate) fn salad() -> impl Strategy<Value = Vec<u8>> {
        let piece = select(vec![
            &b"GET / HTTP/1.1\r\n"[..],
            b"POST / HTTP/1.1\r\n",
            b"Host: a\r\n",
            b"\r\n",
            b"\n",
            b"\r",
            b"Content-Length: 1\r\n",
            b"Content-Length:",
            b"Transfer-Encoding: chunked\r\n",
            b"Transfer-Encoding:",
            b" ",
            b"chunked",
            b"1",
            b"0\r\n\r\n",
            b"1\r\nx\r\n",
            b"\0",
            b":",
            b"x",
            b";",
            b"X: y\r\n",
            b"HTTP/1.0\r\n",
            b"\t",
        ]);
        proptest::collection::vec(piece, 0..16).prop_map(|pieces| pieces.concat())
    }
}
