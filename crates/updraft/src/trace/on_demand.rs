//! The subscriber of a process: logs and traces as layers, and around them what spares most
//! requests a span. Few handlers log anything, or make spans, and most traces are not recorded;
//! the span of such a request is made when the first event, span or question comes that would
//! see it, and until then its ids stand in the request alone.

use std::sync::OnceLock;

use tracing::dispatcher::WeakDispatch;
use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing::{Dispatch, Event, Metadata, Subscriber, dispatcher, span};
use tracing_core::span::Current;

use super::layer::Sampler;
use crate::in_hand::InHand;
use crate::log::AccessLog;

/// The layers of a process, whose requests have spans on demand.
pub(crate) struct OnDemand {
    inner: Box<dyn Subscriber + Send + Sync>,
    /// Itself.
    own: OnceLock<WeakDispatch>,
    sampler: Sampler,
    exports: bool,
    access: Option<AccessLog>,
}

impl OnDemand {
    /// Around these layers, one of which is the `SpanLayer` that samples so and exports.
    pub(crate) fn new(
        inner: impl Subscriber + Send + Sync,
        (sampler, exports): (Sampler, bool),
        access: Option<AccessLog>,
    ) -> Self {
        Self { inner: Box::new(inner), own: OnceLock::new(), sampler, exports, access }
    }

    /// Looks at the one that the current thread's events go to, if it is one of this kind.
    pub(crate) fn current<T>(mut look: impl FnMut(&Self) -> Option<T>) -> Option<T> {
        dispatcher::get_default(|dispatch| dispatch.downcast_ref().and_then(&mut look))
    }

    pub(super) fn sampler(&self) -> Sampler {
        self.sampler
    }

    pub(super) fn exports(&self) -> bool {
        self.exports
    }

    /// The short way to the lines of requests, where there is one.
    pub(crate) fn access(&self) -> Option<&AccessLog> {
        self.access.as_ref()
    }

    pub(super) fn inner(&self) -> &(dyn Subscriber + Send + Sync) {
        &*self.inner
    }

    /// Comes before whatever would see the span of the request in hand. Never in the middle of
    /// the question whether filters let something through: the answers are kept by the thread.
    fn prepare(&self) {
        let Some(hand) = InHand::without_span() else { return };
        if let Some(dispatch) = self.own.get().and_then(WeakDispatch::upgrade) {
            hand.make_span(&dispatch);
        }
    }
}

impl Subscriber for OnDemand {
    fn on_register_dispatch(&self, dispatch: &Dispatch) {
        self.own.get_or_init(|| dispatch.downgrade());
        self.inner.on_register_dispatch(dispatch);
    }

    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        self.inner.register_callsite(metadata)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        self.inner.max_level_hint()
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        // It is asked only for what at least one of the layers wants.
        self.prepare();
        self.inner.enabled(metadata)
    }

    fn event_enabled(&self, event: &Event<'_>) -> bool {
        self.inner.event_enabled(event)
    }

    fn new_span(&self, span: &span::Attributes<'_>) -> span::Id {
        self.prepare();
        self.inner.new_span(span)
    }

    fn record(&self, span: &span::Id, values: &span::Record<'_>) {
        self.inner.record(span, values);
    }

    fn record_follows_from(&self, span: &span::Id, follows: &span::Id) {
        self.inner.record_follows_from(span, follows);
    }

    fn event(&self, event: &Event<'_>) {
        self.prepare();
        self.inner.event(event);
    }

    fn enter(&self, span: &span::Id) {
        self.prepare();
        self.inner.enter(span);
    }

    fn exit(&self, span: &span::Id) {
        self.inner.exit(span);
    }

    fn clone_span(&self, id: &span::Id) -> span::Id {
        self.inner.clone_span(id)
    }

    fn try_close(&self, id: span::Id) -> bool {
        self.inner.try_close(id)
    }

    fn current_span(&self) -> Current {
        self.prepare();
        self.inner.current_span()
    }
}

#[cfg(feature = "testing")]
#[cfg(test)]
#[path = "on_demand_tests.rs"]
mod tests;
