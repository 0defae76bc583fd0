//! The addresses of resources; they cross processes, so their type is one of `updraft-system`.

pub use updraft_system::{InvalidUrl, ResourceUrl, UnfitUrl};
