//! The chassis as a real process: real sockets, real signals, real databases.

#[cfg(test)]
mod client;
#[cfg(test)]
mod drain;
#[cfg(test)]
mod start;
#[cfg(test)]
mod support;
#[cfg(test)]
mod web;
