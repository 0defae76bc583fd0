//! The life of one replica: it waits for what it comes after, starts, becomes ready,
//! and is started again when it ends, until it is told to stop.

use std::sync::Arc;
use std::time::Duration;

use regex::Regex;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use updraft_system::{LogSource, LogStream, ProcessState, Role};

use crate::backoff::{Backoff, STABLE};
use crate::board::{Board, Gate, Row};
use crate::gates;
use crate::logs::LogStore;
use crate::probe;
use crate::resource::ServerReady;
use crate::scope::{CommandPlan, Scope, Scopes, StopSignal};
use crate::wire::Wire;

/// How often a process that boots is asked whether it is ready, at most.
const BOOT_PROBE_EVERY: Duration = Duration::from_millis(50);
/// How long the lines of a program that is gone may take to be read.
const CAPTURED_WITHIN: Duration = Duration::from_secs(2);
/// How often one that settles is asked, at least.
const SETTLE_LOOKS: u32 = 8;
/// From one look to the next, at least.
const SHORTEST: Duration = Duration::from_millis(10);
/// How many of its last lines tell why a program ends again and again.
const LAST_LINES: usize = 5;

/// What a replica runs, and how it is judged.
#[derive(Clone, Debug)]
pub(crate) struct ReplicaPlan {
    /// Run to success, in order, before the program is first started.
    pub(crate) prepare: Vec<CommandPlan>,
    pub(crate) run: CommandPlan,
    pub(crate) port: u16,
    pub(crate) ready: Readiness,
    pub(crate) live: Option<updraft_system::Liveness>,
    pub(crate) stop: StopSignal,
    pub(crate) grace: Duration,
    pub(crate) gates: Vec<Gate>,
    pub(crate) proof: Proof,
    /// The release it is of.
    pub(crate) release: Option<u64>,
}

/// What a replica that is not proven yet has to show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Proof {
    /// How often in a row it must be ready.
    pub(crate) ready: u32,
    /// How long it must stay so after that.
    pub(crate) settle: Duration,
}

/// When a replica is ready.
#[derive(Clone, Debug)]
pub(crate) struct Readiness {
    pub(crate) sign: Sign,
    /// The boot budget.
    pub(crate) within: Duration,
    pub(crate) every: Duration,
    pub(crate) timeout: Duration,
    pub(crate) failures: u32,
}

/// What makes a replica ready.
#[derive(Clone, Debug)]
pub(crate) enum Sign {
    Http(String),
    Tcp,
    Log(Regex),
    Started,
    Server(ServerReady),
}

/// What is wanted of a replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Intent {
    pub(crate) wanted: Wanted,
    /// Grows by one with each wish for a restart.
    pub(crate) generation: u64,
}

/// Whether a replica is to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    Running,
    /// Stopped as soon as the requests to it have ended; it gets no more of them.
    Drained,
    Stopped,
    /// Stopped without asking it first.
    Killed,
}

/// Runs one replica. It owns its row of the board.
pub(crate) struct Replica {
    pub(crate) source: LogSource,
    pub(crate) plan: watch::Receiver<Arc<ReplicaPlan>>,
    pub(crate) intent: watch::Receiver<Intent>,
    pub(crate) board: watch::Sender<Board>,
    pub(crate) wire: Wire,
    pub(crate) scopes: Scopes,
    pub(crate) logs: LogStore,
}

/// How one life of the program ended.
enum Ended {
    /// As it was told to; whether it had to be killed.
    Stopped { killed: bool },
    /// To be started again, because somebody asked.
    Restart,
    /// By itself or for its faults.
    Failed { reason: String, was_stable: bool },
}

impl Replica {
    /// Runs until it is told to stop. Returns whether it had to be killed.
    pub(crate) async fn run(mut self) -> bool {
        let mut backoff = Backoff::default();
        let mut killed = false;
        while self.is_wanted() && self.pass_gates().await {
            match self.live_once().await {
                Ended::Stopped { killed: by_force } => killed = by_force,
                Ended::Restart => {}
                Ended::Failed { reason, .. } if !self.is_proven() => return self.give_up(reason),
                Ended::Failed { reason, was_stable } => {
                    if was_stable {
                        backoff.reset();
                    }
                    self.wait_after_failure(reason, &mut backoff).await;
                }
            }
        }
        self.show(|row| {
            row.state = ProcessState::Stopped;
            row.detail = None;
        });
        killed
    }

