//! What the control API answers: each route, and each refusal as RFC 9457 has it.

mod mesh;
mod roll_out;
mod terminal;

use std::error::Error;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Either, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{ALLOW, CONTENT_TYPE};
use hyper::{Method, Request, Response, StatusCode};
use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use updraft_engine::logs::LogQuery;
use updraft_engine::{CommandError, Engine, Exit, RunTarget, StopOptions};
use updraft_system::{
    AttachRequest, ControlProblem, LogSelector, Name, RestartRequest, ScaleRequest, StopRequest,
    SystemEnd, SystemEvent, TaskEvent, TaskRequest,
};

use super::line_stream::{LineSender, LineStream};
use super::log_request::{InvalidLogRequest, LogRequest};
use super::{JSON, NDJSON, PROBLEM_JSON};
use crate::failure::Class;
use crate::names::{self, UnknownName};

/// The longest body of a request.
const BODY_BYTES_MAX: usize = 64 * 1024;
/// Streams that may be open at once; well below the connections, so that a
/// `down` finds one free however many logs are being watched.
const STREAMS_MAX: usize = 64;

type Body = Either<Full<Bytes>, LineStream>;
type Answer = Result<Response<Body>, Refusal>;

/// The routes of one running system.
#[derive(Clone)]
pub(crate) struct Routes {
    engine: Engine,
    streams: Arc<Semaphore>,
}

/// Why a request is not done.
struct Refusal {
    problem: Box<ControlProblem>,
    allow: Option<&'static str>,
}

impl Routes {
    pub(crate) fn new(engine: Engine) -> Self {
        Self { engine, streams: Arc::new(Semaphore::new(STREAMS_MAX)) }
    }

    /// The answer to one request.
    pub(crate) async fn answer(self, request: Request<Incoming>) -> Response<Body> {
        self.route(request).await.unwrap_or_else(Refusal::into_response)
    }

    async fn route(self, request: Request<Incoming>) -> Answer {
        let path = request.uri().path().to_owned();
        let segments: Vec<&str> = path.split('/').skip(1).collect();
        let engine = &self.engine;
        let expected = match (&segments[..], request.method()) {
            (["v1", "system"], &Method::GET) => return json(&engine.status()),
            (["v1", "graph"], &Method::GET) => return json(&engine.system()),
            (["v1", "processes"], &Method::GET) => return json(&engine.processes()),
            (["v1", "events"], &Method::GET) => return self.events(),
            (["v1", "logs"], &Method::GET) => return self.logs(request.uri().query()),
            (["v1", "restart"], &Method::POST) => return self.restart(request).await,
            (["v1", "roll-out"], &Method::POST) => return self.roll_out(request).await,
            (["v1", "stop"], &Method::POST) => return self.stop(request).await,
            (["v1", "scale", service, process], &Method::PUT) => {
                return self.scale(name(service)?, name(process)?, request).await;
            }
            (["v1", "resources", resource], &Method::PUT) => {
                return self.attach(name(resource)?, request).await;
            }
            (["v1", "scaling"], &Method::GET) => return json(&engine.scaling()),
            (["v1", "tasks"], &Method::GET) => return json(&engine.tasks()),
            (["v1", "tasks", service, task, "terminal"], &Method::POST) => {
                return self.terminal(name(service)?, name(task)?, request).await;
            }
            (["v1", "tasks", service, task], &Method::POST) => {
                return self.task(name(service)?, name(task)?, request).await;
            }
            (["v1", "mesh", segments @ ..], _) => return self.mesh(segments, request).await,
            (["v1", "scaling" | "tasks"], _) => "GET",
            (["v1", "tasks", _, _, "terminal"], _) => "POST",
            (["v1", "system" | "graph" | "processes" | "events" | "logs"], _) => "GET",
            (["v1", "restart" | "roll-out" | "stop"] | ["v1", "tasks", _, _], _) => "POST",
            (["v1", "scale", _, _] | ["v1", "resources", _], _) => "PUT",
            _ => return Err(Refusal::no_route(&path)),
        };
        Err(Refusal::wrong_method(expected))
    }

    fn events(self) -> Answer {
        let slot = self.slot()?;
        let engine = self.engine;
        Ok(stream(LineStream::new(slot, |lines| send_events(engine, lines))))
    }

    fn logs(self, query: Option<&str>) -> Answer {
        let request = LogRequest::from_query(query.unwrap_or_default(), Timestamp::now())?;
        for selector in &request.select {
            names::writes(&self.engine.system(), selector)?;
        }
        let query = request.to_engine()?;
        let slot = self.slot()?;
        let mut subscription = self.engine.logs().subscribe(query);
        Ok(stream(LineStream::new(slot, async move |lines| {
            while let Some(line) = subscription.recv().await {
                lines.send(&line).await;
            }
        })))
    }

