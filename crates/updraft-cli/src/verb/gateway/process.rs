//! A gateway from its start to its end: signals, changes of its file, and the next gateway.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval};
use updraft_mesh::handover::{self, HandOverError, Heirs};
use updraft_mesh::{Certificates, Gateway, GatewayError, Options, UserAttest};
use updraft_system::Name;
use updraft_system::mesh::GatewayConfig;

use super::config_file::ConfigFile;
use super::event_log::{Event, EventLog, Writing};
use crate::failure::{Class, Failure, Outcome};

/// From one look at the file to the next.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long the gateway before goes on while this one gets its first certificates. It waits
/// for ten seconds.
const CERTIFIED_WITHIN: Duration = Duration::from_secs(5);
/// From one look at the certificates to the next.
const CERTIFIED_EVERY: Duration = Duration::from_millis(20);

/// What a gateway is started with.
pub(super) struct Setting {
    pub(super) file: ConfigFile,
    pub(super) hand_over: Option<PathBuf>,
    pub(super) threads: usize,
    pub(super) attest: UserAttest,
}

/// What only another process can change.
#[derive(Debug, PartialEq, Eq)]
struct Fixed {
    system: Name,
    issuer: Option<PathBuf>,
}

/// The gateway, until it drains. The thread that waits for the next one looks at it, too.
#[derive(Clone)]
struct Held(Arc<Mutex<Option<Gateway>>>);

struct Session {
    gateway: Held,
    log: Arc<EventLog>,
    writing: Writing,
    file: ConfigFile,
    fixed: Fixed,
    /// What was looked at last: the text, or why there was none.
    seen: Result<String, String>,
    version: u64,
    drain: Duration,
    signals: Signals,
    hang_up: Signal,
    /// Says that the next gateway has taken over.
    heir: mpsc::Receiver<Result<(), HandOverError>>,
}

/// What ends a gateway.
#[derive(Clone, Copy, Debug)]
enum End {
    Terminate,
    Interrupt,
    HandedOver,
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

/// Runs a gateway to its end.
pub(super) async fn run(setting: Setting, text: String, config: GatewayConfig) -> Outcome {
    let Setting { file, hand_over, threads, attest } = setting;
    let signals = Signals::listen()?;
    let hang_up = listen(SignalKind::hangup())?;
    let (log, writing) = EventLog::start().map_err(|error| {
        Failure::environment("cannot start the thread of the log").because(&error)
    })?;
    let fixed = Fixed::of(&config);
    let inherited = hand_over.as_deref().map(handover::inherit).transpose()?.flatten();
    let took_over = inherited.is_some();
    let options = Options {
        threads: Some(threads),
        attest: Some(Arc::new(attest)),
        certificates: fixed.issuer.clone().map(Certificates::Remote),
        log: Some(Arc::clone(&log) as _),
        instruments: false,
        inherited,
    };
    let gateway = Gateway::start(&config, options)?;
    if took_over {
        certified(&gateway).await;
    }
    let gateway = Held::new(gateway);
    let heir = match &hand_over {
        // Before the gateway before ends, so that there is always one that answers.
        Some(path) => wait_for_heir(path, gateway.clone())?,
        None => mpsc::channel(1).1,
    };
    gateway.with(Gateway::taken_over);
    log.tell(Event::Started {
        system: config.system.to_string(),
        version: config.version,
        addresses: gateway.addresses(),
        pid: std::process::id(),
        took_over,
    });
    let (version, drain, seen) = (config.version, config.limits.drain, Ok(text));
    let session = Session {
        gateway,
        log,
        writing,
        file,
        fixed,
        seen,
        version,
        drain,
        signals,
        hang_up,
        heir,
    };
    session.attend().await
}

/// Waits until every service has a certificate, or long enough.
async fn certified(gateway: &Gateway) {
    let deadline = Instant::now() + CERTIFIED_WITHIN;
    let all = || gateway.identities().iter().all(|served| served.serial.is_some());
    while !all() && Instant::now() < deadline {
        tokio::time::sleep(CERTIFIED_EVERY).await;
    }
}

/// Hands the sockets to the next gateway that asks at `path`.
fn wait_for_heir(
    path: &Path,
    gateway: Held,
) -> Result<mpsc::Receiver<Result<(), HandOverError>>, Failure> {
    let heirs = Heirs::open(path)?;
    let (say, heir) = mpsc::channel(1);
    let listeners = move || gateway.with(Gateway::listeners).unwrap_or_default();
    // It waits in a system call that only the next gateway ends, or the end of this process.
    std::thread::Builder::new()
        .name("gateway-heir".to_owned())
        .spawn(move || drop(say.blocking_send(heirs.hand_over(listeners))))
        .map_err(|error| {
            Failure::environment("cannot start the thread of the hand-over").because(&error)
        })?;
    Ok(heir)
}

impl Session {
    async fn attend(mut self) -> Outcome {
        let mut looks = interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut heirs = true;
        let end = loop {
            tokio::select! {
                end = self.signals.end() => break end,
                _ = self.hang_up.recv() => self.look(true).await,
                _ = looks.tick() => self.look(false).await,
                heir = self.heir.recv(), if heirs => match heir {
                    Some(Ok(())) => break End::HandedOver,
                    Some(Err(error)) => {
                        let error = chain(&error);
                        self.log.tell(Event::HandOverFailed { error });
                    }
                    None => heirs = false,
                },
            }
        };
        self.end(end).await
    }

