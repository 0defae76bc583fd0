//! The relay of two streams of bytes under an instrument: message by message where the
//! protocol is known, and byte by byte where it is not.

mod conversation;
mod flow;
#[cfg(fuzzing)]
pub(crate) mod fuzzing;
mod watch;

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, split};
use tokio::net::{TcpStream, UnixStream};

use self::conversation::Conversation;
use self::flow::{Flow, Stop};
use self::watch::Shared;
use super::count::raise;
use super::frame::{LOOK_MAX, Malformed};
use super::{Connection, Direction, Manner, What};

/// What is spoken on a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// PostgreSQL, version 3.
    Postgres,
    /// Redis, RESP2 or RESP3.
    Redis,
    /// Anything else: whatever comes together counts as a message. HTTP has an instrument of
    /// its own, which the gateway asks.
    #[default]
    Opaque,
}

/// Bounds of a relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RelayLimits {
    /// Bytes kept of each direction, 1 KiB at least. 16 KiB.
    pub buffer: usize,
    /// The longest without a byte while both ends are open. 1 h.
    pub idle: Duration,
    /// The same once one end has sent its last. 30 s.
    pub linger: Duration,
    /// After a cut that lets the request through: the longest that the server may take to
    /// work on it and to end the connection. 5 s.
    pub finish: Duration,
}

impl Default for RelayLimits {
    fn default() -> Self {
        Self {
            buffer: 16 * 1024,
            idle: Duration::from_secs(3600),
            linger: Duration::from_secs(30),
            finish: Duration::from_secs(5),
        }
    }
}

/// Smaller buffers could not hold what is looked at of one message.
const BUFFER_MIN: usize = 2 * LOOK_MAX;

/// A stream that can be relayed.
pub trait Wire: AsyncRead + AsyncWrite + Unpin + Send {
    /// Makes that its end, which comes next, is a reset for the peer, where there is such a
    /// thing.
    fn reset(&self) {}
}

impl Wire for TcpStream {
    fn reset(&self) {
        // A socket that is broken already needs no reset.
        drop(self.set_zero_linger());
    }
}

impl Wire for UnixStream {}

impl Wire for tokio::io::DuplexStream {}

/// How a relay ended, and what it carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Relayed {
    /// Bytes that the server got.
    pub to_server: u64,
    /// Bytes that the client got.
    pub to_client: u64,
    /// Why it ended.
    pub end: End,
}

/// Why a relay ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Both ends have said all they had to say.
    Finished,
    /// The instrument cut it.
    Cut,
    /// No byte came for too long.
    Idle,
}

/// Why a relay broke.
#[derive(Debug, thiserror::Error)]
pub enum RelayError {
    /// The bytes are none of the protocol.
    #[error("the bytes of a {} are none of the protocol", .direction.as_str())]
    Malformed {
        /// Whose.
        direction: Direction,
        /// What is wrong.
        source: Malformed,
    },
    /// The client's stream broke.
    #[error("the client's connection broke")]
    Client(#[source] std::io::Error),
    /// The server's stream broke.
    #[error("the server's connection broke")]
    Server(#[source] std::io::Error),
}

/// Carries bytes both ways until both ends are done, and acts as the instrument of
/// `connection` says. Dropped, it closes both.
///
/// Between messages it holds, cuts, stalls and delays; what was held goes on with nothing lost
/// and nothing out of order. A direction that is held is not read on, so that its sender feels
/// it once the kernel's buffers are full, and a caller that goes away while its reply is held
/// is noticed when the reply is released. While something is held or stalled no limit of time
/// ends the connection.
///
/// # Errors
///
/// Bytes that are none of the protocol, and streams that break.
pub async fn relay<C: Wire, S: Wire>(
    client: C,
    server: S,
    protocol: Protocol,
    connection: &Connection,
    limits: RelayLimits,
) -> Result<Relayed, RelayError> {
    let limits = RelayLimits { buffer: limits.buffer.max(BUFFER_MIN), ..limits };
    let shared = Shared::new(connection, Conversation::new(protocol), limits);
    let (mut client_reader, mut client_writer) = split(client);
    let (mut server_reader, mut server_writer) = split(server);
    let stop = {
        let requests = Flow::new(&shared, Direction::Request);
        let responses = Flow::new(&shared, Direction::Response);
        let both = async {
            tokio::try_join!(
                requests.run(&mut client_reader, &mut server_writer),
                responses.run(&mut server_reader, &mut client_writer),
            )
        };
        tokio::select! {
            biased;
            manner = connection.severed() => {
                shared.tell_cut(None);
                Stop::Cut { manner, finish: false }
            }
            both = both => both.err().unwrap_or(Stop::Finished),
            () = shared.idle() => Stop::Idle,
        }
    };
    let client = client_reader.unsplit(client_writer);
    let server = server_reader.unsplit(server_writer);
    let end = match stop {
        Stop::Finished => End::Finished,
        Stop::Idle => End::Idle,
        Stop::Cut { manner, finish } => {
            cut(client, server, manner, finish.then_some(limits.finish)).await;
            End::Cut
        }
        Stop::Malformed { direction, source } => {
            raise(&connection.instrument().tally.malformed);
            return Err(RelayError::Malformed { direction, source });
        }
        Stop::Broken { of: Direction::Request, source } => return Err(RelayError::Client(source)),
        Stop::Broken { of: Direction::Response, source } => return Err(RelayError::Server(source)),
    };
    Ok(Relayed { to_server: shared.to_server(), to_client: shared.to_client(), end })
}

/// Ends both connections. With `finish` the server is let alone with the request that it got:
/// a connection that is closed while its answer is unread would be reset.
async fn cut<C: Wire, S: Wire>(client: C, mut server: S, manner: Manner, finish: Option<Duration>) {
    if manner == Manner::Reset {
        client.reset();
    }
    drop(client);
    let Some(finish) = finish else { return };
    let drained = async {
        server.shutdown().await?;
        let mut rest = vec![0; BUFFER_MIN];
        while server.read(&mut rest).await? > 0 {}
        Ok::<(), std::io::Error>(())
    };
    // However it ends, nobody is left who could be told.
    drop(tokio::time::timeout(finish, drained).await);
}

impl Shared<'_> {
    fn tell_cut(&self, message: Option<&super::Message>) {
        let instrument = self.connection.instrument();
        raise(&instrument.tally.cut);
        instrument.tell(self.connection.id(), What::Cut, message);
    }
}

#[cfg(test)]
#[path = "stream_tests.rs"]
mod tests;
