//! The addresses of resources; they cross processes, so their type is one of `updraft-system`.

pub(super) use updraft_system::UnfitUrl;
pub use updraft_system::{InvalidUrl, ResourceUrl};
