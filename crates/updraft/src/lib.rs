//! Write services that keep the twelve factors by construction.
//!
//! One binary holds all process types and admin tasks of a service; the first argument
//! picks one. Configuration is the environment, all of it is checked before anything is
//! connected, and a signal drains the process without losing a request or a job.
//!
//! ```no_run
//! use updraft::http::{Router, get};
//! use updraft::{Api, App, Ctx, Exit};
//!
//! /// What the greeter reads from its environment.
//! #[derive(App)]
//! struct Greeter {
//!     /// What visitors are told
//!     #[env(default = "hello")]
//!     greeting: String, // GREETING
//! }
//!
//! async fn greet(app: Ctx<Greeter>) -> String {
//!     app.greeting.clone()
//! }
//!
//! fn main() -> Exit {
//!     updraft::service!(Greeter).api(Api::new().router(Router::new().route("/", get(greet)))).main()
//! }
//! ```

// `#[derive(App)]` names this crate as its users do; our own tests use it too.
#[cfg(test)]
extern crate self as updraft;

mod admin;
mod api;
mod app;
mod attachment;
mod auth;
mod blobs;
mod cache;
mod client;
mod clock;
mod config;
mod contract;
mod cron;
mod drain;
mod health;
pub mod http;
mod idempotency;
mod in_hand;
mod jobs;
mod log;
mod metrics;
mod migration;
#[cfg(doctest)]
mod pages;
mod problem;
mod process;
mod queue;
mod release;
mod service;
pub mod sql;
mod telemetry;
#[cfg(feature = "testing")]
pub mod testing;
pub mod trace;
mod watchdog;
mod web;

pub use api::{Api, ApiFault, Declaration, Input, Method, Operation, Output, Received};
pub use app::{App, Ctx, Field, FieldSpec};
pub use attachment::{AttachError, Attaching};
pub use auth::{Caller, Claims, ClaimsError};
pub use blobs::{Blob, BlobError, BlobInfo, BlobVersion, Blobs, BlobsParsed, BlobsUrl};
pub use cache::{Cache, CacheError, CacheUrl};
pub use client::{Call, CallError, Callee, Client, Reply, ServiceUrl, Untyped};
pub use config::{
    Bounded, Bounds, BoundsError, ByteSize, Config, ConfigReport, Invalid, Secret, SecretError,
    Variable,
};
pub use contract::Shape;
pub use cron::{Fire, Missed, Overlap, Schedule, ScheduleError};
pub use drain::Stop;
pub use health::Condition;
pub use idempotency::{Idempotency, IdempotencyKey, RecordError, Recorded};
pub use jobs::{Job, JobBackoff, JobError, JobPolicy, Jobs, Run, Scheduled};
pub use log::{InvalidLogLevel, LogControl, LogLevel, Redacted};
pub use metrics::{Counter, Gauge, Histogram, Instrument, Instruments, Labelled, Measured, Meter};
pub use migration::{MigrateError, Migration, SchemaState};
pub use problem::{Error, Fault, Problem, ProblemDetails, ProblemKind};
pub use queue::{
    Attempt, EnqueueError, Enqueued, JobRecord, JobState, Queue, QueueCounts, QueueError, QueueUrl,
    Retried, StoreError,
};
pub use release::Release;
pub use service::Service;
pub use sql::{Sql, SqlError, SqlOpenError, SqlUrl};
#[cfg(feature = "testing")]
pub use updraft_macros::test;
pub use updraft_macros::{
    App, Job, Problem, Variable, client, delete, get, migrations, patch, post, put, release,
};
pub use {garde, schemars};

/// What the code is made of that [`client!`] writes.
#[doc(hidden)]
pub mod contract_types {
    pub use crate::client::segment;
    pub use {jiff, serde, serde_json, uuid};
}

/// What `main` returns.
pub type Exit = std::process::ExitCode;

/// Any error, at the seams where a service's own code meets the chassis.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;
