//! The composed gateway under use and under faults: real sockets, real servers that fail on
//! command, real programs of others. Each test is a law of the whole, not of one part.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on says so by panicking"
)]

mod admission;
mod authorization;
mod balance;
mod deadlines;
mod drain;
mod faults;
mod grpc;
mod half_closed;
#[path = "../held/mod.rs"]
mod held;
mod ingress;
mod interim;
mod load;
mod mutual;
mod observe;
mod retries;
mod rotation;
mod streaming;
mod support;
mod swaps;
mod traffic;
mod websocket;
