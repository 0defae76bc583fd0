//! The memory of an idle process, and of one that holds ten thousand connections.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use updraft_measure::loader::request;
use updraft_measure::report::{Table, cell};

use crate::peer::{PEERS, Peer, Place, is_answered};

const CONNECTIONS: usize = 10_000;
/// How long one answer may take.
const ANSWER: Duration = Duration::from_secs(10);
const MIB: f64 = 1024.0 * 1024.0;

/// Idle after one request, then with connections that have asked once.
pub fn measure(place: &Place) -> Result<Table> {
    let mut rows = Vec::new();
    for peer in PEERS {
        let cells = match held(place, *peer) {
            Ok((idle, full)) => vec![
                cell(idle / MIB, 1),
                cell(full / MIB, 1),
                cell((full - idle) / 1024.0 / CONNECTIONS as f64, 1),
            ],
            Err(error) => vec![format!("{error}")],
        };
        rows.push((peer.title.to_owned(), cells));
    }
    Ok(Table {
        title: "Memory, idle and with 10,000 idle connections".to_owned(),
        head: &["", "idle MiB", "full MiB", "KiB for each"],
        rows,
    })
}

fn held(place: &Place, peer: Peer) -> Result<(f64, f64)> {
    let (mut child, address) = place.start(peer)?;
    child.wait_until(|| is_answered(address, "/"))?;
    drop(asked(address)?);
    let idle = child.resident() as f64;
    let connections: Result<Vec<_>> = (0..CONNECTIONS).map(|_| asked(address)).collect();
    let connections = connections.context("not all connections were held")?;
    let full = child.resident() as f64;
    let open = connections.iter().filter(|stream| is_open(stream)).count();
    ensure!(open == CONNECTIONS, "{} of the connections were closed", CONNECTIONS - open);
    Ok((idle, full))
}

/// A connection on which one request was answered.
fn asked(address: SocketAddr) -> Result<TcpStream> {
    let mut stream = TcpStream::connect(address)?;
    stream.write_all(&request("/"))?;
    stream.set_read_timeout(Some(ANSWER))?;
    let mut head = [0; 12];
    stream.read_exact(&mut head)?;
    ensure!(head == *b"HTTP/1.1 200", "the answer was {}", String::from_utf8_lossy(&head));
    Ok(stream)
}

/// Whether the other side has not closed it: all of an answer that has come may be read.
fn is_open(mut stream: &TcpStream) -> bool {
    let mut some = [0; 4096];
    stream.set_nonblocking(true).is_ok()
        && loop {
            match stream.read(&mut some) {
                Ok(0) => break false,
                Ok(_some) => {}
                Err(error) => break error.kind() == ErrorKind::WouldBlock,
            }
        }
}
