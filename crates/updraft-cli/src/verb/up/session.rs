//! One run of a system under this process: from the lock to the exit code.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use jiff::Timestamp;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinHandle;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, timeout};
use updraft_engine::logs::{LogQuery, LogSubscription, read_stored};
use updraft_engine::{Engine, Options, Source, StateDir, StateLock, StopOptions, StopReport};
use updraft_system::{Name, SystemEvent, SystemState};

use super::{builds, detach, routes_in_words};
use crate::control::{Listener, Routes, Server};
use crate::failure::{Failure, Outcome};
use crate::log_view::{LogPrinter, LogStyle};
use crate::output::{Notices, stderr_is_terminal};
use crate::progress::Progress;
use crate::readiness::progress;
use crate::systemd::Notifier;

/// Lines of the builds shown when one of them fails.
const BUILD_LINES_MAX: usize = 500;
/// From one word about what a stop waits for to the next.
const WAITING_EVERY: Duration = Duration::from_secs(3);
/// How long the last lines may take to be shown.
const PRINT_WITHIN: Duration = Duration::from_secs(2);

/// What is run, and how it is shown.
pub(super) struct Launch {
    pub(super) source: Source,
    pub(super) directory: PathBuf,
    pub(super) state: StateDir,
    pub(super) lock: StateLock,
    pub(super) options: Options,
    /// How the log is shown; `None`: not at all.
    pub(super) style: Option<LogStyle>,
    /// Without a terminal, and with somebody in the foreground who waits for a word.
    pub(super) background: bool,
}

/// Runs the system to its end.
pub(super) async fn run(launch: Launch) -> Outcome {
    if launch.background {
        detach::leave_terminal()?;
    }
    // The half in the background is nobody's main process.
    let above = if launch.background { Ok(Notifier::default()) } else { Notifier::from_env() };
    let above = above.map_err(|error| {
        Failure::environment("cannot tell the service manager how it goes").because(&error)
    })?;
    let signals = Signals::listen()?;
    let since = Timestamp::now();
    let Launch { source, directory, state, lock, options, style, background } = launch;
    let (socket, logs) = (state.socket(), state.logs());
    let engine = Engine::start(source, directory, state, lock, options).await?;
    let opened = Listener::bind(&socket).map_err(Failure::from).and_then(|listener| {
        let routes = Routes::new(engine.clone());
        let server = Server::start(listener, move |request| routes.clone().answer(request));
        if background { detach::tell_foreground().map(|()| server) } else { Ok(server) }
    });
    let server = match opened {
        Ok(server) => server,
        Err(failure) => {
            engine.begin_stop(StopOptions { resources: false, now: true });
            engine.stopped().await;
            return Err(failure);
        }
    };
    let mut session = Session {
        name: engine.status().name,
        notices: Notices::start(),
        progress: Progress::moving(),
        printing: Printing::NotYet,
        log_is_shown: false,
        builds: Builds::Unseen,
        told: None,
        was_ready: false,
        signals_seen: 0,
        started: Instant::now(),
        background,
        since,
        style,
        above,
        engine,
    };
    let report = session.attend(signals).await;
    server.close().await;
    session.finish(report, &logs).await
}

/// A run that is attended to.
struct Session {
    engine: Engine,
    name: Name,
    notices: Notices,
    progress: Progress,
    style: Option<LogStyle>,
    background: bool,
    since: Timestamp,
    started: Instant,
    printing: Printing,
    log_is_shown: bool,
    builds: Builds,
    /// The service manager that has started it, if there is one.
    above: Notifier,
    /// The state that was told last.
    told: Option<SystemState>,
    was_ready: bool,
    signals_seen: u32,
}

/// The task that shows the log.
#[derive(Debug)]
enum Printing {
    NotYet,
    Going(JoinHandle<Shown>),
    Ended(Shown),
}

/// How much of the log was shown when it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shown {
    All,
    /// There is a reader, and it reads no more.
    NotTheEnd,
    /// There is no reader any more.
    ReaderGone,
}

