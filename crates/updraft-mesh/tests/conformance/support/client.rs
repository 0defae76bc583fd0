//! A client of HTTP/1 that sends what it is told, byte for byte.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::DEADLINE;
use super::message::{Flaw, Message, Unframed};

/// One connection.
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    buffer: Vec<u8>,
    ended: bool,
}

/// An answer.
#[derive(Clone, Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) message: Message,
    pub(crate) body: Vec<u8>,
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, buffer: Vec::new(), ended: false }
    }

    /// Sends bytes; that nobody takes them any more is no failure of the test.
    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        drop(timeout(DEADLINE, self.stream.write_all(bytes)).await.unwrap());
    }

    /// The next answer to anything but HEAD.
    pub(crate) async fn response(&mut self) -> Response {
        self.answer(false).await.unwrap()
    }

    /// The next answer; `None`: the connection ended before it was whole.
    pub(crate) async fn answer(&mut self, to_head: bool) -> Option<Response> {
        loop {
            let unframed = if self.ended { Unframed::Rest } else { Unframed::Open };
            match Message::response(&self.buffer, to_head, unframed) {
                Ok((message, used)) => {
                    self.buffer.drain(..used);
                    let body = message.body.clone();
                    return Some(Response { status: message.status(), message, body });
                }
                Err(Flaw::Wrong(what)) => {
                    panic!("{what} in {}", self.buffer.escape_ascii())
                }
                Err(Flaw::Incomplete) if self.ended => return None,
                Err(Flaw::Incomplete) => self.read().await,
            }
        }
    }

    /// Everything that comes until the connection ends.
    pub(crate) async fn rest(&mut self) -> Vec<u8> {
        while !self.ended {
            self.read().await;
        }
        std::mem::take(&mut self.buffer)
    }

    /// Whether the connection has ended with nothing more said; waits for the end.
    pub(crate) async fn is_closed(&mut self) -> bool {
        self.rest().await.is_empty()
    }

    /// All statuses until the end.
    pub(crate) async fn statuses(&mut self) -> Vec<u16> {
        let mut statuses = Vec::new();
        while let Some(response) = self.answer(false).await {
            statuses.push(response.status);
        }
        statuses
    }

    async fn read(&mut self) {
        self.buffer.reserve(16 * 1024);
        let read = timeout(DEADLINE, self.stream.read_buf(&mut self.buffer)).await;
        // A reset is an end.
        self.ended |= read.unwrap().unwrap_or(0) == 0;
    }
}

impl Response {
    /// A field in one line.
    pub(crate) fn value(&self, name: &str) -> Option<String> {
        self.message.value(name)
    }
}
