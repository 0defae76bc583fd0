//! The end-to-end harness: it knows the built `updraft` binary and the kernel, and
//! nothing of what is inside.

mod binary;
pub mod browser;
pub mod http;
mod port;
pub mod processes;
pub mod programs;
mod random;
mod running;
mod system;
mod tool;
mod turn;
mod wait;
pub mod zoo;

pub use binary::{as_from_a_shell, build_example, repository, target_folder};
pub use port::free_port;
pub use random::Random;
pub use running::Running;
pub use system::{Outcome, Row, TestSystem};
pub use tool::said;
pub use turn::Turn;
pub use wait::{eventually, promptly, until};
