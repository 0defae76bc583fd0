//! The wire between a program and what it needs.

use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use updraft_mesh::instrument::Instrument;
use updraft_mesh::instrument::stream::{Protocol, RelayLimits, relay};
use updraft_system::Name;

use crate::lab::{Address, Network};

/// A port that leads to a server through an instrument. Dropped, it is closed with all its
/// connections.
#[derive(Debug)]
pub(crate) struct Wire {
    instrument: Arc<Instrument>,
    port: u16,
    accepting: JoinHandle<()>,
}

impl Wire {
    /// A wire in a network, to a server that may be in another one.
    pub(super) async fn open(
        name: &Name,
        network: &Network,
        to: Address,
        protocol: Protocol,
    ) -> std::io::Result<Self> {
        let listener = network.listen().await?;
        let port = listener.local_addr()?.port();
        let instrument = Instrument::new(name.as_str());
        instrument.count(true);
        let accepting = tokio::spawn(accept(listener, Arc::clone(&instrument), to, protocol));
        Ok(Self { instrument, port, accepting })
    }

    /// What can be done to what passes.
    pub(crate) fn instrument(&self) -> &Arc<Instrument> {
        &self.instrument
    }

    /// Where a program reaches it.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(
    listener: TcpListener,
    instrument: Arc<Instrument>,
    to: Address,
    protocol: Protocol,
) {
    // Dropped with the task that accepts, and its connections with it.
    let mut connections = tokio::task::JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((client, _)) = accepted else { continue };
                let connection = instrument.open();
                let to = to.at(connection.destination(to.socket()));
                connections.spawn(async move {
                    let Ok(server) = to.connect(|_| Ok(())).await else { return };
                    // How it ends is seen by both ends and counted by the instrument.
                    let limits = RelayLimits::default();
                    drop(relay(client, server, protocol, &connection, limits).await);
                });
            }
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
        }
    }
}
