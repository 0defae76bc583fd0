//! One connection that came in: who is at its other end, and what it may do.

use std::fmt;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};

use crate::gate::Inbound;

/// What a connection is once its requests are over.
pub(crate) type TunnelFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A connection.
pub(crate) struct Connection {
    /// What the gate knows of it.
    pub(crate) inbound: Inbound,
    /// Why whoever connected is not who the door is for.
    pub(crate) borrowed: Option<Borrowed>,
    tunnel: Mutex<Option<TunnelFuture>>,
}

/// A caller that is not who it claims to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Borrowed {
    /// A process of this machine that is none of the caller's.
    Process {
        /// Its user, where that is known.
        uid: Option<u32>,
    },
}

impl Connection {
    pub(crate) fn new(inbound: Inbound, borrowed: Option<Borrowed>) -> Self {
        Self { inbound, borrowed, tunnel: Mutex::default() }
    }

    /// What the connection is from here on; its own task runs it.
    pub(crate) fn becomes_tunnel(&self, tunnel: impl Future<Output = ()> + Send + 'static) {
        *self.tunnel.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::pin(tunnel));
    }

    /// What it has become.
    pub(crate) fn tunnel(&self) -> Option<TunnelFuture> {
        self.tunnel.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("borrowed", &self.borrowed).finish_non_exhaustive()
    }
}
