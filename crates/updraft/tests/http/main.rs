//! The listener as a real process: what clients of all kinds, also bad ones, can do to it.

#[cfg(test)]
mod admission;
#[cfg(test)]
mod browser;
#[cfg(test)]
mod drain;
#[cfg(test)]
mod idle;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod sockets;
#[cfg(test)]
#[path = "../process/support.rs"]
#[expect(dead_code, reason = "it serves other tests too")]
mod support;
#[cfg(test)]
#[cfg(feature = "tls")]
mod tls;
#[cfg(test)]
#[cfg(feature = "ws")]
mod websocket;
#[cfg(test)]
mod wire;