    async fn restart(self, request: Request<Incoming>) -> Answer {
        let RestartRequest { select, hard } = body(request).await?;
        names::runs(&self.engine.system(), &select)?;
        self.engine.restart(&select, hard).await?;
        Ok(done())
    }

    async fn scale(self, service: Name, process: Name, request: Request<Incoming>) -> Answer {
        let wish: ScaleRequest = body(request).await?;
        names::process(&self.engine.system(), &service, &process)?;
        self.engine.set_scale(&service, &process, wish).await?;
        Ok(done())
    }

    async fn attach(self, resource: Name, request: Request<Incoming>) -> Answer {
        let AttachRequest { url } = body(request).await?;
        names::resource(&self.engine.system(), &resource)?;
        self.engine.attach(&resource, url).await?;
        Ok(done())
    }

    async fn task(self, service: Name, task: Name, request: Request<Incoming>) -> Answer {
        let TaskRequest { args, release } = body(request).await?;
        let target = match release {
            Some(number) => Some(self.of_release(number).await?),
            None => None,
        };
        let running = self.engine.system();
        let system = target.as_ref().map_or(&running, |target| &target.system);
        names::task(system, &service, &task)?;
        let declared = system.services.get(&service).and_then(|it| it.tasks.get(&task));
        if target.is_some() && declared.is_some_and(|task| task.tty) {
            let detail =
                format!("{service}.{task} wants a terminal; it runs at one without a release");
            return Err(Refusal::new(StatusCode::CONFLICT, "wants-terminal", Class::Usage, detail));
        }
        let slot = self.slot()?;
        let run = TaskRun { engine: self.engine, service, task, args, target };
        Ok(stream(LineStream::new(slot, |lines| run.send(lines))))
    }

    async fn stop(self, request: Request<Incoming>) -> Answer {
        let StopRequest { resources, now } = body_or_default(request).await?;
        self.engine.begin_stop(StopOptions { resources, now });
        self.engine.forget_run()?;
        let mut answer = json(&self.engine.status())?;
        *answer.status_mut() = StatusCode::ACCEPTED;
        Ok(answer)
    }

    fn slot(&self) -> Result<OwnedSemaphorePermit, Refusal> {
        self.streams.clone().try_acquire_owned().map_err(Refusal::busy)
    }
}

/// The state now and after each change; changes that come faster than they are
/// read are told as one.
async fn send_events(engine: Engine, lines: LineSender) {
    let mut changes = engine.changes();
    let mut stopped = std::pin::pin!(engine.stopped());
    loop {
        lines.send(&event(&engine, None)).await;
        tokio::select! {
            biased;
            report = &mut stopped => {
                let ended = SystemEnd { killed: report.killed, failed: report.failed };
                return lines.send(&event(&engine, Some(ended))).await;
            }
            true = changes.next() => {}
        }
    }
}

fn event(engine: &Engine, ended: Option<SystemEnd>) -> SystemEvent {
    SystemEvent { system: engine.status(), processes: engine.processes(), ended }
}

/// One run of a task, with its output.
struct TaskRun {
    engine: Engine,
    service: Name,
    task: Name,
    args: Vec<String>,
    /// Of a release; `None`: of what runs.
    target: Option<RunTarget>,
}

impl TaskRun {
    async fn send(self, lines: LineSender) {
        let Self { engine, service, task, args, target } = self;
        let selector =
            LogSelector { service: service.clone(), process: Some(task.clone()), replica: None };
        let mut query = LogQuery {
            selectors: vec![selector],
            since: Some(Timestamp::now()),
            ..LogQuery::default()
        };
        let mut live = engine.logs().subscribe(LogQuery { follow: true, ..query.clone() });
        let mut seen = 0;
        let mut run = std::pin::pin!(engine.run_task(&service, &task, args, target));
        let ended = loop {
            tokio::select! {
                Some(line) = live.recv() => {
                    seen = line.seq;
                    lines.send(&TaskEvent::Line(line)).await;
                }
                ended = &mut run => break ended,
            }
        };
        // What it wrote last may still be on its way to `live`, so the rest is read from the store.
        query.follow = false;
        let mut rest = engine.logs().subscribe(query);
        while let Some(line) = rest.recv().await {
            if line.seq > seen {
                lines.send(&TaskEvent::Line(line)).await;
            }
        }
        lines.send(&task_end(ended)).await;
    }
}

fn task_end(ended: Result<Exit, CommandError>) -> TaskEvent {
    match ended {
        Ok(exit) => TaskEvent::Exit { code: exit.shell_code(), reason: exit.to_string() },
        Err(error) => TaskEvent::Refused(*Refusal::from(error).problem),
    }
}