    fn is_proven(&self) -> bool {
        self.board.borrow().rows.get(&self.source).is_none_or(|row| row.proven)
    }

    /// One that has proven nothing is not started again: what it should replace goes on.
    fn give_up(&self, reason: String) -> bool {
        self.logs.notice(&self.source, &format!("{reason}; it is not started again"));
        self.show(|row| {
            row.state = ProcessState::Stopped;
            row.detail = Some(reason);
        });
        false
    }

    fn is_wanted(&self) -> bool {
        self.intent.borrow().wanted == Wanted::Running
    }

    /// Waits until everything it comes after is there; `false`: it is not wanted any more.
    async fn pass_gates(&mut self) -> bool {
        let gates = self.plan.borrow().gates.clone();
        tokio::select! {
            () = gates::opened(&self.board, &self.source, &gates) => true,
            () = unwanted(&mut self.intent) => false,
        }
    }

    async fn live_once(&mut self) -> Ended {
        let plan = Arc::clone(&self.plan.borrow_and_update());
        let generation = self.intent.borrow().generation;
        self.show(|row| {
            row.state = ProcessState::Starting;
            row.detail = None;
        });
        let from = self.logs.next_seq();
        if let Err(reason) = self.prepare(&plan).await {
            return Ended::Failed { reason, was_stable: false };
        }
        let (mut scope, captured) = match self.start(&plan.run).await {
            Ok(started) => started,
            Err(reason) => return Ended::Failed { reason, was_stable: false },
        };
        let started = Instant::now();
        let pid = scope.leader().pid;
        self.show(|row| {
            row.pid = Some(pid);
            row.confinement = scope.confinement().cloned();
            row.started = Some(started);
        });
        let health = Health { replica: self, plan: &plan, from };
        let mut intent = self.intent.clone();
        let ended = tokio::select! {
            exit = scope.ended() => Err(exit.to_string()),
            reason = health.watch() => Err(reason),
            wish = wish(&mut intent, generation) => Ok(wish),
        };
        let was_stable = self.was_ready() && STABLE <= started.elapsed();
        let ended = match ended {
            Ok(wanted) => {
                let killed = self.end(&mut scope, &plan, wanted).await;
                match wanted {
                    Wanted::Running => Ended::Restart,
                    Wanted::Drained | Wanted::Stopped | Wanted::Killed => Ended::Stopped { killed },
                }
            }
            Err(reason) => {
                scope.kill().await;
                // Its last lines tell why, and whoever hears of its end looks at them.
                drop(timeout(CAPTURED_WITHIN, captured).await);
                Ended::Failed { reason, was_stable }
            }
        };
        let exit = scope.ended().await.to_string();
        self.show(|row| {
            row.pid = None;
            row.confinement = None;
            row.started = None;
            row.last_exit = Some(exit);
        });
        ended
    }

    /// Runs what must have been done before the first start, such as `initdb`.
    async fn prepare(&self, plan: &ReplicaPlan) -> Result<(), String> {
        for step in &plan.prepare {
            let (mut scope, _captured) = self.start(step).await?;
            let exit = scope.ended().await;
            scope.kill().await;
            if !exit.is_success() {
                return Err(format!("`{}` failed: {exit}", step.argv.join(" ")));
            }
        }
        Ok(())
    }

    async fn start(&self, command: &CommandPlan) -> Result<(Scope, JoinHandle<()>), String> {
        let label = self.source.to_string();
        let (scope, output) =
            self.scopes.start(&label, command).await.map_err(|error| error.to_string())?;
        self.scopes.news(&scope).iter().for_each(|text| self.logs.notice(&self.source, text));
        // Ends with the program's pipes; an error of a pipe is their end as well.
        let captured = self.logs.capture_both(self.source.clone(), output.stdout, output.stderr);
        let captured = async { drop(captured.await) };
        Ok((scope, tokio::spawn(captured)))
    }

