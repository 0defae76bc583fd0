//! A server of HTTP/1 behind the gateway, which writes down every byte that reaches it.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::message::{Flaw, Message};
use super::until;

/// What reached it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) message: Message,
    /// Its bytes.
    pub(crate) raw: Vec<u8>,
    /// On which connection, from 0.
    pub(crate) connection: usize,
}

/// What came over its connections.
#[derive(Debug, Default)]
struct Records {
    seen: Vec<Seen>,
    /// What no message could be made of, by connection.
    left: Vec<(usize, Vec<u8>, Flaw)>,
    connections: usize,
    open: usize,
}

/// The server.
#[derive(Clone, Debug)]
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    records: Arc<Mutex<Records>>,
}

impl Seen {
    /// The request line.
    pub(crate) fn line(&self) -> &str {
        &self.message.start
    }

    /// A field in one line.
    pub(crate) fn value(&self, name: &str) -> Option<String> {
        self.message.value(name)
    }
}

impl Upstream {
    /// Answers each whole request with these bytes.
    pub(crate) async fn answering(answer: &'static [u8]) -> Self {
        Self::start(move |_| answer.to_vec()).await
    }

    /// Answers each whole request as `script` says; an answer that ends with the connection
    /// closes it.
    pub(crate) async fn start(script: impl Fn(&Seen) -> Vec<u8> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let upstream = Self { address, records: Arc::default() };
        let (serving, script) = (upstream.clone(), Arc::new(script));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (serving, script) = (serving.clone(), Arc::clone(&script));
                tokio::spawn(async move { serving.serve(stream, &*script).await });
            }
        });
        upstream
    }

    async fn serve(&self, mut stream: TcpStream, script: &(dyn Fn(&Seen) -> Vec<u8> + Sync)) {
        let connection = {
            let mut records = self.records.lock().unwrap();
            records.connections += 1;
            records.open += 1;
            records.connections - 1
        };
        let mut bytes = Vec::new();
        let flaw = loop {
            match Message::request(&bytes) {
                Ok((message, used)) => {
                    let raw = bytes.drain(..used).collect();
                    let seen = Seen { message, raw, connection };
                    let answer = script(&seen);
                    self.records.lock().unwrap().seen.push(seen);
                    drop(stream.write_all(&answer).await);
                    if is_until_close(&answer) {
                        break Flaw::Incomplete;
                    }
                    continue;
                }
                Err(flaw @ Flaw::Wrong(_)) => break flaw,
                Err(Flaw::Incomplete) => {}
            }
            bytes.reserve(16 * 1024);
            if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
                break Flaw::Incomplete;
            }
        };
        let mut records = self.records.lock().unwrap();
        records.open -= 1;
        if !bytes.is_empty() {
            records.left.push((connection, bytes, flaw));
        }
    }

    /// The requests so far, once there are so many.
    pub(crate) async fn seen(&self, count: usize) -> Vec<Seen> {
        until("requests behind the gateway", || self.records.lock().unwrap().seen.len() >= count)
            .await;
        self.now()
    }

    /// The requests so far.
    pub(crate) fn now(&self) -> Vec<Seen> {
        self.records.lock().unwrap().seen.clone()
    }

    /// Connections so far, and those that are open.
    pub(crate) fn connections(&self) -> (usize, usize) {
        let records = self.records.lock().unwrap();
        (records.connections, records.open)
    }

    /// What no message could be made of.
    pub(crate) fn left(&self) -> Vec<(usize, Vec<u8>, Flaw)> {
        self.records.lock().unwrap().left.clone()
    }
}

/// Whether an answer has no other end than that of its connection.
fn is_until_close(answer: &[u8]) -> bool {
    // A head is no longer than that here, and bodies may be.
    let start = &answer[..answer.len().min(1024)];
    let text = String::from_utf8_lossy(start).to_ascii_lowercase();
    let head = text.split("\r\n\r\n").next().unwrap_or_default();
    let framed = head.contains("\r\ncontent-length:") || head.contains("\r\ntransfer-encoding:");
    let bodiless = [" 1", " 204", " 304"].iter().any(|it| text[8..].starts_with(it));
    head.contains("connection: close") || !(framed || bodiless)
}
