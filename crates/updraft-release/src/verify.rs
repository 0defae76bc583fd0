//! Every file of a store held against the digest that is its name.

use crate::error::{Damage, StoreError};
use crate::store::Store;

impl Store {
    /// Everything in the store that is not what was written there: records, manifests, values
    /// and pointers. No key is needed.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when a folder or file cannot be read at all.
    pub fn verify(&self) -> Result<Vec<Damage>, StoreError> {
        let listing = self.list(None)?;
        let mut damaged = listing.damaged;
        for release in &listing.releases {
            note(&mut damaged, self.manifest(release).map(drop))?;
            if let Some(snapshot) = &release.config {
                note(&mut damaged, self.encrypted(&release.deploy, snapshot).map(drop))?;
            }
        }
        for deploy in self.layout().configured_deploys()? {
            for name in self.layout().sealed_names(&deploy)? {
                note(&mut damaged, self.encrypted(&deploy, &name.snapshot).map(drop))?;
            }
        }
        for deploy in self.layout().released_deploys()? {
            note(&mut damaged, self.pointer(&deploy).map(drop))?;
        }
        damaged.sort_by(|a, b| a.path.cmp(&b.path));
        damaged.dedup();
        Ok(damaged)
    }
}

fn note(damaged: &mut Vec<Damage>, outcome: Result<(), StoreError>) -> Result<(), StoreError> {
    match outcome {
        Err(StoreError::Damaged(damage)) => {
            damaged.push(damage);
            Ok(())
        }
        outcome => outcome,
    }
}