/// What became of the builds' output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Builds {
    /// They go on, and nobody sees it.
    Unseen,
    /// It is in the log that is shown.
    Seen,
    /// They are done, so nobody has to see it.
    Done,
}

impl Session {
    /// Shows how the run goes, and passes on what people want of it, until its end.
    async fn attend(&mut self, mut signals: Signals) -> StopReport {
        let engine = self.engine.clone();
        let mut changes = engine.changes();
        let mut stopped = std::pin::pin!(engine.stopped());
        let mut waiting = interval(WAITING_EVERY);
        waiting.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut signs_of_life = self.above.watchdog_every().map(interval);
        loop {
            self.look(&mut waiting);
            tokio::select! {
                biased;
                report = &mut stopped => return report,
                () = signals.next() => self.on_signal(),
                () = tick(&mut signs_of_life) => self.above.alive(),
                true = changes.next() => {}
                () = self.printing.reader_gone() => {
                    engine.begin_stop(StopOptions { resources: false, now: false });
                }
                _ = waiting.tick(), if self.stops() => self.notices.say(progress(&self.event())),
            }
        }
    }

    /// Tells what has changed since the last look.
    fn look(&mut self, waiting: &mut Interval) {
        let event = self.event();
        let state = event.system.state;
        match state {
            SystemState::Ready => self.above.status("ready"),
            _ => self.above.status(&progress(&event)),
        }
        if self.may_move(state) {
            self.progress.show(&progress(&event));
            self.told = Some(state);
            return;
        }
        // Lines of the log and a moving line cannot share a terminal.
        let without_builds = self.progress.moves();
        self.progress.clear();
        self.show_log(without_builds);
        if matches!(state, SystemState::Starting | SystemState::Ready) {
            self.builds = Builds::Done;
        }
        if self.told.replace(state) == Some(state) {
            return;
        }
        match state {
            SystemState::Building => self.notices.say(progress(&event)),
            SystemState::Starting if !self.was_ready => self.notices.say("starting"),
            SystemState::Ready if !self.was_ready => self.tell_ready(&event),
            SystemState::Starting | SystemState::Ready => {}
            SystemState::Stopping | SystemState::Failed => {
                waiting.reset();
                self.above.stopping();
                self.notices.say(format!("stopping {}", self.name));
            }
        }
    }

    /// Whether the line on the terminal goes on moving: as long as nothing else is shown.
    fn may_move(&self, state: SystemState) -> bool {
        let quiet = self.style.is_none();
        self.progress.moves()
            && !self.was_ready
            && match state {
                SystemState::Building => true,
                SystemState::Starting => quiet,
                _ => false,
            }
    }

    fn stops(&self) -> bool {
        matches!(self.told, Some(SystemState::Stopping | SystemState::Failed))
    }

    fn tell_ready(&mut self, event: &SystemEvent) {
        self.was_ready = true;
        self.above.ready();
        let seconds = self.started.elapsed().as_secs_f64();
        self.notices.say(format!("{} is ready after {seconds:.1} s", self.name));
        for route in routes_in_words(&event.system.routes) {
            self.notices.say(format!("  {route}"));
        }
    }

    fn on_signal(&mut self) {
        self.signals_seen += 1;
        let now = self.signals_seen > 1;
        if now {
            self.notices.say(format!("killing {}", self.name));
        } else if stderr_is_terminal() {
            self.progress.clear();
            self.notices.say("Ctrl-C again kills at once");
        }
        self.engine.begin_stop(StopOptions { resources: false, now });
    }

    /// Shows the log from the beginning of the run on.
    fn show_log(&mut self, without_builds: bool) {
        let (Some(style), false) = (self.style.clone(), self.log_is_shown) else { return };
        self.log_is_shown = true;
        if !without_builds && self.builds == Builds::Unseen {
            self.builds = Builds::Seen;
        }
        let query = LogQuery { since: Some(self.since), follow: true, ..LogQuery::default() };
        let lines = self.engine.logs().subscribe(query);
        self.printing = Printing::Going(tokio::spawn(print(lines, style, without_builds)));
    }

