//! The gateway on every edge of the graph: identity, authorization, balancing, resilience,
//! traffic control, and what is seen on the wire. Programs know nothing of it.
//!
//! A [`Gateway`] goes by one [`GatewayConfig`](updraft_system::mesh::GatewayConfig), always the
//! full state, and takes a new one without dropping a connection. It runs on threads of its
//! own; the same code is inside `updraft up` and is the process `updraft gateway`.

mod activity;
mod admin;
mod attest;
mod balance;
mod connection;
mod door;
mod edge;
mod exchange;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
mod gate;
mod gateway;
pub mod handover;
mod identities;
mod identity;
pub mod instrument;
mod listener;
mod mutual;
mod observe;
mod operations;
mod phase;
mod policy;
mod pool;
mod proxied;
mod replay;
mod serve;
mod shared;
mod short_path;
mod snapshot;
mod taps;
mod target;
mod tcp;
mod telemetry;
mod traffic;
mod tunnel;
mod values;
mod worker;

pub use attest::{Attest, UserAttest};
pub use gateway::{Gateway, GatewayError, Options};
pub use identities::Certificates;
pub use identity::{
    AuthorityError, CertifyError, IssueError, LocalIssuer, OpenError, SealError, SealKey,
    SocketOwner, owns_socket,
};
pub use observe::EventSink;
pub use short_path::ShortPath;
pub use taps::{TapError, Taps};
