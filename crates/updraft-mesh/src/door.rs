//! An open port: its listening socket, those that accept from it, and what they accept for.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::net::TcpStream;
use updraft_system::mesh::Limits;

use crate::listener;
use crate::observe::Limit;
use crate::phase::{Phase, PhaseSwitch, PhaseWatch};
use crate::serve;
use crate::shared::Shared;
use crate::snapshot::{Entry, Slot};
use crate::worker::Worker;

/// An open port.
pub(crate) struct Door {
    /// Kept for a hand-over.
    listener: TcpListener,
    purpose: Arc<ArcSwap<Purpose>>,
    /// Of those who accept.
    listening: PhaseSwitch,
    /// Of the connections for the present purpose.
    serving: PhaseSwitch,
}

/// What connections are for that come now.
struct Purpose {
    entry: Entry,
    limits: Arc<Limits>,
    phase: PhaseWatch,
}

impl Door {
    /// Accepts from `listener` on the threads of all workers.
    ///
    /// # Errors
    ///
    /// That of the system, such as too many descriptors.
    pub(crate) fn open(
        listener: TcpListener,
        entry: &Entry,
        limits: &Arc<Limits>,
        workers: &[Arc<Worker>],
    ) -> io::Result<Self> {
        let (listening, serving) = (PhaseSwitch::new(), PhaseSwitch::new());
        let purpose = Arc::new(ArcSwap::from_pointee(Purpose::new(entry, limits, &serving)));
        for worker in workers {
            let (worker, purpose) = (Arc::clone(worker), Arc::clone(&purpose));
            let runtime = worker.runtime().clone();
            let listener = listener.try_clone()?;
            let accepting = accept(listener, worker, purpose, listening.watch(), workers.len());
            // Ends with the door's switch, which waits for it.
            drop(runtime.spawn(accepting));
        }
        Ok(Self { listener, purpose, listening, serving })
    }

    /// Connections from now on are for this. Those that were for something else are given
    /// back, to be ended by their switch.
    pub(crate) fn set(&mut self, entry: &Entry, limits: &Arc<Limits>) -> Option<PhaseSwitch> {
        let same = self.purpose.load().entry.is_same(entry);
        let before = (!same).then(|| std::mem::replace(&mut self.serving, PhaseSwitch::new()));
        self.purpose.store(Arc::new(Purpose::new(entry, limits, &self.serving)));
        before
    }

    /// The listening socket itself, once more.
    ///
    /// # Errors
    ///
    /// That of the system.
    pub(crate) fn listener(&self) -> io::Result<TcpListener> {
        self.listener.try_clone()
    }

    /// Listens no more, whoever has the socket: the port can be opened again at once.
    pub(crate) fn shut(&self) {
        // One that does not listen any more is what is wanted, and says so by an error.
        rustix::net::shutdown(&self.listener, rustix::net::Shutdown::Both).unwrap_or_default();
    }

    /// Accepts nothing more, and lets what is under way end within `grace`.
    pub(crate) async fn drain(self, shared: Arc<Shared>, grace: Duration) {
        let Self { listener, purpose, listening, serving } = self;
        drop(listener);
        listening.advance(Phase::Draining);
        drop(purpose);
        end(serving, shared, grace).await;
        listening.advance(Phase::Closed);
        listening.unwatched().await;
    }
}

/// Lets connections end within `grace`.
pub(crate) async fn end(serving: PhaseSwitch, shared: Arc<Shared>, grace: Duration) {
    if serving.drain(grace).await {
        shared.registry.limit_hit(Limit::Drain);
    }
}

/// The same for tunnels of an edge that is withdrawn.
pub(crate) async fn end_place(place: Slot, shared: Arc<Shared>, grace: Duration) {
    if place.end(grace).await {
        shared.registry.limit_hit(Limit::Drain);
    }
}

impl Purpose {
    fn new(entry: &Entry, limits: &Arc<Limits>, serving: &PhaseSwitch) -> Self {
        Self { entry: entry.clone(), limits: Arc::clone(limits), phase: serving.watch() }
    }

    async fn serve(self: Arc<Self>, worker: Arc<Worker>, stream: TcpStream, peer: SocketAddr) {
        let (entry, limits) = (self.entry.clone(), Arc::clone(&self.limits));
        let (phase, mut cut) = (self.phase.clone(), self.phase.clone());
        drop(self);
        tokio::select! {
            () = serve::connection(worker, entry, stream, peer, limits, phase) => {}
            () = cut.reaches(Phase::Closed) => {}
        }
    }
}

/// `threads` share the bound of connections.
async fn accept(
    listener: TcpListener,
    worker: Arc<Worker>,
    purpose: Arc<ArcSwap<Purpose>>,
    phase: PhaseWatch,
    threads: usize,
) {
    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
    let shared = Arc::clone(&worker.shared);
    let full = move || shared.registry.limit_hit(Limit::Connections);
    let bounds = Arc::clone(&purpose);
    let most = move || {
        let all = usize::try_from(bounds.load().limits.connections).unwrap_or(usize::MAX);
        all.div_ceil(threads)
    };
    let serve = move |stream, peer| {
        // Looked up now: it may have been changed while the connection waited.
        purpose.load_full().serve(Arc::clone(&worker), stream, peer)
    };
    listener::accept(listener, most, phase, full, serve).await;
}
