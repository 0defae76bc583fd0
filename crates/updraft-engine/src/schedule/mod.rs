//! Tasks by the calendar: when each is due and what its policies make of that (`line`, which
//! is told the time), who follows it through time (`follow`), and what is kept of all tasks
//! across runs of the system (`book`). Who runs them is `engine/tasks.rs`.

mod book;
mod follow;
mod line;

pub(crate) use book::{Cause, Key};
pub use book::{TaskBook, TaskBookError};
pub(crate) use follow::{Surroundings, follow};
pub(crate) use line::Line;
