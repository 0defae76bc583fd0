//! A reader of HTTP/1 messages that takes the one strict form of RFC 9112 and nothing else.

use std::fmt;

/// A message, as its bytes say.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Message {
    /// The request line or the status line.
    pub(crate) start: String,
    /// Name in small letters, value without the spaces around it.
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Vec<(String, String)>,
    pub(crate) chunked: bool,
}

/// Whether more bytes make it whole, or nothing does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// It goes on.
    Incomplete,
    /// It cannot be read in one way.
    Wrong(&'static str),
}

/// How the body of a message without framing ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unframed {
    /// There is none.
    Empty,
    /// With the connection, which has ended.
    Rest,
    /// With the connection, which is open.
    Open,
}

impl Message {
    /// All values of a field.
    pub(crate) fn values(&self, name: &str) -> Vec<&str> {
        let own = |(own, _): &&(String, String)| own == name;
        self.fields.iter().filter(own).map(|(_, value)| value.as_str()).collect()
    }

    /// The values of a field in one line; `None`: it is not there.
    pub(crate) fn value(&self, name: &str) -> Option<String> {
        let values = self.values(name);
        (!values.is_empty()).then(|| values.join(", "))
    }

    /// A request at the begin of `bytes`, and how long it is.
    pub(crate) fn request(bytes: &[u8]) -> Result<(Self, usize), Flaw> {
        let (message, at) = head(bytes)?;
        let words: Vec<&str> = message.start.split(' ').collect();
        let [method, target, "HTTP/1.1" | "HTTP/1.0"] = words[..] else {
            return Err(Flaw::Wrong("the request line"));
        };
        if !is_token(method) || target.is_empty() || !target.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(Flaw::Wrong("the request line"));
        }
        if message.values("host").len() != 1 {
            return Err(Flaw::Wrong("one host"));
        }
        message.with_body(bytes, at, Unframed::Empty)
    }

    /// An answer at the begin of `bytes`. `bodiless`: to HEAD.
    pub(crate) fn response(
        bytes: &[u8],
        bodiless: bool,
        unframed: Unframed,
    ) -> Result<(Self, usize), Flaw> {
        let (message, at) = head(bytes)?;
        if !message.start.starts_with("HTTP/1.") {
            return Err(Flaw::Wrong("the status line"));
        }
        let status = message.status();
        if bodiless || status < 200 || matches!(status, 204 | 304) {
            return Ok((message, at));
        }
        message.with_body(bytes, at, unframed)
    }

    /// That of an answer.
    pub(crate) fn status(&self) -> u16 {
        self.start.get(9..12).and_then(|text| text.parse().ok()).unwrap()
    }

    fn with_body(
        mut self,
        bytes: &[u8],
        at: usize,
        unframed: Unframed,
    ) -> Result<(Self, usize), Flaw> {
        let (lengths, codings) = (self.values("content-length"), self.values("transfer-encoding"));
        match (&lengths[..], &codings[..]) {
            ([], ["chunked"]) => {
                self.chunked = true;
                self.chunks(bytes, at)
            }
            ([length], []) if length.bytes().all(|b| b.is_ascii_digit()) && !length.is_empty() => {
                let end = at + length.parse::<usize>().ok().ok_or(Flaw::Wrong("the length"))?;
                self.body = bytes.get(at..end).ok_or(Flaw::Incomplete)?.to_vec();
                Ok((self, end))
            }
            ([], []) => match unframed {
                Unframed::Empty => Ok((self, at)),
                Unframed::Open => Err(Flaw::Incomplete),
                Unframed::Rest => {
                    self.body = bytes[at..].to_vec();
                    Ok((self, bytes.len()))
                }
            },
            _ => Err(Flaw::Wrong("the framing")),
        }
    }

    fn chunks(mut self, bytes: &[u8], mut at: usize) -> Result<(Self, usize), Flaw> {
        loop {
            let (line, after) = line(bytes, at)?;
            if line.is_empty() || !line.bytes().all(|b| b.is_ascii_hexdigit()) {
                return Err(Flaw::Wrong("the size of a chunk"));
            }
            let size =
                usize::from_str_radix(&line, 16).ok().ok_or(Flaw::Wrong("a chunk's size"))?;
            if size == 0 {
                let (trailers, end) = fields(bytes, after)?;
                self.trailers = trailers;
                return Ok((self, end));
            }
            let end = after + size;
            let data = bytes.get(after..end).ok_or(Flaw::Incomplete)?;
            self.body.extend_from_slice(data);
            match bytes.get(end..end + 2) {
                Some(b"\r\n") => at = end + 2,
                Some(_) => return Err(Flaw::Wrong("the end of a chunk")),
                None => return Err(Flaw::Incomplete),
            }
        }
    }
}

fn head(bytes: &[u8]) -> Result<(Message, usize), Flaw> {
    let (start, at) = line(bytes, 0)?;
    let (fields, at) = fields(bytes, at)?;
    Ok((Message { start, fields, ..Message::default() }, at))
}

fn line(bytes: &[u8], at: usize) -> Result<(String, usize), Flaw> {
    let rest = &bytes[at..];
    let end = rest.iter().position(|byte| *byte == b'\n').ok_or(Flaw::Incomplete)?;
    let text = rest[..end].strip_suffix(b"\r").ok_or(Flaw::Wrong("the end of a line"))?;
    if text.iter().any(|byte| byte.is_ascii_control() && *byte != b'\t') {
        return Err(Flaw::Wrong("a control character"));
    }
    Ok((String::from_utf8_lossy(text).into_owned(), at + end + 1))
}

type Fields = Vec<(String, String)>;

fn fields(bytes: &[u8], mut at: usize) -> Result<(Fields, usize), Flaw> {
    let mut fields = Vec::new();
    loop {
        let (text, after) = line(bytes, at)?;
        at = after;
        if text.is_empty() {
            return Ok((fields, at));
        }
        let (name, value) = text.split_once(':').ok_or(Flaw::Wrong("a field without a colon"))?;
        if !is_token(name) {
            return Err(Flaw::Wrong("the name of a field"));
        }
        fields.push((name.to_ascii_lowercase(), value.trim_matches([' ', '\t']).to_owned()));
    }
}

fn is_token(text: &str) -> bool {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(token)
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.start)?;
        for (name, value) in &self.fields {
            writeln!(f, "  {name}: {value}")?;
        }
        write!(f, "  ({} bytes) {:?}", self.body.len(), self.trailers)
    }
}
