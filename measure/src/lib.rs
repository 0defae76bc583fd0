//! What the measurements beside peers share: a load that hides no waits, a process whose
//! processor time and memory are read, and tables of what came out.

pub mod child;
pub mod loader;
pub mod report;
