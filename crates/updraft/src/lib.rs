//! Write services that keep the twelve factors by construction.
//!
//! One binary holds all process types and admin tasks of a service; the first argument
//! picks one. Configuration is the environment, all of it is checked before anything is
//! connected, and a signal drains the process without losing a request or a job.
//!
//! ```no_run
//! use std::process::ExitCode;
//! use updraft::http::{Router, get};
//! use updraft::{BoxError, Config, Context, Invalid};
//!
//! #[derive(Clone)]
//! struct Settings {
//!     greeting: String,
//! }
//!
//! impl Settings {
//!     fn read(config: &mut Config) -> Result<Self, Invalid> {
//!         let greeting = config.or("GREETING", "hello".to_owned(), "what visitors are told");
//!         Ok(Self { greeting: greeting? })
//!     }
//! }
//!
//! async fn web(settings: Settings, _context: Context) -> Result<Router, BoxError> {
//!     Ok(Router::new().route("/", get(|| async move { settings.greeting })))
//! }
//!
//! async fn worker(_settings: Settings, context: Context) -> Result<(), BoxError> {
//!     let stop = context.stop();
//!     context.run("sweeper", async move {
//!         stop.requested().await;
//!         Ok(())
//!     });
//!     Ok(())
//! }
//!
//! fn main() -> ExitCode {
//!     updraft::service("greeter", Settings::read).web("web", web).worker("worker", worker).main()
//! }
//! ```

mod client;
mod config;
mod drain;
mod log;
mod migration;
mod problem;
mod process;
mod queue;
mod service;
mod sql;
mod web;

pub use client::{Call, CallError, Client, Reply, ServiceUrl};
pub use config::{Config, ConfigReport, Invalid, Level, Variable};
pub use drain::Stop;
pub use migration::{MigrateError, Migration};
pub use problem::Problem;
pub use process::Context;
pub use queue::{Attempt, EnqueueError, Queue, QueueCounts, QueueError, QueueUrl, Worker};
pub use service::{Service, service};
pub use sql::{Sql, SqlOpenError, SqlUrl};

/// Any error, at the seams where a service's own code meets the chassis.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What a handler needs of HTTP.
pub mod http {
    pub use ::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
    pub use axum::Router;
    pub use axum::extract::{Json, Path, Query, State};
    pub use axum::response::{Html, IntoResponse, Response};
    pub use axum::routing::{get, post};
}

/// The example of the README is compiled too.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
