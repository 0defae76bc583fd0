//! The chassis as a real process: real sockets, real signals, real databases.

#[cfg(test)]
mod client;
#[cfg(test)]
mod drain;
#[cfg(test)]
mod start;
#[cfg(test)]
#[expect(dead_code, reason = "it serves other tests too")]
mod support;
#[cfg(test)]
mod web;
