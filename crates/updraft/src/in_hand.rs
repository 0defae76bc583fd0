//! The request in hand: what anything that is done on behalf of a request finds out about it
//! where it stands: its id, its place in a trace, and the route that it took. It surrounds the
//! code that runs as a deadline does, set for each poll of the handler and taken back after it.

use std::cell::RefCell;
use std::marker::PhantomData;
use std::sync::{Arc, OnceLock};

use tracing::Dispatch;
use updraft_trace::RequestId;

use crate::metrics::Route;
use crate::trace::RequestSpan;
use crate::web::Peer;

thread_local! {
    static IN_HAND: RefCell<Option<Arc<InHand>>> = const { RefCell::new(None) };
}

/// A request that is being answered.
#[derive(Debug)]
pub(crate) struct InHand {
    id: RequestId,
    span: RequestSpan,
    peer: Peer,
    route: OnceLock<Arc<Route>>,
}

impl InHand {
    pub(crate) fn new(id: RequestId, span: RequestSpan, peer: Peer) -> Self {
        Self { id, span, peer, route: OnceLock::new() }
    }

    pub(crate) fn id(&self) -> &RequestId {
        &self.id
    }

    pub(crate) fn span(&self) -> &RequestSpan {
        &self.span
    }

    /// Who sent it.
    pub(crate) fn peer(&self) -> &Peer {
        &self.peer
    }

    /// The route that it has taken, once that is known.
    pub(crate) fn route(&self) -> Option<&Arc<Route>> {
        self.route.get()
    }

    /// It has taken the route of this template, whose series is kept there. The first one stays.
    pub(crate) fn takes(&self, series: &OnceLock<Arc<Route>>, template: Option<&str>) {
        let Some(http) = self.peer.http() else { return };
        let series = series.get_or_init(|| match template {
            Some(template) => http.route(template),
            None => Arc::clone(http.unmatched()),
        });
        self.route.get_or_init(|| Arc::clone(series));
    }

    /// Looks at the request in hand, if there is one. Nothing is logged meanwhile.
    pub(crate) fn current<T>(look: impl FnOnce(&Self) -> T) -> Option<T> {
        IN_HAND.try_with(|hand| hand.borrow().as_deref().map(look)).ok().flatten()
    }

    /// Makes it the request in hand on this thread until the guard is dropped: for one poll.
    pub(crate) fn enter(self: &Arc<Self>) -> Entered {
        let own = Some(Arc::clone(self));
        let outer = IN_HAND.try_with(|hand| hand.replace(own)).ok().flatten();
        self.span.enter();
        Entered { outer, of_this_thread: PhantomData }
    }

    /// The request in hand, when it has no span of `tracing` and may have one.
    pub(crate) fn without_span() -> Option<Arc<Self>> {
        let look = |hand: &RefCell<Option<Arc<Self>>>| {
            let hand = hand.borrow();
            hand.as_ref().filter(|hand| hand.span.is_due()).cloned()
        };
        IN_HAND.try_with(look).ok().flatten()
    }

    /// Gives it its span, and enters that. Meanwhile there is no request in hand.
    pub(crate) fn make_span(self: Arc<Self>, dispatch: &Dispatch) {
        IN_HAND.try_with(|hand| hand.take()).unwrap_or_default();
        self.span.make(&self.id, dispatch);
        let own = Some(Arc::clone(&self));
        IN_HAND.try_with(|hand| hand.replace(own)).unwrap_or_default();
        self.span.enter();
    }
}

/// The guard of [`InHand::enter`].
#[derive(Debug)]
#[must_use = "the request is in hand only while this lives"]
pub(crate) struct Entered {
    outer: Option<Arc<InHand>>,
    /// What was taken from a thread is given back to the same one.
    of_this_thread: PhantomData<*const ()>,
}

impl Drop for Entered {
    fn drop(&mut self) {
        let outer = self.outer.take();
        let own = IN_HAND.try_with(|hand| hand.replace(outer)).ok().flatten();
        // The span may have been made, and entered, since this guard was.
        if let Some(own) = own {
            own.span.exit();
        }
    }
}
