//! The terminal of a task over a connection that was upgraded: a person at one end, the
//! program at the other.

use bytes::Bytes;
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use hyper::header::{CONNECTION, HeaderValue, UPGRADE};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, ReadHalf, WriteHalf, split};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use updraft_engine::{Engine, TerminalInput};
use updraft_system::{Name, TERMINAL_PROTOCOL, TerminalFrame, TerminalFrames, TerminalRequest};

use super::{Answer, Refusal, Routes, body, task_end};
use crate::failure::Class;
use crate::names;

/// Pieces that wait on their way in either direction; then their source waits.
const PIECES_WAITING: usize = 16;
/// What is read at once.
const READ_BYTES: usize = 8 * 1024;

impl Routes {
    /// Answers with a terminal.
    pub(super) async fn terminal(
        self,
        service: Name,
        task: Name,
        mut request: Request<Incoming>,
    ) -> Answer {
        let wanted = request.headers().get(UPGRADE);
        if wanted.is_none_or(|wanted| wanted.as_bytes() != TERMINAL_PROTOCOL.as_bytes()) {
            let detail = format!(
                "a terminal needs a connection of its own: send `Connection: upgrade` and \
                 `Upgrade: {TERMINAL_PROTOCOL}`"
            );
            let status = StatusCode::UPGRADE_REQUIRED;
            return Err(Refusal::new(status, "upgrade-required", Class::Usage, detail));
        }
        let upgrade = hyper::upgrade::on(&mut request);
        let request: TerminalRequest = body(request).await?;
        names::task(&self.engine.system(), &service, &task)?;
        let slot = self.slot()?;
        let session = Session { engine: self.engine, service, task, request };
        tokio::spawn(session.hold(upgrade, slot));
        let mut answer = Response::new(Either::Left(Full::new(Bytes::new())));
        *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = answer.headers_mut();
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static(TERMINAL_PROTOCOL));
        Ok(answer)
    }
}

/// One person at one task.
struct Session {
    engine: Engine,
    service: Name,
    task: Name,
    request: TerminalRequest,
}

impl Session {
    /// Ends with the task, which ends with the connection.
    async fn hold(self, upgrade: OnUpgrade, _slot: OwnedSemaphorePermit) {
        // A client that hangs up in the middle is no error of ours.
        let Ok(connection) = upgrade.await else { return };
        let (from_client, to_client) = split(TokioIo::new(connection));
        let (typed, input) = mpsc::channel(PIECES_WAITING);
        let (output, seen) = mpsc::channel(PIECES_WAITING);
        let Self { engine, service, task, request } = self;
        let run = engine.run_task_in_terminal((&service, &task), request, input, output);
        let mut run = std::pin::pin!(run);
        let showing = tokio::spawn(show(to_client, seen));
        let ended = tokio::select! {
            ended = &mut run => ended,
            () = listen(from_client, typed) => {
                // Nobody sees what it shows any more, by which the task ends.
                showing.abort();
                drop(run.await);
                return;
            }
        };
        if let Ok(Some(mut to_client)) = showing.await {
            let end = TerminalFrame::End(task_end(ended)).encode();
            drop(to_client.write_all(&end).await);
            drop(to_client.shutdown().await);
        }
    }
}

/// Passes on what the client sends until it has gone.
async fn listen(mut from_client: ReadHalf<TokioIo<Upgraded>>, typed: mpsc::Sender<TerminalInput>) {
    let mut frames = TerminalFrames::default();
    let mut buffer = vec![0; READ_BYTES];
    'connected: while let Ok(count @ 1..) = from_client.read(&mut buffer).await {
        frames.push(buffer.get(..count).unwrap_or_default());
        loop {
            let input = match frames.next_frame() {
                Ok(Some(TerminalFrame::Data(data))) => TerminalInput::Typed(data.into()),
                Ok(Some(TerminalFrame::Resize(size))) => TerminalInput::Resized(size),
                Ok(None) => break,
                Ok(Some(TerminalFrame::End(_))) | Err(_) => break 'connected,
            };
            if typed.send(input).await.is_err() {
                break 'connected;
            }
        }
    }
}

/// Sends what is to be seen; gives the connection back for the last word. `None`: the client
/// has gone.
async fn show(
    mut to_client: WriteHalf<TokioIo<Upgraded>>,
    mut seen: mpsc::Receiver<Bytes>,
) -> Option<WriteHalf<TokioIo<Upgraded>>> {
    while let Some(piece) = seen.recv().await {
        let frame = TerminalFrame::Data(piece.to_vec()).encode();
        to_client.write_all(&frame).await.ok()?;
    }
    Some(to_client)
}
