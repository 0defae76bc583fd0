//! PostgreSQL's protocol, version 3, as far as a bystander must know it: where messages begin
//! and end, and which answer belongs to which statement.
//!
//! Source: PostgreSQL documentation, chapter "Frontend/Backend Protocol" (15), and the limits
//! of `src/include/libpq/pqcomm.h` and `src/backend/libpq/pqcomm.c`.

mod framer;
mod session;
mod statements;

pub use framer::{Frame, Framer, Side, Start, Tag};
pub(super) use session::Session;

const PROTOCOL: &str = "PostgreSQL";
