//! The audit's side of the ways into and out of a program's own network.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::task::{JoinHandle, JoinSet};

use super::Attached;
use crate::launch;

/// What carries for one program. Dropped, nothing is carried any more.
#[derive(Debug)]
pub(super) struct Ways {
    /// For the launcher.
    pub(super) told: launch::Ways,
    /// Where the program is reached from outside.
    pub(super) address: SocketAddr,
    /// Where it listens inside.
    inside: Arc<Mutex<Option<SocketAddr>>>,
    carrying: Vec<JoinHandle<()>>,
}

impl Ways {
    pub(super) async fn open(place: &Path, attached: &[Attached]) -> io::Result<Self> {
        let resolver = place.join("resolv.conf");
        std::fs::write(&resolver, "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")?;
        let mut out = BTreeMap::new();
        let mut carrying = Vec::new();
        for wire in attached.iter().filter_map(|one| one.wire.as_ref()) {
            let socket = place.join(format!("out-{}", wire.port()));
            let listener = UnixListener::bind(&socket)?;
            carrying.push(tokio::spawn(carry_out(listener, wire.port())));
            out.insert(wire.port(), socket);
        }
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let (into, inside) = (place.join("into"), Arc::default());
        carrying.push(tokio::spawn(carry_in(listener, into.clone(), Arc::clone(&inside))));
        let told = launch::Ways { into, out, resolver, log: place.join("sought.jsonl") };
        Ok(Self { told, address, inside, carrying })
    }

    /// Leads to this address inside from now on.
    pub(super) fn lead_to(&self, address: SocketAddr) {
        *self.inside.lock().unwrap_or_else(PoisonError::into_inner) = Some(address);
    }
}

impl Drop for Ways {
    fn drop(&mut self) {
        for task in &self.carrying {
            task.abort();
        }
    }
}

async fn carry_out(listener: UnixListener, port: u16) {
    let mut connections = JoinSet::new();
    while let Ok((mut inside, _)) = listener.accept().await {
        connections.spawn(async move {
            let Ok(mut wire) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await else {
                return;
            };
            // Both ends see how it ended.
            drop(copy_bidirectional(&mut inside, &mut wire).await);
        });
    }
}

async fn carry_in(listener: TcpListener, into: PathBuf, to: Arc<Mutex<Option<SocketAddr>>>) {
    let mut connections = JoinSet::new();
    while let Ok((mut client, _)) = listener.accept().await {
        let to = *to.lock().unwrap_or_else(PoisonError::into_inner);
        let (Some(to), into) = (to, into.clone()) else { continue };
        connections.spawn(async move {
            let Ok(mut inside) = UnixStream::connect(into).await else { return };
            if inside.write_all(format!("{to}\n").as_bytes()).await.is_ok() {
                drop(copy_bidirectional(&mut client, &mut inside).await);
            }
        });
    }
}
