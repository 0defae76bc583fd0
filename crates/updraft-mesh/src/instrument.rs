//! Instruments on the wire: hold, cut, stall, delay, swap, count.
//!
//! Whoever carries the bytes can stop them at a chosen moment: after a database has committed
//! and before the caller knows, between two messages, in the middle of a reply. An audit finds
//! out that way what a program makes of it, and a fault is injected the same way.
//!
//! There is one [`Instrument`] for each edge. Switched off it costs one relaxed load. Two
//! places ask it: the gateway for each HTTP request ([`Instrument::before_request`],
//! [`Instrument::before_response`], [`Body`]) and the [`stream::relay`] for each message of
//! PostgreSQL ([`postgres`]), of Redis ([`redis`]) or for whatever bytes come.

mod body;
mod connection;
mod control;
mod count;
mod event;
mod exchange;
mod frame;
mod message;
pub mod postgres;
pub mod redis;
mod setting;
pub mod stream;
mod text;
mod verdict;

pub use body::{Body, BodyError};
pub use connection::Connection;
pub use control::{Epoch, Instrument};
pub use count::{Counts, KindCount};
pub use event::{EVENTS_MAX, Event, Events, What};
pub use exchange::{Decision, HTTP_REQUEST, HTTP_RESPONSE, Request, Response};
pub use frame::Malformed;
pub use message::{ConnectionId, Direction, Message, Role};
pub use setting::{Existing, Filter, Manner, Patience, Setting, Target, TooLong, When};
pub use text::{TEXT_MAX, Text};
