//! A registry that keeps what came of a chunk that was cut, as the specification asks.
//!
//! Docker's own registry ends the whole session then (`upload resumed at wrong offest`), so a
//! resumption inside of a chunk cannot be seen with it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use updraft_image::{Digest, Digesting};

use crate::proxy::{answered, header, read_head};

#[derive(Default)]
struct State {
    sessions: Vec<(u64, Digesting)>,
    /// By digest: the length.
    blobs: BTreeMap<String, u64>,
}

/// It keeps digests and lengths, and no bytes.
pub(crate) struct Keeper {
    pub(crate) address: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl Keeper {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State::default()));
        let shared = state.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let state = shared.clone();
                tokio::spawn(async move { drop(serve(client, &state).await) });
            }
        });
        Self { address, state }
    }

    /// The length of a blob that has come whole, with its digest.
    pub(crate) fn blob(&self, digest: &Digest) -> Option<u64> {
        self.state.lock().unwrap().blobs.get(digest.as_str()).copied()
    }

    pub(crate) fn sessions(&self) -> usize {
        self.state.lock().unwrap().sessions.len()
    }
}

async fn serve(mut client: TcpStream, state: &Mutex<State>) -> std::io::Result<()> {
    let Some((head, first)) = read_head(&mut client).await? else { return Ok(()) };
    let mut words = head.split([' ', '?']);
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let last = path.rsplit('/').next().unwrap_or_default();
    let session = path.contains("/uploads/").then(|| last.parse::<usize>().ok()).flatten();
    let length: usize = header(&head, "content-length").and_then(|it| it.parse().ok()).unwrap_or(0);
    let range = header(&head, "content-range").and_then(|range| range.split('-').next());
    if let (Some(session), Some(start)) = (session, range) {
        let has = state.lock().unwrap().sessions[session].0;
        if start.parse() != Ok(has) {
            return client
                .write_all(answered("416 Range Not Satisfiable", "", "").as_bytes())
                .await;
        }
    }
    let take = |bytes: &[u8]| {
        if let Some(session) = session {
            let (has, digesting) = &mut state.lock().unwrap().sessions[session];
            *has += bytes.len() as u64;
            digesting.update(bytes);
        }
    };
    take(&first);
    let (mut left, mut buffer) = (length.saturating_sub(first.len()), vec![0; 256 << 10]);
    while 0 < left {
        let room = left.min(buffer.len());
        let read = client.read(&mut buffer[..room]).await?;
        if read == 0 {
            return Ok(());
        }
        take(&buffer[..read]);
        left -= read;
    }
    let text = answer(&mut state.lock().unwrap(), method, session, last, &head);
    client.write_all(text.as_bytes()).await
}

fn answer(
    state: &mut State,
    method: &str,
    session: Option<usize>,
    last: &str,
    head: &str,
) -> String {
    let at = |session: usize, has: u64| {
        format!("Location: /v2/a/blobs/uploads/{session}\r\nRange: 0-{}\r\n", has.saturating_sub(1))
    };
    match (method, session) {
        ("HEAD", _) if state.blobs.contains_key(last) => answered("200 OK", "", ""),
        ("POST", _) => {
            state.sessions.push(<(u64, Digesting)>::default());
            answered("202 Accepted", &at(state.sessions.len() - 1, 0), "")
        }
        ("PATCH", Some(session)) => {
            answered("202 Accepted", &at(session, state.sessions[session].0), "")
        }
        ("GET", Some(session)) => {
            answered("204 No Content", &at(session, state.sessions[session].0), "")
        }
        ("PUT", Some(session)) => {
            let (has, digesting) = state.sessions[session].clone();
            let digest = digesting.finish().to_string();
            match head.contains(&digest.replace(':', "%3A")) {
                true => {
                    state.blobs.insert(digest, has);
                    answered("201 Created", "", "")
                }
                false => {
                    answered("400 Bad Request", "", r#"{"errors":[{"code":"DIGEST_INVALID"}]}"#)
                }
            }
        }
        ("PUT", None) => answered("201 Created", "", ""),
        _ => answered("404 Not Found", "", ""),
    }
}
