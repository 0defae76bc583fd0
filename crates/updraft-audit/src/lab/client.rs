//! A client that sees exactly what becomes of a request: how far it was sent, whether an answer
//! came whole, broken or not at all. HTTP/1.1 by hand, for that is what is judged.

mod answer;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use super::Address;

/// The most that is kept of an answer, in bytes.
const ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;

/// How long a look at what has come may take: the runtime has to ask the kernel first.
const GLANCE: Duration = Duration::from_millis(5);

/// A request.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// Path and query.
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

/// An answer that came whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

/// Why there is no whole answer.
#[derive(Debug)]
pub(crate) enum Lost {
    /// Nobody takes the connection.
    Refused(io::Error),
    /// The connection broke or ended before a whole answer.
    Broken {
        /// Bytes of an answer that had come.
        after: usize,
        /// `None`: it was closed in order.
        error: Option<io::Error>,
    },
    /// What came is no HTTP.
    NotHttp,
    /// It does not end.
    TooLong,
    /// Nothing came in time.
    TimedOut(Duration),
}

impl Request {
    /// A `GET`.
    pub(crate) fn get(target: &str) -> Self {
        Self { method: "GET".into(), target: target.into(), headers: Vec::new(), body: Vec::new() }
    }

    /// A `POST` with a body.
    pub(crate) fn post(target: &str, kind: &str, body: impl Into<Vec<u8>>) -> Self {
        let headers = vec![("content-type".to_owned(), kind.to_owned())];
        Self { method: "POST".into(), target: target.into(), headers, body: body.into() }
    }

    /// With one more header.
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    fn head(&self, address: SocketAddr, keeps: bool) -> Vec<u8> {
        let connection = if keeps { "keep-alive" } else { "close" };
        let mut head = format!(
            "{} {} HTTP/1.1\r\nhost: {address}\r\nuser-agent: updraft-check\r\naccept: */*\r\nconnection: {connection}\r\n",
            self.method, self.target
        );
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if !self.body.is_empty() || self.method != "GET" {
            head.push_str(&format!("content-length: {}\r\n", self.body.len()));
        }
        head.push_str("\r\n");
        head.into_bytes()
    }

    /// Sends it on a connection of its own and waits for the whole answer.
    pub(crate) async fn send(
        &self,
        to: impl Into<Address>,
        within: Duration,
    ) -> Result<Answer, Lost> {
        let whole = async {
            let mut connection = Connection::open(to).await?;
            connection.send(self, false).await?;
            connection.answer(self.method == "HEAD").await
        };
        tokio::time::timeout(within, whole).await.unwrap_or(Err(Lost::TimedOut(within)))
    }
}

/// A connection to a program.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    /// Where it goes.
    pub(crate) remote: SocketAddr,
    /// Where it comes from.
    pub(crate) local: SocketAddr,
    /// What has come and belongs to the next answer.
    rest: Vec<u8>,
}

impl Connection {
    /// Opens one.
    pub(crate) async fn open(to: impl Into<Address>) -> Result<Self, Lost> {
        Self::prepared(to.into(), |_| Ok(())).await
    }

    /// Opens one that takes only a little at a time.
    pub(crate) async fn open_narrow(to: impl Into<Address>) -> Result<Self, Lost> {
        const RECEIVED_BYTES: u32 = 4096;
        Self::prepared(to.into(), |socket| socket.set_recv_buffer_size(RECEIVED_BYTES)).await
    }

    async fn prepared(
        to: Address,
        prepare: impl FnOnce(&TcpSocket) -> io::Result<()>,
    ) -> Result<Self, Lost> {
        let stream = to.connect(prepare).await.map_err(Lost::Refused)?;
        let local = stream.local_addr().map_err(Lost::Refused)?;
        Ok(Self { stream, remote: to.socket(), local, rest: Vec::new() })
    }

    /// Whether nothing has come that was not read, and it is still open.
    pub(crate) async fn is_silent(&self) -> bool {
        let mut byte = [0; 1];
        let peeked = tokio::time::timeout(GLANCE, self.stream.peek(&mut byte)).await;
        self.rest.is_empty() && peeked.is_err()
    }

