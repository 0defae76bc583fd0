//! The memory of an idle process, and of one that holds ten thousand connections.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use anyhow::{Context as _, Result};
use updraft_measure::loader::request;
use updraft_measure::report::{Table, cell};

use crate::peer::{PEERS, Peer, Place};

const CONNECTIONS: usize = 10_000;
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
    child.wait_for(address)?;
    drop(asked(address)?);
    let idle = child.resident() as f64;
    let connections: Result<Vec<_>> = (0..CONNECTIONS).map(|_| asked(address)).collect();
    let connections = connections.context("not all connections were held")?;
    let full = child.resident() as f64;
    drop(connections);
    Ok((idle, full))
}

/// A connection on which one request was answered.
fn asked(address: SocketAddr) -> Result<TcpStream> {
    let mut stream = TcpStream::connect(address)?;
    stream.write_all(&request("/"))?;
    let mut head = [0; 64];
    let _some = stream.read(&mut head)?;
    Ok(stream)
}