    /// Ends the program as wanted; returns whether it had to be killed.
    async fn end(&mut self, scope: &mut Scope, plan: &ReplicaPlan, wanted: Wanted) -> bool {
        self.show(|row| row.state = ProcessState::Stopping);
        let mut intent = self.intent.clone();
        let pid = scope.leader().pid;
        let in_order = async {
            if wanted == Wanted::Drained {
                self.wire.let_go(plan.port, pid, plan.grace).await;
            }
            scope.stop(plan.stop, plan.grace).await
        };
        let stopped = tokio::select! {
            biased;
            () = killed(&mut intent, wanted) => None,
            killed = in_order => Some(killed),
        };
        let Some(killed) = stopped else {
            scope.kill().await;
            return true;
        };
        if killed {
            let grace = plan.grace;
            self.logs.notice(&self.source, &format!("killed: it did not end within {grace:?}"));
        }
        killed
    }

    async fn wait_after_failure(&mut self, reason: String, backoff: &mut Backoff) {
        let wait = backoff.after_failure();
        let failures = backoff.failures();
        let notice = format!("{reason}; started again in {:.1} s", wait.as_secs_f32());
        self.logs.notice(&self.source, &notice);
        let crash_loop = backoff.is_crash_loop();
        let detail = if crash_loop { self.tell_crash_loop(&reason, failures) } else { notice };
        self.show(|row| {
            row.state = if crash_loop { ProcessState::CrashLoop } else { ProcessState::Backoff };
            row.detail = Some(detail);
            row.restarts += 1;
        });
        let generation = self.intent.borrow().generation;
        tokio::select! {
            () = sleep(wait) => {}
            _ = wish(&mut self.intent, generation) => backoff.reset(),
        }
    }

    /// A crash loop tells its last lines, because by now they are far up.
    fn tell_crash_loop(&self, reason: &str, failures: u32) -> String {
        let mut detail = format!("ended {failures} times in a row: {reason}");
        for line in self.logs.tail(&self.source, LAST_LINES) {
            if line.stream != LogStream::Updraft {
                detail.push_str("\n  ");
                detail.push_str(&line.line);
            }
        }
        if failures == crate::backoff::CRASH_LOOP {
            self.logs.notice(&self.source, &format!("crash loop: {detail}"));
        }
        detail
    }

    fn was_ready(&self) -> bool {
        let board = self.board.borrow();
        let row = board.rows.get(&self.source);
        row.is_some_and(|row| matches!(row.state, ProcessState::Ready | ProcessState::Unready))
    }

    /// Changes the row, and tells the wire where work may go now, before anything else
    /// happens.
    fn show(&self, change: impl FnOnce(&mut Row)) {
        let mut turned = false;
        self.board.send_modify(|board| {
            let Some(row) = board.rows.get_mut(&self.source) else { return };
            let works = |row: &Row| row.state == ProcessState::Ready && row.role == Role::Serving;
            let endpoint = |row: &Row| works(row).then_some(row.pid);
            let before = endpoint(row);
            change(row);
            turned = before != endpoint(row);
        });
        if turned && let Err(error) = self.wire.sync() {
            self.logs.notice(&self.source, &format!("the gateway goes on as before: {error}"));
        }
    }
}

/// Resolves when the replica is not wanted any more.
async fn unwanted(intent: &mut watch::Receiver<Intent>) {
    // A supervisor that is gone wants nothing any more.
    drop(intent.wait_for(|intent| intent.wanted != Wanted::Running).await);
}

/// Resolves when something else is wanted than that it goes on.
async fn wish(intent: &mut watch::Receiver<Intent>, generation: u64) -> Wanted {
    let changed =
        |intent: &Intent| intent.wanted != Wanted::Running || intent.generation != generation;
    intent.wait_for(changed).await.map_or(Wanted::Stopped, |intent| intent.wanted)
}

async fn killed(intent: &mut watch::Receiver<Intent>, wanted: Wanted) {
    if wanted != Wanted::Killed {
        let told = intent.wait_for(|intent| intent.wanted == Wanted::Killed).await.is_ok();
        if !told {
            std::future::pending::<()>().await;
        }
    }
}

/// Watches one life of a program: boot budget, readiness, liveness.
struct Health<'a> {
    replica: &'a Replica,
    plan: &'a ReplicaPlan,
    /// Lines before this one are of an earlier life.
    from: u64,
}

