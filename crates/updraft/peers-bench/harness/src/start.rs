//! From the start of a process to its first answer.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::Result;
use updraft_measure::child::START;
use updraft_measure::loader::request;
use updraft_measure::report::{Table, cell, median};

use crate::Effort;
use crate::peer::{PEERS, Place};

/// Starts of each peer in each round.
const STARTS: usize = 10;

/// Milliseconds to the first answer with a row of the database.
pub fn measure(place: &Place, effort: Effort) -> Result<Table> {
    let mut seen: Vec<Vec<f64>> = PEERS.iter().map(|_| Vec::new()).collect();
    for _ in 0..effort.rounds * STARTS {
        for (peer, seen) in PEERS.iter().zip(&mut seen) {
            let begin = Instant::now();
            let (_child, address) = place.start(*peer)?;
            seen.push(answered(address, begin));
        }
    }
    let floor = seen.first().map_or(f64::NAN, |bare| median(bare.clone()));
    let rows = PEERS.iter().zip(&seen).map(|(peer, seen)| {
        let middle = median(seen.clone());
        (peer.title.to_owned(), vec![cell(middle, 1), cell(middle / floor, 2)])
    });
    Ok(Table {
        title: "From the start to the first answer from the database".to_owned(),
        head: &["", "ms", "of bare axum"],
        rows: rows.collect(),
    })
}

fn answered(address: SocketAddr, begin: Instant) -> f64 {
    while begin.elapsed() < START {
        if once(address).is_some() {
            return begin.elapsed().as_secs_f64() * 1000.0;
        }
        std::thread::park_timeout(Duration::from_micros(200));
    }
    f64::NAN
}

fn once(address: SocketAddr) -> Option<()> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(1))).ok()?;
    stream.write_all(&request("/items/1")).ok()?;
    let mut head = [0; 12];
    stream.read_exact(&mut head).ok()?;
    (&head == b"HTTP/1.1 200").then_some(())
}