fn name(segment: &str) -> Result<Name, Refusal> {
    segment.parse().map_err(|error| Refusal::bad_request(&error))
}

async fn body<T: DeserializeOwned>(request: Request<Incoming>) -> Result<T, Refusal> {
    let bytes = body_bytes(request).await?;
    serde_json::from_slice(&bytes).map_err(|error| Refusal::bad_request(&error))
}

async fn body_or_default<T>(request: Request<Incoming>) -> Result<T, Refusal>
where
    T: DeserializeOwned + Default,
{
    let bytes = body_bytes(request).await?;
    if bytes.is_empty() {
        return Ok(T::default());
    }
    serde_json::from_slice(&bytes).map_err(|error| Refusal::bad_request(&error))
}

async fn body_bytes(request: Request<Incoming>) -> Result<Bytes, Refusal> {
    let read = Limited::new(request.into_body(), BODY_BYTES_MAX).collect().await;
    read.map(|body| body.to_bytes()).map_err(|error| {
        if error.is::<http_body_util::LengthLimitError>() {
            let detail = format!("the body is longer than {BODY_BYTES_MAX} bytes");
            Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "body-too-large", Class::Usage, detail)
        } else {
            Refusal::bad_request(&*error)
        }
    })
}

fn json(value: &impl Serialize) -> Answer {
    let text = serde_json::to_vec(value).map_err(|error| Refusal::broken(&error))?;
    Ok(with_type(StatusCode::OK, JSON, Either::Left(Full::new(text.into()))))
}

fn done() -> Response<Body> {
    with_type(StatusCode::OK, JSON, Either::Left(Full::new(Bytes::from_static(b"{}"))))
}

fn stream(lines: LineStream) -> Response<Body> {
    with_type(StatusCode::OK, NDJSON, Either::Right(lines))
}

fn with_type(status: StatusCode, media_type: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(media_type));
    response
}

impl Refusal {
    fn new(status: StatusCode, kind: &str, class: Class, detail: String) -> Self {
        let problem = ControlProblem {
            kind: format!("urn:updraft:{kind}"),
            title: kind.replace('-', " "),
            status: status.as_u16(),
            detail,
            exit: class.code(),
        };
        Self { problem: Box::new(problem), allow: None }
    }

    fn bad_request(error: &(dyn Error + 'static)) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad-request", Class::Usage, chain(error))
    }

    fn broken(error: &(dyn Error + 'static)) -> Self {
        let detail = chain(error);
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal-error", Class::Finding, detail)
    }

    fn busy(_: tokio::sync::TryAcquireError) -> Self {
        let detail = format!("{STREAMS_MAX} streams are open already; end one of them");
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "too-many-streams", Class::Environment, detail)
    }

    fn no_route(path: &str) -> Self {
        let detail = format!("no route {path} in this version of updraft");
        Self::new(StatusCode::NOT_FOUND, "no-such-route", Class::Usage, detail)
    }

    fn wrong_method(allow: &'static str) -> Self {
        let detail = format!("this route takes {allow} only");
        let status = StatusCode::METHOD_NOT_ALLOWED;
        Self { allow: Some(allow), ..Self::new(status, "wrong-method", Class::Usage, detail) }
    }

    fn into_response(self) -> Response<Body> {
        let status = StatusCode::from_u16(self.problem.status);
        let text = serde_json::to_vec(&self.problem).unwrap_or_default();
        let mut response = with_type(
            status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            PROBLEM_JSON,
            Either::Left(Full::new(text.into())),
        );
        if let Some(allow) = self.allow {
            response.headers_mut().insert(ALLOW, hyper::header::HeaderValue::from_static(allow));
        }
        response
    }
}

impl From<UnknownName> for Refusal {
    fn from(error: UnknownName) -> Self {
        Self::new(StatusCode::NOT_FOUND, "unknown-name", Class::Usage, chain(&error))
    }
}

impl From<InvalidLogRequest> for Refusal {
    fn from(error: InvalidLogRequest) -> Self {
        Self::bad_request(&error)
    }
}

impl From<CommandError> for Refusal {
    fn from(error: CommandError) -> Self {
        let class = Class::from(error.class());
        let (status, kind) = match class {
            Class::Usage => (StatusCode::UNPROCESSABLE_ENTITY, "refused"),
            Class::Finding => (StatusCode::CONFLICT, "failed"),
            Class::Environment => (StatusCode::SERVICE_UNAVAILABLE, "environment-lacks"),
        };
        Self::new(status, kind, class, chain(&error))
    }
}

/// An error and its sources in one sentence.
fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    for cause in std::iter::successors(error.source(), |&error| error.source()) {
        text = format!("{text}: {cause}");
    }
    text
}
