//! What lives in one process cannot be shared by several: the one mistake in a configuration
//! that shows only when a service grows.

use std::num::NonZeroU32;

use super::{Config, Invalid, Variable};
use crate::app::FieldSpec;

/// The variable that says how many processes of a type run. Whatever starts them knows it.
pub(crate) const REPLICAS: &str = "REPLICAS";

impl Config {
    /// Refuses what each process has for itself (`is_local`) for a field that all replicas
    /// must see the same of, when there is more than one. `instead` is the scheme to use.
    pub(crate) fn refuse_local<T: Variable>(
        &mut self,
        spec: &FieldSpec,
        is_local: bool,
        instead: &str,
    ) -> Result<(), Invalid> {
        // One that is malformed has a problem of its own.
        let replicas = self.environment.get(REPLICAS).and_then(|text| text.to_str());
        let replicas = replicas.and_then(|text| NonZeroU32::parse(text).ok());
        if !is_local || !spec.shared || replicas.is_none_or(|replicas| replicas.get() == 1) {
            return Ok(());
        }
        let wrong = format!(
            "is of a kind that each process has for itself, and {REPLICAS} is above 1; \
             use one with {instead} that all replicas share"
        );
        Err(self.problem::<T>(spec.url, spec.about, wrong))
    }
}
