//! The program behind the proxies: it answers as cheaply as it can, for it shares a processor
//! with the loader.

use std::collections::HashMap;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd as _;

use anyhow::Result;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::fd::OwnedFd;

/// The largest head of a request that is read.
const HEAD_BYTES: usize = 8 * 1024;

struct Connection {
    stream: TcpStream,
    head: Vec<u8>,
    unsent: &'static [u8],
}

/// Answers `GET /64k` with 64 KiB, all other requests with 1 KiB, until it is ended.
pub fn serve(address: SocketAddr) -> Result<()> {
    let bodies = [leaked_response(1024), leaked_response(64 * 1024)];
    let listener = TcpListener::bind(address)?;
    let poll = epoll::create(CreateFlags::CLOEXEC)?;
    let own = u64::try_from(listener.as_raw_fd())?;
    epoll::add(&poll, &listener, EventData::new_u64(own), EventFlags::IN)?;
    let mut connections: HashMap<u64, Connection> = HashMap::new();
    let mut events = Vec::with_capacity(256);
    loop {
        events.clear();
        epoll::wait(&poll, rustix::buffer::spare_capacity(&mut events), None)?;
        for event in &events {
            let id = event.data.u64();
            if id == own {
                let (key, connection) = accept(&listener, &poll)?;
                connections.insert(key, connection);
            } else if let Some(connection) = connections.get_mut(&id)
                && !connection.proceed(&bodies, &poll, id)
            {
                connections.remove(&id);
            }
        }
    }
}

fn accept(listener: &TcpListener, poll: &OwnedFd) -> Result<(u64, Connection)> {
    let (stream, _) = listener.accept()?;
    stream.set_nonblocking(true)?;
    stream.set_nodelay(true)?;
    let key = u64::try_from(stream.as_raw_fd())?;
    epoll::add(poll, &stream, EventData::new_u64(key), EventFlags::IN)?;
    Ok((key, Connection { stream, head: Vec::new(), unsent: &[] }))
}

/// It lives as long as the process.
fn leaked_response(bytes: usize) -> &'static [u8] {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length:";
    format!("{head} {bytes}\r\n\r\n{}", "x".repeat(bytes)).into_bytes().leak()
}

impl Connection {
    /// Reads and writes what is possible now; `false` when the connection has ended.
    fn proceed(&mut self, bodies: &[&'static [u8]; 2], poll: &OwnedFd, id: u64) -> bool {
        let waited = !self.unsent.is_empty();
        if !waited {
            let mut buffer = [0; HEAD_BYTES];
            match self.stream.read(&mut buffer) {
                Ok(0) => return false,
                Ok(count) => self.head.extend_from_slice(&buffer[..count]),
                Err(error) => return error.kind() == ErrorKind::WouldBlock,
            }
            if !self.head.ends_with(b"\r\n\r\n") {
                return self.head.len() < HEAD_BYTES;
            }
            self.unsent = bodies[usize::from(self.head.starts_with(b"GET /64k"))];
            self.head.clear();
        }
        if !self.send() {
            return false;
        }
        let waits = !self.unsent.is_empty();
        let interest = if waits { EventFlags::OUT } else { EventFlags::IN };
        waits == waited
            || epoll::modify(poll, &self.stream, EventData::new_u64(id), interest).is_ok()
    }

    fn send(&mut self) -> bool {
        while !self.unsent.is_empty() {
            match self.stream.write(self.unsent) {
                Ok(count) => self.unsent = &self.unsent[count..],
                Err(error) => return error.kind() == ErrorKind::WouldBlock,
            }
        }
        true
    }
}
