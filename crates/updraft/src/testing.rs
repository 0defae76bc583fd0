//! A kit for the tests of a service: the service itself, within the test, with databases,
//! caches, queues and blobs that are the test's alone, on each kind of them that it is
//! deployed on; and real servers that last as long as a test does.
//!
//! It is behind the feature `testing`, for `[dev-dependencies]`.
//!
//! ```
//! use updraft::{App, Ctx, Service, get};
//!
//! /// What the greeter reads from its environment.
//! #[derive(App)]
//! struct Greeter {
//!     /// What visitors are told
//!     #[env(default = "hello")]
//!     greeting: String, // GREETING
//! }
//!
//! /// Greets
//! #[get("/greeting")]
//! async fn greet(app: Ctx<Greeter>) -> String {
//!     app.greeting.clone()
//! }
//!
//! fn service() -> Service<Greeter> {
//!     updraft::service!(Greeter).api(updraft::api![greet])
//! }
//!
//! #[cfg(test)]
//! mod tests {
//!     use updraft::testing::TestApp;
//!
//!     #[updraft::test(vars = [("GREETING", "welcome")])]
//!     async fn a_visitor_is_told_what_the_environment_says(t: TestApp<super::Greeter>) {
//!         assert_eq!(t.get("/greeting").await.status(200).text(), "welcome");
//!     }
//! }
//! # fn main() {
//! #     drop(service());
//! # }
//! ```

mod answer;
mod app;
mod frame;
mod isolated;
mod jobs;
mod logs;
pub(crate) mod metrics;
mod request;
pub mod server;
mod setup;

pub use crate::trace::{CapturedSpan, SpanValue};
pub use answer::{TestAnswer, TestProblem};
pub use app::TestApp;
pub use frame::{Verdict, run};
pub use jobs::JobsDone;
pub use logs::{LogRecord, TestLogs};
pub use request::TestRequest;
pub use server::{Database, Server, ServerError};
pub use setup::Setup;

/// Fails the test, at the place where it called.
#[track_caller]
#[expect(clippy::panic, reason = "this is how a test fails")]
fn fail(message: impl std::fmt::Display) -> ! {
    panic!("{message}")
}
