//! Scaling by rule: what the loads of a process ask for, decided without a clock or a
//! measurement of its own (`load`, `window`, `rule`), and what is measured for it (`meter`,
//! `depth`). Who acts on it is `engine/scaling.rs`.

mod book;
mod depth;
mod load;
mod meter;
mod rule;
mod window;

pub(crate) use book::{Book, Key, Page};
pub(crate) use depth::depth;
pub(crate) use load::{Milli, Sample};
pub(crate) use meter::{Copy, Meter};
pub(crate) use rule::{Because, Ruling, Verdict};
