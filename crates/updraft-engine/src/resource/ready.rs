//! When a server is ready: it gives the right first answer on its port. Asking in its
//! own protocol needs no client program, and a port that merely accepts connections
//! (Redis while it loads, PostgreSQL while it recovers) does not count.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The longest answer that is read; the expected ones are much shorter.
const ANSWER_BYTES_MAX: usize = 512;

/// Which line of PostgreSQL's lock file holds its status, from 0.
const LOCK_STATUS_LINE: usize = 7;

/// What to say to a server on the loopback interface, and how a ready one answers.
#[derive(Clone, PartialEq, Eq)]
pub struct ServerReady {
    pub(crate) port: u16,
    /// May hold the password.
    pub(crate) say: Vec<u8>,
    pub(crate) expect: &'static [u8],
    /// PostgreSQL's lock file. It logs an error for each client that comes too early,
    /// and tells here that it is too early.
    pub(crate) lock: Option<PathBuf>,
}

/// Why a server is not ready.
#[derive(Debug, thiserror::Error)]
pub enum NotReady {
    /// No connection, or it broke.
    #[error("no answer on port {port}")]
    Connection {
        /// The port asked.
        port: u16,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// It did not answer in time.
    #[error("no answer on port {port} within {within:?}")]
    TimedOut {
        /// The port asked.
        port: u16,
        /// How long was waited.
        within: Duration,
    },
    /// It says itself that it is not ready.
    #[error("the server is not ready: {status}")]
    Starting {
        /// Its word for it.
        status: String,
    },
    /// It answers, and not as a ready server does.
    #[error("port {port} answers `{answer}`")]
    NotYet {
        /// The port asked.
        port: u16,
        /// The start of the answer.
        answer: String,
    },
}

impl ServerReady {
    /// Asks once.
    pub async fn check(&self, within: Duration) -> Result<(), NotReady> {
        let port = self.port;
        if let Some(status) = self.early().await {
            return Err(NotReady::Starting { status });
        }
        match tokio::time::timeout(within, self.ask()).await {
            Ok(Ok(answer)) if answer.starts_with(self.expect) => Ok(()),
            Ok(Ok(answer)) => Err(NotReady::NotYet { port, answer: printable(&answer) }),
            Ok(Err(source)) => Err(NotReady::Connection { port, source }),
            Err(_) => Err(NotReady::TimedOut { port, within }),
        }
    }

    /// What the lock file says, unless that is ready. Without a file, or with one that a
    /// killed server has left, nobody listens and asking does no harm.
    async fn early(&self) -> Option<String> {
        let text = tokio::fs::read_to_string(self.lock.as_ref()?).await.ok()?;
        let status = text.lines().nth(LOCK_STATUS_LINE).unwrap_or("starting").trim();
        (status != "ready").then(|| status.to_owned())
    }

    async fn ask(&self) -> std::io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await?;
        stream.write_all(&self.say).await?;
        let mut answer = Vec::new();
        let mut piece = [0; ANSWER_BYTES_MAX];
        // As long as what came could still become the expected answer.
        while answer.len() < self.expect.len() && self.expect.starts_with(&answer) {
            match stream.read(&mut piece).await? {
                0 => break,
                read => answer.extend_from_slice(&piece[..read]),
            }
        }
        Ok(answer)
    }
}

fn printable(answer: &[u8]) -> String {
    let text = String::from_utf8_lossy(answer);
    let kept = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(120);
    kept.collect::<String>().trim().to_owned()
}

impl fmt::Debug for ServerReady {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerReady").field("port", &self.port).finish_non_exhaustive()
    }
}
