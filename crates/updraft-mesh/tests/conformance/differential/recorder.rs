//! A server that writes down the bytes of each connection, and answers every whole request.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

use super::readers;

/// Long enough for bytes that are on their way between two processes of this machine.
const QUIET: Duration = Duration::from_millis(50);

/// What one connection brought, and when its last byte came.
#[derive(Debug)]
struct Record {
    bytes: Vec<u8>,
    last: Instant,
}

/// The server.
#[derive(Clone, Debug)]
pub(super) struct Recorder {
    pub(super) address: SocketAddr,
    records: Arc<Mutex<Vec<Record>>>,
}

impl Recorder {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let recorder = Self { address: listener.local_addr().unwrap(), records: Arc::default() };
        let serving = recorder.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let serving = serving.clone();
                tokio::spawn(async move { serving.record(stream).await });
            }
        });
        recorder
    }

    async fn record(&self, mut stream: TcpStream) {
        let index = {
            let mut records = self.records.lock().unwrap();
            records.push(Record { bytes: Vec::new(), last: Instant::now() });
            records.len() - 1
        };
        let (mut part, mut answered) = (vec![0; 16 * 1024], 0);
        while let Ok(count @ 1..) = stream.read(&mut part).await {
            let whole = {
                let mut records = self.records.lock().unwrap();
                let record = &mut records[index];
                record.bytes.extend_from_slice(&part[..count]);
                record.last = Instant::now();
                readers::lenient(&record.bytes)
            };
            while answered < whole.len() {
                let head = whole[answered].0.starts_with("HEAD ");
                let body = if head { "" } else { "seen" };
                let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n{body}");
                drop(stream.write_all(answer.as_bytes()).await);
                answered += 1;
            }
        }
    }

    /// Waits until nothing came for a while.
    pub(super) async fn is_quiet(&self) {
        loop {
            tokio::time::sleep(QUIET).await;
            let records = self.records.lock().unwrap();
            if records.iter().all(|record| record.last.elapsed() >= QUIET) {
                return;
            }
        }
    }

    /// What came, by connection; those that brought nothing are left out.
    pub(super) fn bytes(&self) -> Vec<Vec<u8>> {
        let records = self.records.lock().unwrap();
        records.iter().map(|it| it.bytes.clone()).filter(|it| !it.is_empty()).collect()
    }
}
