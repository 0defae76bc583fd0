//! The command's end of the control API.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::{CONNECTION, CONTENT_TYPE, HOST, UPGRADE};
use hyper::upgrade::Upgraded;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use tokio::task::JoinHandle;
use updraft_mesh::ShortPath;
use updraft_system::mesh::{
    EdgeReport, GatewayConfig, RotateAnswer, RotateRequest, Served, Share, Tapped, Traffic,
};
use updraft_system::{
    AttachRequest, ControlProblem, LogLine, LogSelector, Name, ProcessStatus, RestartRequest,
    RollOutEvent, RollOutRequest, ScaleRequest, ScalingStatus, StopRequest, System, SystemEvent,
    SystemStatus, TERMINAL_PROTOCOL, TaskEvent, TaskRequest, TaskStatus, TerminalRequest,
};
use url::form_urlencoded;

use super::JSON;
use super::log_request::LogRequest;

/// The largest answer, and the longest line of a stream, that is read.
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;
/// How long a running supervisor may take to tell its state.
const STATE_TIMEOUT: Duration = Duration::from_secs(10);

/// A supervisor that answers.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    socket: PathBuf,
    /// Its process id as this process sees it.
    pub(crate) supervisor_pid: Option<i32>,
}

/// A request that was not answered as hoped.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ControlError {
    #[error("{}", .0.detail)]
    Refused(ControlProblem),
    #[error("the supervisor went away before it answered")]
    Gone(#[source] Option<io::Error>),
    #[error("the supervisor does not answer; it may be stopped or overloaded")]
    Silent,
    #[error("the supervisor's answer cannot be understood; it may be another version of updraft")]
    Garbled(#[source] Option<serde_json::Error>),
}

impl Client {
    /// The supervisor behind a socket; `None`: nobody listens there.
    pub(crate) async fn connect(socket: &Path) -> io::Result<Option<Self>> {
        match open(socket).await {
            Ok(stream) => {
                let supervisor_pid = stream.peer_cred()?.pid();
                Ok(Some(Self { socket: socket.to_owned(), supervisor_pid }))
            }
            Err(error) => match error.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => Ok(None),
                _ => Err(error),
            },
        }
    }

    pub(crate) async fn system(&self) -> Result<SystemStatus, ControlError> {
        self.state("/v1/system").await
    }

    pub(crate) async fn graph(&self) -> Result<System, ControlError> {
        self.state("/v1/graph").await
    }

    pub(crate) async fn processes(&self) -> Result<Vec<ProcessStatus>, ControlError> {
        self.state("/v1/processes").await
    }

    pub(crate) async fn events(&self) -> Result<Lines<SystemEvent>, ControlError> {
        self.lines(Method::GET, "/v1/events", None::<&()>).await
    }

    pub(crate) async fn logs(&self, request: &LogRequest) -> Result<Lines<LogLine>, ControlError> {
        let path = format!("/v1/logs?{}", request.to_query());
        self.lines(Method::GET, &path, None::<&()>).await
    }

    pub(crate) async fn restart(
        &self,
        select: LogSelector,
        hard: bool,
    ) -> Result<(), ControlError> {
        let body = RestartRequest { select, hard };
        self.send(Method::POST, "/v1/restart", Some(&body)).await.map(drop)
    }

    /// Rolls out what the manifest and the sources are now.
    pub(crate) async fn roll_out(
        &self,
        request: &RollOutRequest,
    ) -> Result<Lines<RollOutEvent>, ControlError> {
        self.lines(Method::POST, "/v1/roll-out", Some(request)).await
    }

    pub(crate) async fn scale(
        &self,
        service: &Name,
        process: &Name,
        wish: ScaleRequest,
    ) -> Result<(), ControlError> {
        let path = format!("/v1/scale/{service}/{process}");
        self.send(Method::PUT, &path, Some(&wish)).await.map(drop)
    }

    /// How the number of copies of each process comes about.
    pub(crate) async fn scaling(&self) -> Result<Vec<ScalingStatus>, ControlError> {
        self.state("/v1/scaling").await
    }

    /// What is known of each task.
    pub(crate) async fn tasks(&self) -> Result<Vec<TaskStatus>, ControlError> {
        self.state("/v1/tasks").await
    }

    /// Runs a task with a terminal, whose frames go over the connection.
    pub(crate) async fn terminal(
        &self,
        service: &Name,
        task: &Name,
        request: &TerminalRequest,
    ) -> Result<Upgraded, ControlError> {
        let path = format!("/v1/tasks/{service}/{task}/terminal");
        let answer = self.send(Method::POST, &path, Some(request)).await?;
        let upgraded = hyper::upgrade::on(answer.response).await;
        drop(answer.connection);
        upgraded.map_err(hyper_gone)
    }

    pub(crate) async fn attach(
        &self,
        resource: &Name,
        url: Option<String>,
    ) -> Result<(), ControlError> {
        let path = format!("/v1/resources/{resource}");
        self.send(Method::PUT, &path, Some(&AttachRequest { url })).await.map(drop)
    }

    pub(crate) async fn run_task(
        &self,
        service: &Name,
        task: &Name,
        request: &TaskRequest,
    ) -> Result<Lines<TaskEvent>, ControlError> {
        let path = format!("/v1/tasks/{service}/{task}");
        self.lines(Method::POST, &path, Some(request)).await
    }

    pub(crate) async fn stop(&self, request: StopRequest) -> Result<(), ControlError> {
        self.send(Method::POST, "/v1/stop", Some(&request)).await.map(drop)
    }

    /// What is known of each edge.
    pub(crate) async fn edges(&self) -> Result<Vec<EdgeReport>, ControlError> {
        self.state("/v1/mesh/edges").await
    }

    /// The configuration of the gateway.
    pub(crate) async fn wire_config(&self) -> Result<GatewayConfig, ControlError> {
        self.state("/v1/mesh/config").await
    }

    /// Live requests of the edges between these ends.
    pub(crate) async fn tap(
        &self,
        from: Option<&Name>,
        to: Option<&Name>,
        share: Share,
    ) -> Result<Lines<Tapped>, ControlError> {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(from.map(|from| ("from", from.as_str())));
        query.extend_pairs(to.map(|to| ("to", to.as_str())));
        query.append_pair("share", &share.to_string());
        let path = format!("/v1/mesh/tap?{}", query.finish());
        self.lines(Method::GET, &path, None::<&()>).await
    }

    /// The traffic of each service as it is now.
    pub(crate) async fn traffic(&self) -> Result<BTreeMap<Name, Traffic>, ControlError> {
        self.state("/v1/mesh/traffic").await
    }

    /// Changes the traffic to a service; `None`: what the manifest says.
    pub(crate) async fn set_traffic(
        &self,
        service: &Name,
        traffic: Option<&Traffic>,
    ) -> Result<(), ControlError> {
        let path = format!("/v1/mesh/traffic/{service}");
        self.send(Method::PUT, &path, Some(&traffic)).await.map(drop)
    }

    /// The certificates that are served now.
    pub(crate) async fn identities(&self) -> Result<Vec<Served>, ControlError> {
        self.state("/v1/mesh/identity").await
    }

    /// Gets new certificates.
    pub(crate) async fn rotate(
        &self,
        request: &RotateRequest,
    ) -> Result<RotateAnswer, ControlError> {
        let answer = self.send(Method::POST, "/v1/mesh/rotate", Some(request)).await?;
        whole(answer.response.into_body()).await
    }

    async fn state<T: DeserializeOwned>(&self, path: &str) -> Result<T, ControlError> {
        let read = async {
            let answer = self.send(Method::GET, path, None::<&()>).await?;
            whole(answer.response.into_body()).await
        };
        tokio::time::timeout(STATE_TIMEOUT, read).await.unwrap_or(Err(ControlError::Silent))
    }

    async fn lines<T>(
        &self,
        method: Method,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> Result<Lines<T>, ControlError> {
        let Answer { response, connection } = self.send(method, path, body).await?;
        Ok(Lines {
            body: response.into_body(),
            _connection: connection,
            unread: BytesMut::new(),
            ready: VecDeque::new(),
            item: PhantomData,
        })
    }

    /// Sends a request; whatever is no success becomes an error.
    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> Result<Answer, ControlError> {
        let body = body.map(serde_json::to_vec).transpose();
        let body = body.map_err(|error| ControlError::Garbled(Some(error)))?;
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, "updraft")
            .header(CONTENT_TYPE, JSON);
        // Only a terminal takes its connection over.
        let request = match path.ends_with("/terminal") {
            true => request.header(CONNECTION, "upgrade").header(UPGRADE, TERMINAL_PROTOCOL),
            false => request,
        };
        let request = request
            .body(Full::new(Bytes::from(body.unwrap_or_default())))
            .map_err(|error| gone(io::Error::other(error)))?;
        let stream = open(&self.socket).await.map_err(gone)?;
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(hyper_gone)?;
        let connection = Connection(tokio::spawn(async { drop(connection.with_upgrades().await) }));
        let response = sender.send_request(request).await.map_err(hyper_gone)?;
        let status = response.status();
        if status.is_success() || status == StatusCode::SWITCHING_PROTOCOLS {
            return Ok(Answer { response, connection });
        }
        Err(ControlError::Refused(whole(response.into_body()).await?))
    }
}

