//! From the start of a process to its first answer.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::Result;
use updraft_measure::child::START;
use updraft_measure::report::{Table, cell, median};

use crate::Effort;
use crate::peer::{PEERS, Place, is_answered};

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
        if is_answered(address, "/items/1") {
            return begin.elapsed().as_secs_f64() * 1000.0;
        }
        std::thread::park_timeout(Duration::from_micros(200));
    }
    f64::NAN
}