    /// Shows what is still to be shown, and judges the run.
    async fn finish(mut self, report: StopReport, logs: &Path) -> Outcome {
        self.progress.clear();
        if self.printing.end().await == Shown::NotTheEnd {
            let note = "the end of the log was not shown, because nobody reads it";
            self.notices.say(format!("{note}; `updraft logs` has it"));
        }
        let name = &self.name;
        let StopReport { killed, failed } = report;
        if let Some(reason) = failed {
            // In the background, the half in the foreground shows the end of the log.
            if self.builds == Builds::Unseen && !self.background {
                self.show_builds(logs).await;
            }
            let what = if self.was_ready { "did not end in order" } else { "could not start" };
            return Err(Failure::finding(format!("{name} {what}: {reason}")));
        }
        if killed.is_empty() {
            self.notices.say(format!("{name} is stopped"));
            return Ok(ExitCode::SUCCESS);
        }
        Err(Failure::finding(format!("{name} is stopped; killed: {}", killed.join(", "))))
    }

    /// Shows the end of what the builds of this run wrote.
    async fn show_builds(&self, logs: &Path) {
        let query = LogQuery {
            selectors: builds(&self.engine.system()),
            since: Some(self.since),
            last: Some(BUILD_LINES_MAX),
            ..LogQuery::default()
        };
        let style = self.style.clone().unwrap_or_else(LogStyle::for_stdout);
        // The reason follows in any case; without the lines it only says less.
        let Ok(printer) = LogPrinter::to_stdout(style) else { return };
        for line in read_stored(logs, &query).into_iter().flatten().flatten() {
            printer.print_when_ready(line).await;
        }
        drop(printer.finish(PRINT_WITHIN).await);
    }

    fn event(&self) -> SystemEvent {
        SystemEvent {
            system: self.engine.status(),
            processes: self.engine.processes(),
            ended: None,
        }
    }
}

impl Printing {
    /// Resolves when nobody reads the log any more.
    async fn reader_gone(&mut self) {
        if let Self::Going(task) = self {
            let shown = task.await.unwrap_or(Shown::NotTheEnd);
            *self = Self::Ended(shown);
            if shown == Shown::ReaderGone {
                return;
            }
        }
        std::future::pending().await
    }

    /// How it ends, now that the log has.
    async fn end(&mut self) -> Shown {
        match self {
            Self::NotYet => Shown::All,
            Self::Ended(shown) => *shown,
            Self::Going(task) => {
                // It bounds its own end; twice that only guards against a log that goes on.
                let ended = timeout(2 * PRINT_WITHIN, task).await;
                ended.ok().and_then(Result::ok).unwrap_or(Shown::NotTheEnd)
            }
        }
    }
}

/// The next tick; never, where there is no clock.
async fn tick(clock: &mut Option<Interval>) {
    match clock {
        Some(clock) => drop(clock.tick().await),
        None => std::future::pending().await,
    }
}

/// The signals by which people, terminals and other supervisors ask for an end.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
}

impl Signals {
    fn listen() -> Result<Self, Failure> {
        let listen = |kind| {
            signal(kind)
                .map_err(|error| Failure::environment("cannot listen for signals").because(&error))
        };
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            hang_up: listen(SignalKind::hangup())?,
        })
    }

    /// The next of any of them.
    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hang_up.recv() => {}
        }
    }
}

/// Shows lines until the log ends or nobody reads it.
async fn print(mut lines: LogSubscription, style: LogStyle, without_builds: bool) -> Shown {
    // Without an output there is nobody to read it.
    let Ok(printer) = LogPrinter::to_stdout(style) else { return Shown::ReaderGone };
    while let Some(line) = lines.recv().await {
        if without_builds && line.source.process == Name::build() {
            continue;
        }
        printer.print(line);
        if printer.is_closed() {
            return Shown::ReaderGone;
        }
    }
    match printer.finish(PRINT_WITHIN).await {
        Ok(()) => Shown::All,
        Err(_) => Shown::NotTheEnd,
    }
}
