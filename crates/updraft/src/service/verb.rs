//! What a service can be asked to do; each verb is one file.

pub(super) mod attachments;
pub(super) mod call;
pub(super) mod config;
pub(super) mod contract;
pub(super) mod health;
pub(super) mod jobs;
pub(super) mod migrate;
pub(super) mod process;
pub(super) mod sql;
pub(super) mod task;
pub(super) mod version;