struct Answer {
    response: Response<Incoming>,
    connection: Connection,
}

/// The task that moves a connection's bytes; it ends with its reader.
#[derive(Debug)]
struct Connection(JoinHandle<()>);

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A stream of JSON lines.
#[derive(Debug)]
pub(crate) struct Lines<T> {
    body: Incoming,
    _connection: Connection,
    /// The beginning of a line whose end has not come yet.
    unread: BytesMut,
    ready: VecDeque<Bytes>,
    item: PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned> Lines<T> {
    /// The next line; `None`: the stream has ended in order.
    pub(crate) async fn next(&mut self) -> Result<Option<T>, ControlError> {
        loop {
            if let Some(line) = self.ready.pop_front() {
                let parsed = serde_json::from_slice(&line);
                return parsed.map(Some).map_err(|error| ControlError::Garbled(Some(error)));
            }
            let Some(frame) = self.body.frame().await else { return Ok(None) };
            if let Ok(data) = frame.map_err(hyper_gone)?.into_data() {
                self.split(&data)?;
            }
        }
    }

    fn split(&mut self, data: &[u8]) -> Result<(), ControlError> {
        let mut rest = data;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            self.unread.extend_from_slice(&rest[..end]);
            self.ready.push_back(self.unread.split().freeze());
            rest = &rest[end + 1..];
        }
        self.unread.extend_from_slice(rest);
        if self.unread.len() > ANSWER_BYTES_MAX {
            return Err(ControlError::Garbled(None));
        }
        Ok(())
    }
}

async fn open(socket: &Path) -> io::Result<UnixStream> {
    let short = ShortPath::of(socket)?;
    UnixStream::connect(short.path()).await
}

async fn whole<T: DeserializeOwned>(body: Incoming) -> Result<T, ControlError> {
    let read = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
    let bytes = read.map_err(|error| gone(io::Error::other(error)))?.to_bytes();
    serde_json::from_slice(&bytes).map_err(|error| ControlError::Garbled(Some(error)))
}

fn gone(error: io::Error) -> ControlError {
    ControlError::Gone(Some(error))
}

fn hyper_gone(error: hyper::Error) -> ControlError {
    gone(io::Error::other(error))
}
