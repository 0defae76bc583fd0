//! The header of the PROXY protocol.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, ReadBuf};

use crate::tunnel::proxy_protocol::{self, Proxied};

/// What came of a header, and how many bytes it took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Source and destination; `None`: those of the socket hold.
    pub ends: Option<(SocketAddr, SocketAddr)>,
    /// Its length.
    pub bytes: usize,
}

/// Reads the header from a stream that comes in these pieces.
///
/// # Errors
///
/// Why there is none.
pub fn read_proxy_header(pieces: &[&[u8]]) -> Result<Header, String> {
    let mut stream = Pieces { pieces: pieces.iter().copied().collect(), taken: 0, most: 0 };
    let read = {
        let mut reading = pin!(proxy_protocol::read_header(&mut stream));
        match reading.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(read) => read,
            Poll::Pending => return Err("it waits for what is there".to_owned()),
        }
    };
    assert!(stream.most <= 4096, "{} bytes are kept room for", stream.most);
    let ends = read.map_err(|error| error.to_string())?;
    let ends = ends.map(|Proxied { source, destination }| (source, destination));
    Ok(Header { ends, bytes: stream.taken })
}

struct Pieces<'a> {
    pieces: VecDeque<&'a [u8]>,
    taken: usize,
    /// The most that was asked for at once.
    most: usize,
}

impl AsyncRead for Pieces<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        self.most = self.most.max(buf.remaining());
        while let Some(piece) = self.pieces.pop_front() {
            let (now, later) = piece.split_at(piece.len().min(buf.remaining()));
            if !later.is_empty() {
                self.pieces.push_front(later);
            }
            if !now.is_empty() {
                buf.put_slice(now);
                self.taken += now.len();
                break;
            }
        }
        Poll::Ready(Ok(()))
    }
}
