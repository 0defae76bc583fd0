//! A policy for each key of a request, such as each host, tenant or route.

use std::fmt;
use std::hash::Hash;

use super::Policy;
use super::config::PolicyConfig;
use crate::Invalid;
use crate::keyed::Keyed;

/// Policies of one kind by key. Made by [`Policy::keyed`].
pub struct KeyedPolicy<K, C, F> {
    template: Policy<C, F>,
    policies: Keyed<K, Policy<C, F>>,
}

impl<K, C, F> KeyedPolicy<K, C, F>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    C: Clone + Send + Sync + 'static,
    F: Clone + Send + Sync + 'static,
{
    pub(super) fn new(template: &Policy<C, F>, capacity: u32) -> Self {
        let (template, kept) = (template.clone(), template.clone());
        let policies = Keyed::new(capacity, move |_: &K| template.sibling());
        Self { template: kept, policies }
    }

    /// The policy of this key, made when there is none yet. It shares name, listeners and
    /// counts with the one it was made from, and has a state of its own.
    pub fn get(&self, key: &K) -> Policy<C, F> {
        self.policies.get(key)
    }

    /// Changes the configuration of every key, of those to come too, and of the policy that
    /// these were made from. What a [`PolicyHandle`](super::PolicyHandle) of that one changes
    /// holds for keys to come only.
    ///
    /// # Errors
    ///
    /// [`Invalid`] with every bad field; then nothing was changed.
    pub fn update(&self, change: impl Fn(&mut PolicyConfig)) -> Result<(), Invalid> {
        self.template.inner.core.update(&change)?;
        let mut outcome = Ok(());
        self.policies.for_each(|_, policy| {
            if let Err(invalid) = policy.inner.core.update(&change) {
                outcome = Err(invalid);
            }
        });
        outcome
    }

    /// How many keys have a policy now.
    pub fn len(&self) -> usize {
        self.policies.len()
    }

    /// Whether no key has.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Forgets what is known of a key.
    pub fn remove(&self, key: &K) {
        self.policies.remove(key);
    }
}

impl<K, C, F> fmt::Debug for KeyedPolicy<K, C, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyedPolicy").finish_non_exhaustive()
    }
}
