//! Connections from outside that come through a proxy: who connected to that.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio::time::timeout;
use updraft_system::mesh::Limits;

use crate::observe::{Limit, NoProxyHeader, Registry};
use crate::phase::{Phase, PhaseWatch};
use crate::tunnel::proxy_protocol::{HeaderError, read_header};

/// Who is at the other end, by the header that the connection begins with; where the proxy
/// speaks for itself, `peer`. `None`: the connection is to be closed.
pub(crate) async fn source(
    registry: &Registry,
    stream: &mut TcpStream,
    peer: SocketAddr,
    limits: &Arc<Limits>,
    phase: &mut PhaseWatch,
) -> Option<SocketAddr> {
    let header = tokio::select! {
        header = timeout(limits.head_timeout, read_header(stream)) => header,
        // It has asked for nothing yet.
        () = phase.reaches(Phase::Draining) => return None,
    };
    let reason = match header {
        Ok(Ok(proxied)) => return Some(proxied.map_or(peer, |proxied| proxied.source)),
        Ok(Err(HeaderError::Malformed(_))) => NoProxyHeader::Malformed,
        Ok(Err(HeaderError::Read(_))) => NoProxyHeader::CutShort,
        Err(_) => {
            registry.limit_hit(Limit::HeadTimeout);
            NoProxyHeader::Late
        }
    };
    registry.proxy_header_refused(reason);
    None
}
