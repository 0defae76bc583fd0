//! The heart of a policy that all its clones, services and handles share.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::config::PolicyConfig;
use super::events::{Event, Listeners};
use super::stack::Stack;
use super::tally::Tally;
use super::version::{Present, Versions};
use crate::{Clock, Invalid};

#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) name: String,
    pub(crate) clock: Clock,
    pub(crate) versions: Versions,
    pub(crate) listeners: Arc<Listeners>,
    pub(crate) tally: Arc<Tally>,
    /// Chance where it is to repeat itself: in tests.
    random: Option<Mutex<fastrand::Rng>>,
    /// One change of the configuration at a time.
    changing: Mutex<()>,
}

/// Every policy that lives, for health pages and for those who know only a name.
static LIVING: Mutex<Vec<Weak<Core>>> = Mutex::new(Vec::new());

impl Core {
    pub(crate) fn build(
        name: String,
        clock: Clock,
        seed: Option<u64>,
        config: PolicyConfig,
    ) -> Result<Arc<Self>, Invalid> {
        let stack = Stack::build(config, None, clock.now())?;
        let core = Arc::new(Self {
            name,
            clock,
            versions: Versions::new(stack),
            listeners: Arc::default(),
            tally: Arc::default(),
            random: seed.map(|seed| Mutex::new(fastrand::Rng::with_seed(seed))),
            changing: Mutex::new(()),
        });
        let mut living = LIVING.lock().unwrap_or_else(PoisonError::into_inner);
        living.retain(|core| core.strong_count() > 0);
        living.push(Arc::downgrade(&core));
        Ok(core)
    }

    /// A core with the same name, configuration, listeners and counts, and with a state of
    /// its own. It is not listed among the living: there may be very many.
    pub(crate) fn sibling(&self) -> Arc<Self> {
        let stack = self.stack();
        // What was built once can be built again.
        let stack = stack.anew(self.clock.now()).unwrap_or_else(|_| stack.clone());
        Arc::new(Self {
            name: self.name.clone(),
            clock: self.clock.clone(),
            versions: Versions::new(stack),
            listeners: Arc::clone(&self.listeners),
            tally: Arc::clone(&self.tally),
            random: self.random.as_ref().map(|_| Mutex::new(self.random())),
            changing: Mutex::new(()),
        })
    }

    pub(crate) fn living() -> Vec<Arc<Self>> {
        let living = LIVING.lock().unwrap_or_else(PoisonError::into_inner);
        living.iter().filter_map(Weak::upgrade).collect()
    }

    /// The parts as they are now.
    pub(crate) fn stack(&self) -> Present<'_> {
        self.versions.present()
    }

    pub(crate) fn update(&self, change: impl FnOnce(&mut PolicyConfig)) -> Result<(), Invalid> {
        {
            let _one_at_a_time = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
            let old = self.stack();
            let mut config = old.config.clone();
            change(&mut config);
            self.versions.replace(Stack::build(config, Some(&old), self.clock.now())?);
        }
        self.tell(&Event::Reconfigured);
        Ok(())
    }

    pub(crate) fn tell(&self, event: &Event) {
        self.tally.count(&self.name, event);
        self.listeners.tell(&self.name, event);
    }

    /// A source of chance for one decision.
    pub(crate) fn random(&self) -> fastrand::Rng {
        match &self.random {
            Some(seeded) => seeded.lock().unwrap_or_else(PoisonError::into_inner).fork(),
            None => fastrand::Rng::new(),
        }
    }
}
