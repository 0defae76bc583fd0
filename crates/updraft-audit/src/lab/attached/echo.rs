//! A server that gives back each line: what controls need of a resource. `set NAME VALUE` is
//! remembered, `get NAME` gives it back, and `take NAME` says who was `first`.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// The longest line, in bytes.
const LINE_BYTES_MAX: u64 = 64 * 1024;

/// Gives back what it gets. Dropped, it is closed.
#[derive(Debug)]
pub(super) struct Echo {
    address: SocketAddr,
    accepting: JoinHandle<()>,
}

impl Echo {
    pub(super) async fn open() -> std::io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let accepting = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            let memory = Arc::<Mutex<Memory>>::default();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(give_back(stream, Arc::clone(&memory)));
            }
        });
        Ok(Self { address, accepting })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// What is remembered for all who ask. It lives as long as a trial.
#[derive(Debug, Default)]
struct Memory {
    values: BTreeMap<String, String>,
    taken: BTreeSet<String>,
}

impl Memory {
    fn answer(&mut self, line: &str) -> String {
        let words: Vec<_> = line.trim_end().splitn(3, ' ').collect();
        match words.as_slice() {
            ["set", name, value] => {
                self.values.insert((*name).to_owned(), (*value).to_owned());
                "ok\n".to_owned()
            }
            ["get", name] => {
                format!("{}\n", self.values.get(*name).map(String::as_str).unwrap_or_default())
            }
            ["take", name] if self.taken.insert((*name).to_owned()) => "first\n".to_owned(),
            ["take", _] => "taken\n".to_owned(),
            _ => line.to_owned(),
        }
    }
}

async fn give_back(stream: TcpStream, memory: Arc<Mutex<Memory>>) {
    let mut stream = BufReader::new(stream);
    loop {
        let mut line = String::new();
        let read = (&mut stream).take(LINE_BYTES_MAX).read_line(&mut line).await;
        if !matches!(read, Ok(1..)) {
            return;
        }
        let answer = memory.lock().unwrap_or_else(PoisonError::into_inner).answer(&line);
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}
