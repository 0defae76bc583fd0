//! The one address of a service: connections to it go to its ready `web` replicas,
//! in turn. `<NAME>_URL` names it, so replicas come and go behind it.

use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::{AbortHandle, JoinSet};
use updraft_system::Name;

use crate::board::Board;

/// Connections that one service's address carries at once; further ones wait.
const CONNECTIONS_MAX: usize = 4096;

/// Carries connections until it is dropped.
#[derive(Debug)]
pub(crate) struct Front {
    accepting: AbortHandle,
}

impl Front {
    /// Listens on `port`, which must be reserved, for the replicas of `service`.
    pub(crate) fn open(
        port: u16,
        service: Name,
        board: watch::Receiver<Board>,
    ) -> io::Result<Self> {
        // A listener of the standard library sets SO_REUSEADDR, which the reservation asks for.
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        listener.set_nonblocking(true)?;
        let listener = TcpListener::from_std(listener)?;
        Ok(Self { accepting: tokio::spawn(accept(listener, service, board)).abort_handle() })
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Owns every connection it carries: when it is aborted, they end with it.
async fn accept(listener: TcpListener, service: Name, board: watch::Receiver<Board>) {
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut carried = JoinSet::new();
    let mut turn: usize = 0;
    while let Ok(seat) = Arc::clone(&room).acquire_owned().await {
        while carried.try_join_next().is_some() {}
        let Ok((client, _)) = listener.accept().await else {
            // Out of descriptors: those who leave make room.
            carried.join_next().await;
            continue;
        };
        let replicas = board.borrow().ready_ports(&service);
        turn = turn.wrapping_add(1);
        carried.spawn(async move {
            carry(client, replicas, turn).await;
            drop(seat);
        });
    }
}

/// Nobody ready closes the connection: the caller learns it at once.
async fn carry(mut client: TcpStream, replicas: Vec<u16>, turn: usize) {
    let count = replicas.len();
    for step in 0..count {
        let port = replicas[(turn + step) % count];
        if let Ok(mut replica) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await {
            let _ = (client.set_nodelay(true), replica.set_nodelay(true));
            // Either side may reset; there is nothing to do but to end.
            let _ = tokio::io::copy_bidirectional(&mut client, &mut replica).await;
            return;
        }
    }
}
