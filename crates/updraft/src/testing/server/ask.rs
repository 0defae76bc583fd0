//! Asking until there is an answer, and the few words of Redis and NATS that this needs. The
//! kit speaks them itself so that it needs no feature of the crate but its own.

use std::io::{BufRead as _, BufReader, Error, ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use rustix::event::{Timespec, poll};

/// How long anything may take that a server is asked for.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// From one question to the next.
const PAUSE: Timespec = Timespec { tv_sec: 0, tv_nsec: 4_000_000 };

/// The longest a server may be silent within one answer.
const SILENCE: Duration = Duration::from_secs(10);

/// The longest answer that is read.
const ANSWER_BYTES: u64 = 1024 * 1024;

/// Asks until there is an answer, or `patience` is over.
pub(super) fn until<T>(patience: Duration, mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(answer) = ask() {
            return Some(answer);
        }
        if Instant::now() >= deadline {
            return None;
        }
        // There is nothing to be woken by: a server does not tell when it is ready.
        if poll(&mut [], Some(&PAUSE)).is_err() {
            // A signal ended the pause, and the question comes earlier.
        }
    }
}

/// A connection to a server that speaks in lines.
pub(super) struct Lines {
    stream: BufReader<TcpStream>,
}

impl Lines {
    pub(super) fn connect(port: u16) -> Result<Self, Error> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let stream = TcpStream::connect_timeout(&address, SILENCE)?;
        stream.set_read_timeout(Some(SILENCE))?;
        stream.set_write_timeout(Some(SILENCE))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream: BufReader::new(stream) })
    }

    pub(super) fn say(&mut self, text: &str) -> Result<(), Error> {
        self.stream.get_mut().write_all(text.as_bytes())
    }

    /// The next line, without its end.
    pub(super) fn line(&mut self) -> Result<String, Error> {
        let mut line = String::new();
        (&mut self.stream).take(ANSWER_BYTES).read_line(&mut line)?;
        if line.is_empty() {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        Ok(line.trim_end().to_owned())
    }

    /// The next so many bytes and the line end behind them.
    pub(super) fn body(&mut self, bytes: u64) -> Result<Vec<u8>, Error> {
        if bytes > ANSWER_BYTES {
            return Err(Error::new(ErrorKind::InvalidData, "the answer is too long"));
        }
        let mut body = Vec::new();
        (&mut self.stream).take(bytes).read_to_end(&mut body)?;
        self.line()?;
        Ok(body)
    }
}