    /// Bytes that have come and were not read, as far as one look shows them.
    pub(crate) async fn arrived(&self) -> usize {
        let mut bytes = vec![0; 64 * 1024];
        let peeked = tokio::time::timeout(GLANCE, self.stream.peek(&mut bytes)).await;
        peeked.ok().and_then(Result::ok).unwrap_or(0)
    }

    /// Sends a request; `keeps`: another may follow.
    pub(crate) async fn send(&mut self, request: &Request, keeps: bool) -> Result<(), Lost> {
        let mut bytes = request.head(self.remote, keeps);
        bytes.extend(&request.body);
        self.write(&bytes).await
    }

    /// Sends a request without the second half of its body, which is given back.
    pub(crate) async fn send_half(&mut self, request: &Request) -> Result<Vec<u8>, Lost> {
        let (first, second) = request.body.split_at(request.body.len() / 2);
        let mut bytes = request.head(self.remote, false);
        bytes.extend(first);
        self.write(&bytes).await?;
        Ok(second.to_vec())
    }

    /// Sends bytes.
    pub(crate) async fn write(&mut self, bytes: &[u8]) -> Result<(), Lost> {
        let written = self.stream.write_all(bytes).await;
        written.map_err(|error| Lost::Broken { after: 0, error: Some(error) })
    }

    /// The next answer, whole. To `HEAD` it has no body. Answers of the class 1xx are passed
    /// over.
    pub(crate) async fn answer(&mut self, to_head: bool) -> Result<Answer, Lost> {
        loop {
            match answer::parse(&self.rest, to_head, false)? {
                Some((answer, length)) => {
                    self.rest.drain(..length);
                    if answer.status >= 200 {
                        return Ok(answer);
                    }
                }
                None if self.read().await? => {}
                // Only the end of the connection can tell that such a body is whole.
                None => {
                    let after = self.rest.len();
                    let parsed = answer::parse(&self.rest, to_head, true)?;
                    self.rest.clear();
                    return parsed
                        .map(|(answer, _)| answer)
                        .ok_or(Lost::Broken { after, error: None });
                }
            }
        }
    }

    /// Reads more; false: the connection has ended in order.
    async fn read(&mut self) -> Result<bool, Lost> {
        let after = self.rest.len();
        if after > ANSWER_BYTES_MAX {
            return Err(Lost::TooLong);
        }
        let read = self.stream.read_buf(&mut self.rest).await;
        read.map(|count| count > 0).map_err(|error| Lost::Broken { after, error: Some(error) })
    }

    /// Waits for the program to end an idle connection, at most so long.
    pub(crate) async fn closed(&mut self, within: Duration) -> bool {
        let mut byte = [0; 1];
        let ended = async { !matches!(self.stream.read(&mut byte).await, Ok(1..)) };
        tokio::time::timeout(within, ended).await.unwrap_or(false)
    }
}

impl Answer {
    /// The first value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    /// Whether the request was understood and served.
    pub(crate) fn is_success(&self) -> bool {
        (200..400).contains(&self.status)
    }

    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(error) => write!(f, "the connection was refused ({error})"),
            Self::Broken { after: 0, error: None } => {
                f.write_str("the connection was closed without an answer")
            }
            Self::Broken { after, error: None } => {
                write!(f, "the connection was closed after {after} bytes of an answer")
            }
            Self::Broken { after: 0, error: Some(error) } => {
                write!(f, "the connection broke without an answer ({error})")
            }
            Self::Broken { after, error: Some(error) } => {
                write!(f, "the connection broke after {after} bytes of an answer ({error})")
            }
            Self::NotHttp => f.write_str("what came is no HTTP"),
            Self::TooLong => write!(f, "the answer is longer than {ANSWER_BYTES_MAX} bytes"),
            Self::TimedOut(within) => write!(f, "there was no answer within {within:?}"),
        }
    }
}
