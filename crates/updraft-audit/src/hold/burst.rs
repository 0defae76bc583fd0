//! Requests of a quick program, caught under way: a burst of them, the whole program stopped in
//! the middle, and those counted that it has read and not answered.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::{Bench, Gate, Held, Running, Way, reading, resume, undisturbed};
use crate::lab::client::{Connection, Request};
use crate::lab::process;

/// Requests of one burst.
const BURST: usize = 8;
/// How long is tried.
const TRIED: Duration = Duration::from_secs(2);
/// The most times that others may run between the last byte and the stop.
const YIELDS_MAX: u32 = 60;
/// How long processes may take to stop.
const STOPPED: Duration = Duration::from_millis(200);

pub(super) async fn hold(bench: &Bench, running: &Running) -> Result<Held, String> {
    let mut usable = None;
    for request in reading(&bench.subject) {
        if let Some(status) = undisturbed(bench, running, &request).await {
            usable = Some((request, status));
            break;
        }
    }
    let Some((request, status)) = usable else {
        return Err("no request was answered".to_owned());
    };
    let until = Instant::now() + bench.limit(TRIED);
    while Instant::now() < until {
        if let Some(held) = attempt(running, &request).await {
            return Ok(Held { undisturbed: Some(status), ..held });
        }
    }
    Err("no request could be caught under way".to_owned())
}

async fn attempt(running: &Running, request: &Request) -> Option<Held> {
    let mut connections = Vec::new();
    for _ in 0..BURST {
        connections.push(Connection::open(running.address()).await.ok()?);
    }
    let processes = running.program();
    let sends = connections.iter_mut().map(|connection| connection.send(request, false));
    let sent = futures_util::future::join_all(sends).await;
    // At another point of their way each time; a timer is too coarse for that.
    for _ in 0..fastrand::u32(..YIELDS_MAX) {
        tokio::task::yield_now().await;
    }
    processes.iter().for_each(|process| process.signal(Signal::STOP));
    if sent.iter().any(Result::is_err) || !process::stand_still(&processes, STOPPED).await {
        resume(&processes);
        return None;
    }
    let (mut caught, mut others) = (Vec::new(), Vec::new());
    let silent = connections.iter().map(Connection::is_silent);
    let silent = futures_util::future::join_all(silent).await;
    for (connection, silent) in connections.into_iter().zip(silent) {
        let under_way = silent && running.has_read(&connection);
        if under_way { &mut caught } else { &mut others }.push(connection);
    }
    if caught.is_empty() {
        resume(&processes);
        for connection in &mut others {
            // Only so that the program is idle again.
            drop(tokio::time::timeout(STOPPED, connection.answer(false)).await);
        }
        return None;
    }
    let what = format!("{} {}", request.method, request.target);
    let gate = Gate::Stopped(processes);
    Some(Held { way: Way::Burst, what, undisturbed: None, connections: caught, gate })
}
