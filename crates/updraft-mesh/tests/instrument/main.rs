//! The instruments on real wires: a relay between real clients and real servers, compared with
//! clients that connect directly.
//!
//! `cfg(test)` always holds here; it tells clippy that all of this is tests.

#[cfg(test)]
#[path = "../held/mod.rs"]
mod held;
#[cfg(test)]
mod postgres;
#[cfg(test)]
mod redis;
#[cfg(test)]
mod servers;