    /// Takes the file where it has changed, or in any case.
    async fn look(&mut self, anyway: bool) {
        let file = self.file.clone();
        // The disk may be slow, and signals must be heard.
        let Ok(read) = tokio::task::spawn_blocking(move || file.read()).await else { return };
        let read = read.map_err(|error| chain(&error));
        if !anyway && read == self.seen {
            return;
        }
        self.seen = read;
        let taken = match &self.seen {
            Err(why) => Err(vec![why.clone()]),
            Ok(text) => self.take(text),
        };
        match taken {
            Ok(config) => {
                self.version = config.version;
                self.drain = config.limits.drain;
                let warnings = config.problems();
                self.log.tell(Event::Configured {
                    version: config.version,
                    addresses: self.gateway.addresses(),
                    warnings: warnings.iter().map(|it| self.file.in_words(it)).collect(),
                });
            }
            Err(problems) => {
                self.gateway.with(Gateway::configuration_refused);
                self.log.tell(Event::Refused { problems, version_in_force: self.version });
            }
        }
    }

    fn take(&self, text: &str) -> Result<GatewayConfig, Vec<String>> {
        let config = self.file.parse(text).map_err(|problems| {
            problems.problems.iter().map(|it| self.file.in_words(it)).collect::<Vec<_>>()
        })?;
        if Fixed::of(&config) != self.fixed {
            let path = self.file.path.display();
            return Err(vec![format!(
                "{path}: another `system` or `identity.issuer` needs another process: start one \
                 with the same --hand-over"
            )]);
        }
        match self.gateway.with(|gateway| gateway.apply(&config)) {
            Some(Err(error)) => Err(vec![chain(&error)]),
            Some(Ok(())) | None => Ok(config),
        }
    }

    async fn end(self, end: End) -> Outcome {
        let Self { gateway, log, writing, drain, mut signals, .. } = self;
        log.tell(Event::Draining { reason: end.as_str(), limit_s: drain.as_secs() });
        let mut cut_short = false;
        if let Some(gateway) = gateway.take() {
            tokio::select! {
                () = gateway.drain() => {}
                _ = signals.end() => cut_short = true,
            }
        }
        log.tell(Event::Stopped { cut_short });
        log.finish(writing).await;
        Ok(if cut_short { ExitCode::from(Class::Finding.code()) } else { ExitCode::SUCCESS })
    }
}

impl Held {
    fn new(gateway: Gateway) -> Self {
        Self(Arc::new(Mutex::new(Some(gateway))))
    }

    /// `None`: it drains.
    fn with<T>(&self, act: impl FnOnce(&Gateway) -> T) -> Option<T> {
        self.lock().as_ref().map(act)
    }

    fn addresses(&self) -> Vec<SocketAddr> {
        let listeners = self.with(Gateway::listeners).unwrap_or_default();
        listeners.iter().filter_map(|listener| listener.local_addr().ok()).collect()
    }

    fn take(&self) -> Option<Gateway> {
        self.lock().take()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Gateway>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Fixed {
    fn of(config: &GatewayConfig) -> Self {
        let issuer = config.identity.as_ref().and_then(|identity| identity.issuer.clone());
        Self { system: config.system.clone(), issuer }
    }
}

impl End {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Terminate => "SIGTERM",
            Self::Interrupt => "SIGINT",
            Self::HandedOver => "handed over",
        }
    }
}

impl Signals {
    fn listen() -> Result<Self, Failure> {
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
        })
    }

    async fn end(&mut self) -> End {
        tokio::select! {
            _ = self.terminate.recv() => End::Terminate,
            _ = self.interrupt.recv() => End::Interrupt,
        }
    }
}

fn listen(kind: SignalKind) -> Result<Signal, Failure> {
    signal(kind).map_err(|error| Failure::environment("cannot listen to signals").because(&error))
}

/// An error and its sources in one sentence.
fn chain(error: &dyn std::error::Error) -> String {
    let sources = std::iter::successors(error.source(), |error| error.source());
    sources.fold(error.to_string(), |text, source| format!("{text}: {source}"))
}

impl From<HandOverError> for Failure {
    fn from(error: HandOverError) -> Self {
        Self::from_error(Class::Environment, &error)
    }
}

impl From<GatewayError> for Failure {
    fn from(error: GatewayError) -> Self {
        let class = match error {
            GatewayError::Config(_) => Class::Usage,
            GatewayError::Listen(_) | GatewayError::Thread(_) => Class::Environment,
        };
        Self::from_error(class, &error)
    }
}
