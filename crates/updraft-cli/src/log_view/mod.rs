//! Shows the merged log to a person, or hands it to a program.
//!
//! A program's text is not to be trusted with the terminal ([`control`]), and a terminal
//! that has stopped must stop nothing but the thread that writes to it ([`printer`]).

mod control;
mod printer;
mod row;
mod structured;

pub(crate) use control::neutralise;
pub(crate) use printer::{LogPrinter, PRINT_WITHIN, PrintError};
pub(crate) use row::LogStyle;
