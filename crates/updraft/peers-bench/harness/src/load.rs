//! What a request costs, and how long it takes.

use anyhow::Result;
use updraft_measure::loader::Load;
use updraft_measure::report::{Table, cell, median};

use crate::Effort;
use crate::peer::{PEERS, Peer, Place, is_answered};

/// What is asked.
const CASES: &[(&str, &str)] = &[("hello", "/"), ("JSON from SQLite", "/items/4711")];
/// Connections that ask again at once.
const CONNECTIONS: &[usize] = &[8, 64];
/// At this share of what the slowest peer can do, so that all have the same to do.
const PACE_SHARE: f64 = 0.5;

const HEAD: &[&str] = &["", "µs of processor", "of bare axum", "requests/s", "p50 µs", "p99 µs"];

/// The windows of one peer in one case.
#[derive(Default)]
struct Seen {
    rates: Vec<f64>,
    processor: Vec<f64>,
    p50: Vec<f64>,
    p99: Vec<f64>,
}

/// One table for each case and number of connections.
pub fn measure(place: &Place, effort: Effort, done: &mut impl FnMut(Table)) -> Result<()> {
    for (title, path) in CASES {
        for connections in CONNECTIONS {
            let title = format!("{title}, {connections} connections");
            done(case(place, effort, title, path, *connections)?);
        }
    }
    Ok(())
}

fn case(
    place: &Place,
    effort: Effort,
    title: String,
    path: &'static str,
    connections: usize,
) -> Result<Table> {
    let mut seen: Vec<Seen> = PEERS.iter().map(|_| Seen::default()).collect();
    let load = Load { path, connections, pace: None };
    // Each round asks every peer, so that a slow minute of the machine is everybody's; every
    // other one goes backwards, so that nobody always comes after the same.
    for round in 0..effort.rounds {
        for index in turns(round) {
            ask(place, effort, PEERS[index], load, |_window, rate, processor| {
                seen[index].rates.push(rate);
                seen[index].processor.push(processor);
            })?;
        }
    }
    let slowest = seen.iter().map(|seen| median(seen.rates.clone())).fold(f64::MAX, f64::min);
    let paced = Load { pace: Some(slowest * PACE_SHARE), ..load };
    for round in 0..effort.rounds {
        for index in turns(round) {
            ask(place, effort, PEERS[index], paced, |window, _, _| {
                let micros = |percent| window.percentile(percent).as_nanos() as f64 / 1000.0;
                seen[index].p50.push(micros(50));
                seen[index].p99.push(micros(99));
            })?;
        }
    }
    let floor = seen.first().map_or_else(Vec::new, |bare| bare.processor.clone());
    let rows = PEERS.iter().zip(&seen).map(|(peer, seen)| {
        // Round by round: both had the same machine.
        let ratios = floor.iter().zip(&seen.processor).map(|(floor, own)| floor / own);
        let cells = vec![
            cell(median(seen.processor.clone()), 1),
            cell(median(ratios), 2),
            cell(median(seen.rates.clone()), 0),
            cell(median(seen.p50.clone()), 0),
            cell(median(seen.p99.clone()), 0),
        ];
        (peer.title.to_owned(), cells)
    });
    let pace = slowest * PACE_SHARE;
    Ok(Table {
        title: format!("{title} (times at {pace:.0} requests/s)"),
        head: HEAD,
        rows: rows.collect(),
    })
}

/// Whose turn it is in a round, one after the other.
fn turns(round: usize) -> Vec<usize> {
    let forwards = 0..PEERS.len();
    if round.is_multiple_of(2) { forwards.collect() } else { forwards.rev().collect() }
}

fn ask(
    place: &Place,
    effort: Effort,
    peer: Peer,
    load: Load,
    mut note: impl FnMut(&updraft_measure::loader::Window, f64, f64),
) -> Result<()> {
    let (mut child, address) = place.start(peer)?;
    child.wait_until(|| is_answered(address, load.path))?;
    let window = load.run(address, effort.window / 4, effort.window, || child.processor_time())?;
    let requests = window.requests as f64;
    let rate = requests / window.elapsed.as_secs_f64();
    note(&window, rate, window.processor as f64 / requests / 1000.0);
    Ok(())
}
