//! The laws of a SQL database, on each kind of it, with a real server.

#[cfg(test)]
mod away;
#[cfg(test)]
mod bench;
#[cfg(test)]
mod errors;
#[cfg(test)]
mod laws;
#[cfg(test)]
mod migrations;
#[cfg(test)]
#[expect(dead_code, reason = "these tests speak no HTTP")]
#[path = "../process/support.rs"]
mod support;
#[cfg(test)]
mod transactions;
#[cfg(test)]
mod values;
#[cfg(test)]
mod verbs;

#[cfg(test)]
use bench::{Bench, PATIENCE, each, open, until};
