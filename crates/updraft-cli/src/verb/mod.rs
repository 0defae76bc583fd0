//! One file per verb: its words, and what it does.

pub(crate) mod attach;
pub(crate) mod check;
pub(crate) mod completions;
pub(crate) mod down;
pub(crate) mod explain;
pub(crate) mod gateway;
pub(crate) mod graph;
pub(crate) mod init;
pub(crate) mod logs;
pub(crate) mod mesh;
pub(crate) mod open;
pub(crate) mod ps;
pub(crate) mod restart;
pub(crate) mod roll_out;
pub(crate) mod scale;
pub(crate) mod schema;
pub(crate) mod tap;
pub(crate) mod task;
pub(crate) mod top;
pub(crate) mod up;
pub(crate) mod wait;
