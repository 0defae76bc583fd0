//! The PROXY protocol, versions 1 and 2: who connected to the proxy in front of us.
//!
//! After the text of HAProxy (`doc/proxy-protocol.txt`). Strict: where the header is announced
//! it has to be there, complete and well formed, or the connection is to be closed.

mod v1;
mod v2;

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncRead, AsyncReadExt};

/// The shortest header: `PROXY UNKNOWN` and the end of its line is longer.
const SHORTEST: usize = 12;

/// The addresses of a connection to the proxy in front of us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Proxied {
    /// Who connected.
    pub(crate) source: SocketAddr,
    /// To where.
    pub(crate) destination: SocketAddr,
}

/// Why there is no header. The connection is to be closed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HeaderError {
    /// The stream broke or ended before the end of the header.
    #[error("the PROXY header could not be read")]
    Read(#[source] io::Error),
    /// It is something else, or malformed.
    #[error("no valid PROXY header: {0}")]
    Malformed(&'static str),
}

/// Reads the header from the front of a stream, and not one byte more. `None`: the proxy says
/// that the connection is its own, or of an unknown kind; the addresses of the socket hold. The
/// time for it is to be bounded by the caller.
///
/// # Errors
///
/// [`HeaderError`] when the stream does not begin with a valid header.
pub(crate) async fn read_header<R: AsyncRead + Unpin>(
    stream: &mut R,
) -> Result<Option<Proxied>, HeaderError> {
    let mut start = [0; SHORTEST];
    let mut length = 0;
    while let Some(free) = start.get_mut(length..).filter(|free| !free.is_empty()) {
        match stream.read(free).await.map_err(HeaderError::Read)? {
            0 => return Err(HeaderError::Read(io::ErrorKind::UnexpectedEof.into())),
            read => length += read,
        }
        let seen = start.get(..length).unwrap_or_default();
        // What is something else is refused at once, not when twelve bytes have come.
        if !v1::may_start(seen) && !v2::SIGNATURE.starts_with(seen) {
            return Err(HeaderError::Malformed("it starts with something else"));
        }
    }
    if start == v2::SIGNATURE {
        return v2::read(stream).await;
    }
    v1::read(stream, &start).await
}

#[cfg(test)]
#[path = "proxy_protocol/proxy_protocol_tests.rs"]
mod tests;
