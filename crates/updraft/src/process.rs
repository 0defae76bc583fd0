//! The life of one process: start, serve, drain, exit. Whatever runs in the background is
//! owned here, so that nothing dies unseen and nothing is forgotten at the end.

mod components;
mod signals;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::time::Instant;

use crate::BoxError;
use crate::config::{Config, Invalid, Level};
use crate::drain::{Drain, DrainBudget, Phase, Stop};
use crate::service::Kind;
use crate::web::{Limits, Web};
use components::Components;
use signals::Signals;

/// Connections held at once, unless `MAX_CONNECTIONS` says otherwise.
const CONNECTIONS: NonZeroU32 = NonZeroU32::new(1024).expect("it is above 0");

/// The largest request body, unless `MAX_BODY_BYTES` says otherwise.
const BODY_BYTES: NonZeroU32 = NonZeroU32::new(1024 * 1024).expect("it is above 0");

/// A future that owns all it needs.
pub(crate) type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A process type or task whose own code is about to start.
pub(crate) enum Start {
    Web(BoxFuture<Result<Router, BoxError>>),
    Worker(BoxFuture<Result<(), BoxError>>),
    Task(BoxFuture<Result<(), BoxError>>),
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Nothing failed and nothing was cut off.
    Clean,
    /// Something was; the log says what.
    Failed,
}

/// What every process reads from the environment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Platform {
    address: Option<SocketAddr>,
    limits: Limits,
    budget: DrainBudget,
    pub(crate) level: Level,
}

impl Platform {
    pub(crate) fn read(config: &mut Config, kind: Kind) -> Result<Self, Invalid> {
        let about = "the TCP port to listen on";
        let port = match kind {
            Kind::Web => config.require("PORT", about).map(Some),
            Kind::Worker => config.optional("PORT", about),
            Kind::Task => Ok(None),
        };
        let localhost = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let host = config.or("HOST", localhost, "the address to listen on");
        let connections =
            config.or("MAX_CONNECTIONS", CONNECTIONS, "how many connections are held at once");
        let body = config.or("MAX_BODY_BYTES", BODY_BYTES, "the largest request body");
        // Somebody at a terminal has no load balancer that must learn of the drain first.
        let delay = if std::io::IsTerminal::is_terminal(&std::io::stdout()) { 0 } else { 5 };
        let delay = config.or(
            "DRAIN_DELAY",
            Duration::from_secs(delay),
            "how long to keep serving after the process stopped being ready",
        );
        let grace = config.or(
            "SHUTDOWN_GRACE",
            Duration::from_secs(25),
            "how long the process may take to end, with DRAIN_DELAY",
        );
        let level = config.or("LOG_LEVEL", Level(tracing::Level::INFO), "how much is logged");
        let (port, host): (Option<u16>, IpAddr) = (port?, host?);
        Ok(Self {
            address: port.map(|port| SocketAddr::new(host, port)),
            limits: Limits { connections: connections?, body_bytes: body? },
            budget: DrainBudget { delay: delay?, grace: grace? },
            level: level?,
        })
    }
}

/// What a process gives to its own code: the drain, and an owner for background work.
#[derive(Clone, Debug)]
pub struct Context {
    stop: Stop,
    components: Arc<Components>,
}

impl Context {
    /// The handle by which background work learns that the process ends.
    pub fn stop(&self) -> Stop {
        self.stop.clone()
    }

    /// Starts background work. It must last until [`Stop::requested`]: when it ends
    /// before that, fails or panics, the whole process drains and exits with 1, because a
    /// process that smiles while its work is dead helps nobody.
    pub fn run(
        &self,
        name: &'static str,
        work: impl Future<Output = Result<(), BoxError>> + Send + 'static,
    ) {
        self.components.spawn(name, work);
    }
}

/// Runs one process from its start to its exit.
pub(crate) async fn run(platform: Platform, start: impl FnOnce(Context) -> Start) -> Outcome {
    let drain = Drain::new(platform.budget.grace);
    let mut signals = match Signals::listen() {
        Ok(signals) => signals,
        Err(error) => return failed("cannot listen for signals", &error),
    };
    let listening = platform.address.map(|address| Web::listen(address, platform.limits, &drain));
    let web = match listening.transpose() {
        Ok(web) => web,
        Err(error) => return failed("cannot serve HTTP", &error),
    };
    let components = Arc::new(Components::default());
    let context = Context { stop: drain.stop(), components: Arc::clone(&components) };
    let process = Process { drain, web, components, budget: platform.budget };
    match start(context) {
        Start::Web(start) => {
            let installed = process.web.as_ref().map(Web::installer);
            let start = async move {
                let router = start.await?;
                installed.ok_or("a web process needs PORT")?.install(router);
                Ok(())
            };
            process.serve(Box::pin(start), true, &mut signals).await
        }
        Start::Worker(start) => process.serve(start, false, &mut signals).await,
        Start::Task(task) => process.complete(task, &mut signals).await,
    }
}

