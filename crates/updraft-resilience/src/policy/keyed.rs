//! A policy for each key of a request, such as each host, tenant or route.

use std::fmt;
use std::hash::Hash;

use super::Policy;
use crate::keyed::Keyed;

/// Policies of one kind by key. Made by [`Policy::keyed`].
pub struct KeyedPolicy<K, C, F> {
    policies: Keyed<K, Policy<C, F>>,
}

impl<K, C, F> KeyedPolicy<K, C, F>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    C: Clone + Send + Sync + 'static,
    F: Clone + Send + Sync + 'static,
{
    pub(super) fn new(template: &Policy<C, F>, capacity: u32) -> Self {
        let template = template.clone();
        Self { policies: Keyed::new(capacity, move |_: &K| template.sibling()) }
    }

    /// The policy of this key, made when there is none yet. It shares name, listeners and
    /// counts with the one it was made from, and has a state of its own.
    pub fn get(&self, key: &K) -> Policy<C, F> {
        self.policies.get(key)
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
