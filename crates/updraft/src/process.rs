//! The life of one process: start, serve, drain, exit. Whatever runs in the background is
//! owned here, so that nothing dies unseen and nothing is forgotten at the end.

mod closers;
mod components;
#[cfg(feature = "testing")]
mod rehearsal;
mod running;
mod signals;
mod supervisor;

use std::num::NonZeroU32;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::runtime::Handle;

use crate::BoxError;
use crate::admin::AdminAddress;
use crate::api::Routes;
use crate::attachment::{AttachError, Attached};
use crate::auth::{Auth, AuthSettings};
use crate::config::{Config, Invalid, REPLICAS};
use crate::drain::{DrainBudget, Stop};
use crate::health::{Checks, Condition, Health, Needs};
use crate::idempotency::{IdempotencySettings, Keeper};
use crate::metrics::Metrics;
use crate::telemetry::{self, TelemetryHandle};
use crate::watchdog::{self, Delays};
use crate::web::{Wanted, Web, WebSettings};
use closers::Closers;
use components::Components;
#[cfg(feature = "testing")]
pub(crate) use rehearsal::Rehearsal;
use running::Process;
use signals::Signals;
use supervisor::Life;
pub(crate) use supervisor::supervise;

/// Jobs that a worker has in hand at once, unless `JOBS_CONCURRENCY` says otherwise.
const JOBS_CONCURRENCY: NonZeroU32 = NonZeroU32::new(4).expect("it is above 0");

/// What a process is, which decides what it needs of the environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Web,
    Worker,
    Task,
    /// A task that answers on standard output, where its log would be in the way.
    Question,
}

/// A future that owns all it needs.
pub(crate) type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Starts the code of a verb. Boxed: else the program would have a supervisor for each verb.
pub(crate) type Begin<'a> = Box<dyn FnOnce(Context) -> Start + 'a>;

/// A process type or task whose own code is about to start.
pub(crate) enum Start {
    Web(BoxFuture<Result<Routes, BoxError>>),
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
#[derive(Clone, Debug)]
pub(crate) struct Platform {
    web: WebSettings,
    budget: DrainBudget,
    admin: Option<AdminAddress>,
    /// Health is also answered beside the routes of the service.
    health_on_port: bool,
    checks: Checks,
    /// From one look of the watchdog to the next; zero: it does not look.
    watchdog: Duration,
    /// How long the platform waits before it kills.
    termination_grace: Option<Duration>,
    pub(crate) telemetry: telemetry::Settings,
    pub(crate) jobs_concurrency: NonZeroU32,
    auth: AuthSettings,
    pub(crate) idempotency: IdempotencySettings,
}

impl Platform {
    pub(crate) fn read(config: &mut Config, kind: Kind) -> Result<Self, Invalid> {
        config.per_process(&[
            "ADMIN_HOST",
            "ADMIN_PORT",
            "HOST",
            "LISTEN",
            "LISTEN_FDS",
            "LISTEN_MODE",
            "LISTEN_PID",
            "PORT",
            REPLICAS,
        ]);
        let wanted = match kind {
            Kind::Web => Wanted::Yes,
            Kind::Worker => Wanted::IfAsked,
            Kind::Task | Kind::Question => Wanted::No,
        };
        let web = WebSettings::read(config, wanted);
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
        let admin = AdminAddress::read(config, kind);
        let health_on_port =
            config.or("HEALTH_ON_PORT", true, "whether health is answered on PORT too");
        let interval = config.or(
            "HEALTH_INTERVAL",
            Duration::from_secs(5),
            "how often attachments are checked",
        );
        let needs = config.or(
            "READY_NEEDS",
            Needs::default(),
            "the attachments without which the process is not ready",
        );
        let watchdog = config.or(
            "WATCHDOG_INTERVAL",
            Duration::from_secs(5),
            "how often the watchdog looks; a process that is stuck three times is not live; 0s: never",
        );
        let termination_grace = config.optional(
            "TERMINATION_GRACE",
            "how long the platform waits from its signal to its kill, when it says so",
        );
        let one = NonZeroU32::MIN;
        let replicas = config.or(REPLICAS, one, "how many processes of each type run at once");
        let telemetry = telemetry::Settings::read(config);
        let about = "how many jobs a worker has in hand at once";
        let jobs_concurrency = config.or("JOBS_CONCURRENCY", JOBS_CONCURRENCY, about);
        let (auth, idempotency) = (AuthSettings::read(config), IdempotencySettings::read(config));
        // Fields that replicas share look it up themselves.
        replicas?;
        Ok(Self {
            web: web?,
            budget: DrainBudget { delay: delay?, grace: grace? },
            admin: admin?,
            health_on_port: health_on_port?,
            checks: Checks::new(interval?, needs?),
            watchdog: watchdog?,
            termination_grace: termination_grace?,
            telemetry: if kind == Kind::Question { telemetry?.of_errors() } else { telemetry? },
            jobs_concurrency: jobs_concurrency?,
            auth: auth?,
            idempotency: idempotency?,
        })
    }
}

/// What a process gives to its own code: the drain, an owner for background work, and the
/// places where health and metrics are kept.
#[derive(Clone, Debug)]
pub(crate) struct Context {
    stop: Stop,
    shared: Arc<Shared>,
}

/// What all contexts of a process share.
#[derive(Debug)]
struct Shared {
    components: Arc<Components>,
    closers: Arc<Closers>,
    health: Health,
    metrics: Metrics,
    checks: Checks,
    telemetry: TelemetryHandle,
    runtime: Handle,
    auth: Auth,
    keeper: OnceLock<Keeper>,
}

impl Context {
    /// The handle by which background work learns that the process ends.
    pub(crate) fn stop(&self) -> Stop {
        self.stop.clone()
    }

