//! The client of a control's resource: one connection, which is made again when it breaks.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(1);
/// The same where there is no second attempt, which a slow machine may need.
const PATIENCE_ONCE: Duration = Duration::from_secs(5);

pub(super) struct Resource {
    address: String,
    /// Whether it waits for an answer without an end.
    patient: bool,
    reconnects: bool,
    pool: Mutex<Pool>,
}

enum Pool {
    Empty,
    Connected(BufReader<TcpStream>),
    Broken,
}

impl Resource {
    pub(super) fn new(address: String, patient: bool, reconnects: bool) -> Self {
        Self { address, patient, reconnects, pool: Mutex::new(Pool::Empty) }
    }

    /// What the resource says to a line; `None`: it is away.
    pub(super) fn ask(&self, line: &str) -> Option<String> {
        let mut pool = self.pool.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = matches!(&*pool, Pool::Connected(_));
        self.attempt(&mut pool, line)
            // A connection that was kept may have ended long ago: a new one tells.
            .or_else(|| (kept && self.reconnects).then(|| self.attempt(&mut pool, line))?)
    }

    fn attempt(&self, pool: &mut Pool, line: &str) -> Option<String> {
        let connection = match std::mem::replace(pool, Pool::Empty) {
            Pool::Connected(connection) => Ok(connection),
            Pool::Empty => self.connect(),
            Pool::Broken => Err(io::ErrorKind::NotConnected.into()),
        };
        let asked = connection.and_then(|connection| talk(connection, line));
        match asked {
            Ok((answer, connection)) => {
                *pool = Pool::Connected(connection);
                Some(answer)
            }
            Err(_) => {
                *pool = if self.reconnects { Pool::Empty } else { Pool::Broken };
                None
            }
        }
    }

    fn connect(&self) -> io::Result<BufReader<TcpStream>> {
        let stream = TcpStream::connect(&self.address)?;
        let patience = if self.reconnects { PATIENCE } else { PATIENCE_ONCE };
        stream.set_read_timeout((!self.patient).then_some(patience))?;
        Ok(BufReader::new(stream))
    }
}

fn talk(
    mut connection: BufReader<TcpStream>,
    line: &str,
) -> io::Result<(String, BufReader<TcpStream>)> {
    connection.get_mut().write_all(format!("{line}\n").as_bytes())?;
    let mut answer = String::new();
    if connection.read_line(&mut answer)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok((answer.trim_end().to_owned(), connection))
}
