//! The laws of a policy as a whole, through its public interface and on a clock that is turned
//! by hand: what the parts do together, in their one order.
//!
//! `cfg(test)` always holds here; it tells clippy that all of this is tests.

#[cfg(test)]
mod around;
#[cfg(test)]
mod blocking;
#[cfg(test)]
mod cancel;
#[cfg(test)]
#[cfg(feature = "serde")]
mod env;
#[cfg(test)]
mod events;
#[cfg(test)]
mod hedge;
#[cfg(test)]
mod operate;
#[cfg(test)]
mod order;
#[cfg(test)]
mod panics;
#[cfg(test)]
mod queue;
#[cfg(test)]
mod random;
#[cfg(test)]
mod rig;
#[cfg(test)]
mod size;
#[cfg(test)]
#[cfg(feature = "tokio")]
mod storm;
#[cfg(test)]
mod time;
#[cfg(test)]
#[cfg(feature = "tokio")]
mod timers;
#[cfg(test)]
#[cfg(all(feature = "tower", feature = "tokio"))]
mod tower;
