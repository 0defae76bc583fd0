//! Attached resources on one machine: what an embedded one is, how a private server
//! is prepared and run, and which ones are somewhere else.
//!
//! Nothing here starts a server: a [`ResourcePlan`] says what to run and how to see
//! that it is ready, and the supervisor does it.

mod attachments;
mod installed;
mod nats;
mod plan;
mod postgres;
pub(crate) mod private_file;
mod ready;
mod redis;
mod url;

pub use attachments::{AttachError, Attachments};
pub use installed::Programs;
pub use plan::{Planner, ResourceError, ResourcePlan, ServerPlan};
pub use ready::{NotReady, ServerReady};
pub use url::{InvalidUrl, ResourceUrl};
