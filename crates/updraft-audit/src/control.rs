//! The programs that a probe judges before it judges anybody else's: a small HTTP server that
//! keeps the twelve factors, and the same with one thing wrong.
//!
//! It uses threads and nothing of tokio: a control must not share a fault with the audit.

mod begin;
mod behaviour;
mod journal;
mod queue;
mod serve;
pub(crate) mod site;
mod surroundings;
mod task;

use std::io::{self, Write as _};
use std::process::ExitCode;

pub(crate) use behaviour::Behaviour;
pub(crate) use queue::{LEASE, QUEUE};

/// Runs as a control. `words` are its behaviours, with commas between them.
pub(crate) fn main(words: &str) -> io::Result<ExitCode> {
    let behaviours = Behaviour::parse_all(words)
        .ok_or_else(|| io::Error::other(format!("no control has a behaviour among `{words}`")))?;
    let other = task::run(&behaviours).or_else(|| queue::run(&behaviours));
    other.unwrap_or_else(|| serve::run(&behaviours))
}

/// Says a line at once, as a program should.
fn say(line: &str) {
    let mut out = io::stdout().lock();
    // Whoever does not read has no say in what is served.
    drop(out.write_all(format!("{line}\n").as_bytes()).and_then(|()| out.flush()));
}
