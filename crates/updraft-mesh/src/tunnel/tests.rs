//! Laws of the tunnel, with real sockets; with paused time where time matters.

mod files;
mod limits;
mod sockets;
mod upgrades;

use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};

use super::{EndReason, TunnelCounters, TunnelEnd, TunnelLimits, relay};

pub(super) const LIMITS: TunnelLimits =
    TunnelLimits { idle: Duration::from_secs(3600), linger: Duration::from_secs(30) };

/// Two ends of one TCP connection.
pub(super) async fn connection() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let address = listener.local_addr().expect("address");
    let (near, far) = tokio::join!(TcpStream::connect(address), listener.accept());
    (near.expect("connect"), far.expect("accept").0)
}
