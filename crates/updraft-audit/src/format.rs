//! A report in the forms that people and other programs read.
//!
//! Evidence quotes what the audited program wrote. It is made printable, and escaped, on its way
//! into any of these, so that no program can paint the terminal or the page of whoever judges it.

mod html;
mod junit;
mod look;
mod sarif;
mod terminal;
mod text;

pub use html::html;
pub use junit::junit;
pub use look::Look;
pub use sarif::sarif;
pub use terminal::terminal;