    /// Starts background work. It must last until [`Stop::requested`]: when it ends
    /// before that, fails or panics, the whole process drains and exits with 1, because a
    /// process that smiles while its work is dead helps nobody.
    pub(crate) fn run(
        &self,
        name: &'static str,
        work: impl Future<Output = Result<(), BoxError>> + Send + 'static,
    ) {
        self.shared.components.spawn(name, work, &self.shared.runtime);
    }

    /// Has something closed after all work has ended, the last one first. It shares a bound
    /// with all others: at most a tenth of `SHUTDOWN_GRACE`.
    pub(crate) fn at_close(
        &self,
        name: &'static str,
        close: impl Future<Output = ()> + Send + 'static,
    ) {
        self.shared.closers.add(name, Box::pin(close));
    }

    /// The logs and traces of the process.
    pub(crate) fn telemetry(&self) -> &TelemetryHandle {
        &self.shared.telemetry
    }

    /// The metrics of the process.
    pub(crate) fn metrics(&self) -> &Metrics {
        &self.shared.metrics
    }

    /// Whoever tells callers by their tokens.
    pub(crate) fn auth(&self) -> &Auth {
        &self.shared.auth
    }

    /// Whoever keeps idempotency keys; `None` where no operation has any.
    pub(crate) fn keeper(&self) -> Option<&Keeper> {
        self.shared.keeper.get()
    }

    /// Has keys kept from here on. There is one keeper per process.
    pub(crate) fn keep_keys(&self, keeper: Keeper) {
        drop(self.shared.keeper.set(keeper));
    }

    /// Something without which the process is not ready.
    pub(crate) fn condition(&self, name: &'static str) -> Condition {
        self.shared.health.condition(name)
    }

    /// Checks what is attached, from here to the end.
    ///
    /// # Errors
    ///
    /// When `READY_NEEDS` names something that is not attached.
    pub(crate) fn watch(&self, attached: Vec<Attached>) -> Result<(), AttachError> {
        for Attached { name, attachment, .. } in &attached {
            let attachment = Arc::clone(attachment);
            self.at_close(name, async move { attachment.close().await });
        }
        self.shared.health.watch(attached, &self.shared.checks, &self.shared.runtime)
    }
}

/// Runs one process from its start to its exit. This is polled on the supervisor; what it
/// starts runs on `runtime`.
async fn run(
    platform: Platform,
    life: Life,
    runtime: &Handle,
    delays: Delays,
    start: Begin<'_>,
) -> Outcome {
    platform.warn_of_graces();
    let Life { drain, health, metrics, telemetry } = life;
    let mut signals = match Signals::listen() {
        Ok(signals) => signals,
        Err(error) => return failed("cannot listen for signals", &error),
    };
    let listening = {
        let _of_its_tasks = runtime.enter();
        let of_health = (&health, platform.health_on_port);
        Web::listen(platform.web, &drain, of_health, &metrics)
    };
    let web = match listening {
        Ok(web) => web,
        Err(error) => return failed("cannot serve HTTP", &*error),
    };
    let (components, closers) = (Arc::<Components>::default(), Arc::<Closers>::default());
    if !platform.watchdog.is_zero() {
        let background = Arc::clone(&components);
        let (runtime, health) = (runtime.clone(), health.clone());
        let running = move || background.running();
        tokio::spawn(watchdog::watch(runtime, health, delays, platform.watchdog, running));
    }
    let shared = Shared {
        components: Arc::clone(&components),
        closers: Arc::clone(&closers),
        health: health.clone(),
        auth: Auth::new(platform.auth, &metrics),
        keeper: OnceLock::new(),
        metrics,
        checks: platform.checks,
        telemetry: telemetry.clone(),
        runtime: runtime.clone(),
    };
    let context = Context { stop: drain.stop(), shared: Arc::new(shared) };
    // What is first here is closed last. A collector that is slow must not turn a clean end
    // into one that was cut, so the flush is over a little before its time is.
    let flush_time = platform.budget.closing() * 3 / 4;
    context.at_close("traces", async move {
        telemetry.flush(tokio::time::Instant::now() + flush_time).await;
    });
    let (budget, runtime) = (platform.budget, runtime.clone());
    let process = Process { drain, health, web, components, closers, budget, runtime };
    match start(context) {
        Start::Web(start) => {
            let installed = process.web.as_ref().map(Web::installer);
            let start = async move {
                let routes = start.await?;
                installed.ok_or("a web process needs PORT")?.install(routes);
                Ok(())
            };
            process.serve(Box::pin(start), true, &mut signals).await
        }
        Start::Worker(start) => process.serve(start, false, &mut signals).await,
        Start::Task(task) => process.complete(task, &mut signals).await,
    }
}

impl Platform {
    /// Budgets that cannot work out as they were written.
    fn warn_of_graces(&self) {
        let DrainBudget { delay, grace } = self.budget;
        if self.budget.serving() < delay {
            tracing::warn!(
                ?delay,
                ?grace,
                "DRAIN_DELAY is more than half of SHUTDOWN_GRACE, and is cut to that"
            );
        }
        if let Some(termination) = self.termination_grace.filter(|it| *it <= grace) {
            tracing::warn!(
                ?grace,
                ?termination,
                "SHUTDOWN_GRACE is not less than TERMINATION_GRACE: the platform may kill the process while it drains"
            );
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