/// The parts of a running process.
struct Process {
    drain: Drain,
    web: Option<Web>,
    components: Arc<Components>,
    budget: DrainBudget,
}

impl Process {
    /// Starts, and stays until a signal or a failure; then drains.
    async fn serve(
        self,
        start: BoxFuture<Result<(), BoxError>>,
        serves_users: bool,
        signals: &mut Signals,
    ) -> Outcome {
        let mut start = tokio::spawn(start);
        let started = tokio::select! {
            started = &mut start => started.unwrap_or_else(|panic| Err(panic.into())),
            signal = signals.next() => {
                start.abort();
                tracing::info!(signal, "stopping before the start was complete");
                return self.end(Outcome::Clean, Duration::ZERO, signals).await;
            }
        };
        let started = started.and_then(|()| match serves_users || self.components.any() {
            true => Ok(()),
            false => Err("the start of a worker must run something with Context::run".into()),
        });
        if let Err(error) = started {
            let outcome = failed("cannot start", &*error);
            return self.end(outcome, Duration::ZERO, signals).await;
        }
        self.drain.advance(Phase::Serving);
        tracing::info!("ready");
        let outcome = tokio::select! {
            signal = signals.next() => {
                tracing::info!(signal, "stopping");
                Outcome::Clean
            }
            component = self.components.next_end() => component.died(),
        };
        let delay = if serves_users { self.budget.delay } else { Duration::ZERO };
        self.end(outcome, delay, signals).await
    }

    /// The drain: unready, still serving for `delay`, then closed, all within one budget.
    async fn end(mut self, so_far: Outcome, delay: Duration, signals: &mut Signals) -> Outcome {
        let deadline = Instant::now() + self.budget.grace;
        self.drain.advance(Phase::Draining);
        let web = self.web.take();
        let requests = web.as_ref().map(Web::in_flight);
        let drain = &self.drain;
        let components = &self.components;
        let orderly = async {
            let close = async {
                tokio::time::sleep(delay).await;
                drain.advance(Phase::Closing);
                if let Some(web) = web {
                    web.closed().await;
                }
            };
            let (outcome, ()) = tokio::join!(components.all_ended(), close);
            drain.released().await;
            outcome
        };
        let cut = tokio::select! {
            ended = tokio::time::timeout_at(deadline, orderly) => match ended {
                Ok(outcome) => {
                    tracing::info!("stopped");
                    return so_far.and(outcome);
                }
                Err(_elapsed) => "SHUTDOWN_GRACE is over",
            },
            _signal = signals.next() => "a second signal came",
        };
        let requests = requests.map_or(0, |requests| requests.count());
        let background = self.components.running().join(", ");
        tracing::error!(requests, background, "work was cut off: {cut}");
        Outcome::Failed
    }

    /// Runs a task to its end; a signal asks it to stop, a second one cuts it off.
    async fn complete(
        self,
        task: BoxFuture<Result<(), BoxError>>,
        signals: &mut Signals,
    ) -> Outcome {
        let mut task = tokio::spawn(task);
        self.drain.advance(Phase::Serving);
        let mut done = tokio::select! {
            done = &mut task => Some(done),
            signal = signals.next() => {
                tracing::info!(signal, "the task is asked to stop");
                None
            }
        };
        if done.is_none() {
            self.drain.advance(Phase::Draining);
            tokio::select! {
                last = &mut task => done = Some(last),
                () = tokio::time::sleep(self.budget.grace) => {}
                _signal = signals.next() => {}
            }
        }
        match done {
            Some(Ok(Ok(()))) => {
                tracing::info!("the task is done");
                Outcome::Clean
            }
            Some(Ok(Err(error))) => failed("the task failed", &*error),
            Some(Err(panic)) => failed("the task failed", &panic),
            None => {
                tracing::error!("the task was cut off");
                Outcome::Failed
            }
        }
    }
}

impl Outcome {
    fn and(self, other: Self) -> Self {
        if self == Self::Clean { other } else { self }
    }
}

fn failed(what: &'static str, error: &(dyn std::error::Error + 'static)) -> Outcome {
    tracing::error!(error, "{what}");
    Outcome::Failed
}
