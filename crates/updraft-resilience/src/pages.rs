//! The pages of the guide, so that the doc tests compile and run the code in them.

#[doc = include_str!("../../../docs/guide/resilience.md")]
pub mod guide {}

#[doc = include_str!("../../../docs/guide/resilience-migration.md")]
pub mod migration {}

#[doc = include_str!("../../../docs/reference/resilience-metrics.md")]
pub mod metrics {}
