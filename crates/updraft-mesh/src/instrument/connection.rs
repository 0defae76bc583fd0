//! One connection of a caller, from its first byte to its last.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::count::raise;
use super::{ConnectionId, Epoch, Instrument, Manner, What};

/// A connection that an [`Instrument`] knows. Dropped, it has ended.
#[derive(Debug)]
pub struct Connection {
    instrument: Arc<Instrument>,
    id: ConnectionId,
    epoch: Epoch,
}

impl Connection {
    pub(super) fn new(instrument: Arc<Instrument>) -> Self {
        let number = instrument.tally.connections.fetch_add(1, Ordering::Relaxed) + 1;
        raise(&instrument.tally.open);
        let (id, epoch) = (ConnectionId(number), instrument.epoch());
        instrument.tell(id, What::Opened, None);
        Self { instrument, id, epoch }
    }

    /// Its number.
    #[must_use]
    pub const fn id(&self) -> ConnectionId {
        self.id
    }

    /// When it began, as cuts count it.
    #[must_use]
    pub const fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// The instrument of its edge.
    #[must_use]
    pub const fn instrument(&self) -> &Arc<Instrument> {
        &self.instrument
    }

    /// Where it leads: to `chosen`, unless a swap says otherwise. To be asked once, before
    /// connecting.
    #[must_use]
    pub fn destination(&self, chosen: SocketAddr) -> SocketAddr {
        let Some(other) = self.instrument.destination() else { return chosen };
        raise(&self.instrument.tally.diverted);
        self.instrument.tell(self.id, What::Diverted, None);
        other
    }

    /// Resolves when it is to be cut, whatever is under way on it.
    pub async fn severed(&self) -> Manner {
        self.instrument.severed(self.epoch).await
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.instrument.tally.open.fetch_sub(1, Ordering::Relaxed);
        self.instrument.tell(self.id, What::Closed, None);
    }
}
