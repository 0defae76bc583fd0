//! The zoo of `updraft check`: small programs whose verdicts are known, and what came out.
//!
//! The programs are real ones in several languages, and what is true of them was written by
//! hand in `zoo/truth.toml`, each with its reason.

mod audit;
mod matrix;
mod supplies;
mod truth;

pub use audit::{Audited, Finding, audit};
pub use matrix::{Judgement, Matrix};
pub use supplies::Supplies;
pub use truth::{Program, Truth, Zoo};
