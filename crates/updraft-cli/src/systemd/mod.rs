//! What we and systemd say to each other: how a unit is written, and how a service tells
//! that it is ready.

mod notify;
mod quote;
mod unit;

pub(crate) use notify::Notifier;
pub(crate) use unit::{Owner, Unit, stop_within};
