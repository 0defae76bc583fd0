//! The laws of a cache, on every kind, with a real server.

#[cfg(test)]
mod away;
#[cfg(test)]
mod laws;
#[cfg(test)]
mod support;
