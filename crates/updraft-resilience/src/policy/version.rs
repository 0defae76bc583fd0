//! The parts that hold now. A policy that has never been reconfigured does not pay for being
//! able to: what it was built with stays in its place, and is read without being counted.

use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use arc_swap::{ArcSwap, Guard};

use super::stack::Stack;

/// What a policy was built with, and what has taken its place since.
#[derive(Debug)]
pub(crate) struct Versions {
    first: Stack,
    later: OnceLock<ArcSwap<Stack>>,
}

/// One version, which stays whatever comes after it. `None` is the first.
pub(crate) type Version = Option<Guard<Arc<Stack>>>;

/// A version with the parts themselves.
pub(crate) struct Present<'a> {
    versions: &'a Versions,
    version: Version,
}

impl Versions {
    pub(crate) fn new(first: Stack) -> Self {
        Self { first, later: OnceLock::new() }
    }

    /// The present one. Cheap: at most a word of this thread is written.
    #[inline]
    pub(crate) fn version(&self) -> Version {
        self.later.get().map(ArcSwap::load)
    }

    #[inline]
    pub(crate) fn of<'a>(&'a self, version: &'a Version) -> &'a Stack {
        match version {
            None => &self.first,
            Some(stack) => stack,
        }
    }

    pub(crate) fn present(&self) -> Present<'_> {
        Present { versions: self, version: self.version() }
    }

    /// From now on this one holds. One change at a time, or one of them is lost.
    pub(crate) fn replace(&self, stack: Stack) {
        let stack = Arc::new(stack);
        self.later.get_or_init(|| ArcSwap::new(Arc::clone(&stack))).store(stack);
    }
}

impl Deref for Present<'_> {
    type Target = Stack;

    fn deref(&self) -> &Stack {
        self.versions.of(&self.version)
    }
}