impl Health<'_> {
    /// Resolves with the reason when the program must be started again.
    async fn watch(self) -> String {
        if let Err(reason) = self.boot().await {
            return reason;
        }
        self.replica.show(|row| row.booted_in = row.started.map(|started| started.elapsed()));
        if !self.replica.is_proven() {
            let proven = self.prove().await;
            if let Err(reason) = proven {
                return reason;
            }
        }
        self.show(ProcessState::Ready, None);
        tokio::select! {
            never = self.follow_readiness() => never,
            reason = self.follow_liveness() => reason,
        }
    }

    /// Waits until it is ready, within its boot budget.
    async fn boot(&self) -> Result<(), String> {
        let ready = &self.plan.ready;
        let end = Instant::now() + ready.within;
        let every = ready.every.min(BOOT_PROBE_EVERY);
        let mut last = "it was not asked".to_owned();
        let asked = async {
            loop {
                match self.ask().await {
                    Ok(()) => return,
                    Err(reason) => last = reason,
                }
                sleep(every).await;
            }
        };
        tokio::select! {
            () = asked => return Ok(()),
            () = sleep_until(end) => {}
        }
        Err(format!("not ready within {:?}: {last}", ready.within))
    }

    /// Waits until it has been ready so often in a row, and has stayed so.
    async fn prove(&self) -> Result<(), String> {
        let (proof, ready) = (self.plan.proof, &self.plan.ready);
        // One that does the work already has nobody beside it who could do it meanwhile.
        let works = |row: &Row| row.role == Role::Serving;
        self.replica.show(|row| {
            if works(row) {
                row.state = ProcessState::Ready;
            }
            row.detail = Some("ready; proves that it stays so".to_owned());
        });
        let end = Instant::now() + ready.within + proof.settle;
        let (mut row, mut last) = (1, String::new());
        let mut settled = Instant::now() + proof.settle;
        while row < proof.ready.max(1) || Instant::now() < settled {
            let is_counted = row < proof.ready.max(1);
            let every = if is_counted { BOOT_PROBE_EVERY } else { proof.settle / SETTLE_LOOKS };
            sleep(every.min(ready.every).max(SHORTEST)).await;
            let asked = match ready.sign {
                // A line that was written stays written.
                Sign::Log(_) | Sign::Started => Ok(()),
                _ => self.ask().await,
            };
            match asked {
                Ok(()) => row = row.saturating_add(1),
                Err(reason) => (row, last) = (0, reason),
            }
            if row <= proof.ready.max(1) {
                settled = Instant::now() + proof.settle;
            }
            if end <= Instant::now() {
                return Err(format!("did not stay ready for {:?}: {last}", proof.settle));
            }
        }
        self.replica.show(|row| row.proven = true);
        Ok(())
    }

    async fn follow_readiness(&self) -> String {
        let ready = &self.plan.ready;
        if matches!(ready.sign, Sign::Log(_) | Sign::Started) {
            return std::future::pending().await;
        }
        let mut failures = 0;
        loop {
            sleep(ready.every).await;
            match self.ask().await {
                Ok(()) if failures < ready.failures => failures = 0,
                Ok(()) => {
                    failures = 0;
                    self.show(ProcessState::Ready, None);
                }
                Err(reason) => {
                    failures += 1;
                    if failures == ready.failures {
                        self.show(ProcessState::Unready, Some(reason));
                    }
                }
            }
        }
    }

    async fn follow_liveness(&self) -> String {
        let Some(live) = &self.plan.live else { return std::future::pending().await };
        let mut failures = 0;
        loop {
            sleep(live.every).await;
            match probe::http(self.plan.port, &live.path, live.timeout).await {
                Ok(()) => failures = 0,
                Err(reason) => {
                    failures += 1;
                    if live.failures <= failures {
                        return format!("taken for dead: {reason}");
                    }
                }
            }
        }
    }

    async fn ask(&self) -> Result<(), String> {
        let (port, ready) = (self.plan.port, &self.plan.ready);
        match &ready.sign {
            Sign::Http(path) => probe::http(port, path, ready.timeout).await,
            Sign::Tcp => probe::tcp(port, ready.timeout).await,
            Sign::Started => Ok(()),
            Sign::Log(line) => {
                self.replica.logs.matched(&self.replica.source, line.clone(), self.from).await;
                Ok(())
            }
            Sign::Server(server) => {
                server.check(ready.timeout).await.map_err(|error| error.to_string())
            }
        }
    }

    fn show(&self, state: ProcessState, detail: Option<String>) {
        self.replica.show(|row| {
            row.state = state;
            row.detail = detail;
        });
    }
}
