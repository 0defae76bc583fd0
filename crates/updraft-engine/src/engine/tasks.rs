//! Tasks beside `updraft task`: by the calendar, with a terminal, and what is kept of them.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use updraft_system::{
    LogSource, Name, Service, System, Task, TaskCause, TaskOverlap, TaskSchedule, TaskStatus,
    TaskTrigger, TerminalRequest, TerminalSize,
};

use super::error::chain;
use super::plans::gates;
use super::{CommandError, Engine, Run};
use crate::board::{Gate, Stage};
use crate::environment;
use crate::schedule::{Cause, Key, Line, Surroundings, follow};
use crate::scope::{Exit, Scope, StopSignal, Terminal};

/// How long a task whose person has gone, or that is cut off, may take to end.
const GRACE: Duration = Duration::from_secs(10);
/// How long what a task has written last may take to come out of its terminal.
const DRAIN: Duration = Duration::from_secs(2);
/// What is read of a terminal at once.
const READ_BYTES: usize = 8 * 1024;

/// What a person does at the terminal of a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TerminalInput {
    /// Keys, as the terminal sends them.
    Typed(Bytes),
    /// The terminal has another size.
    Resized(TerminalSize),
}

impl Engine {
    /// What is known of each task.
    pub fn tasks(&self) -> Vec<TaskStatus> {
        let run = &self.0;
        let target = run.target();
        let tasks = target.system.services.values().flat_map(|service| {
            service.tasks.values().map(move |task| run.task_status(&service.name, task))
        });
        tasks.collect()
    }

    /// Runs a task to its end with a terminal: what is typed comes from `input`, whose end is
    /// that of the person; what is to be seen goes to `output`. Nothing of it goes to the
    /// log, because people type passwords.
    ///
    /// # Errors
    ///
    /// [`CommandError`] when there is no such task, or it cannot be started.
    pub async fn run_task_in_terminal(
        &self,
        (service, task): (&Name, &Name),
        request: TerminalRequest,
        input: mpsc::Receiver<TerminalInput>,
        output: mpsc::Sender<Bytes>,
    ) -> Result<Exit, CommandError> {
        let run = &self.0;
        run.must_run()?;
        let (service, task) = &run.task_of_service(service, task)?;
        let seat = Seat { input, output };
        let in_terminal = run.task_in_terminal(service, task, request, seat);
        run.recorded(service, task, Cause { cause: TaskCause::Hand, due: None }, in_terminal).await
    }
}

/// Where the person sits.
struct Seat {
    input: mpsc::Receiver<TerminalInput>,
    output: mpsc::Sender<Bytes>,
}

impl Run {
    /// Writes down that a task runs, and how it ends.
    pub(super) async fn recorded(
        &self,
        service: &Service,
        task: &Task,
        cause: Cause,
        run: impl Future<Output = Result<Exit, CommandError>>,
    ) -> Result<Exit, CommandError> {
        let key = (service.name.clone(), task.name.clone());
        let started = Timestamp::now();
        self.noted(&key, self.book.begin(&key, started, cause));
        let ended = run.await;
        let (code, reason) = match &ended {
            Ok(exit) => (Some(exit.shell_code()), exit.to_string()),
            Err(error) => (None, chain(error)),
        };
        self.noted(&key, self.book.end(&key, started, code, reason));
        ended
    }

    /// A book that cannot be written holds up nothing, and it is said.
    fn noted(&self, key: &Key, written: Result<(), crate::TaskBookError>) {
        if let Err(error) = written {
            self.tell_task(key, &format!("its book is not up to date: {}", chain(&error)));
        }
    }

    fn tell_task(&self, (service, task): &Key, text: &str) {
        let source = LogSource::new(service.clone(), task.clone(), 1);
        self.logs.notice(&source, text);
    }

    fn task_status(&self, service: &Name, task: &Task) -> TaskStatus {
        let key = (service.clone(), task.name.clone());
        let live = self.book.live(&key);
        TaskStatus {
            when: task.when,
            schedule: task.schedule.clone(),
            next: live.next,
            running: live.running,
            waiting: live.waiting,
            last: self.book.last(&key.0, &key.1),
            service: key.0,
            task: key.1,
        }
    }

    async fn task_in_terminal(
        &self,
        service: &Service,
        task: &Task,
        request: TerminalRequest,
        seat: Seat,
    ) -> Result<Exit, CommandError> {
        static COUNT: AtomicU64 = AtomicU64::new(1);
        // The end of the run waits for it.
        let _ongoing = self.tasks.read().await;
        let TerminalRequest { args, size, term } = request;
        let argv = environment::argv_with(&task.run, args);
        let mut command = self.command(&self.target(), service, &task.name, 1, None, argv);
        command.env.extend(term.map(|term| ("TERM".to_owned(), term)));
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let label = format!("{}.{}.terminal-{count}", service.name, task.name);
        let (mut scope, terminal) = self.scopes.start_in_terminal(&label, &command, size).await?;
        let log = LogSource::new(service.name.clone(), task.name.clone(), 1);
        self.scopes.news(&scope).iter().for_each(|text| self.logs.notice(&log, text));
        let limit = task.timeout.unwrap_or(Duration::MAX);
        let exit = tokio::select! {
            exit = timeout(limit, sit(&mut scope, &terminal, seat)) => exit.ok().flatten(),
            () = self.told_to_stop() => None,
        };
        // Without our end of the terminal the program is told that the line is cut (SIGHUP).
        drop(terminal);
        if exit.is_none() && timeout(GRACE, scope.ended()).await.is_err() {
            scope.stop(StopSignal::Term, GRACE).await;
        }
        // What it has left behind must not outlive it.
        scope.kill().await;
        Ok(scope.ended().await)
    }
}

/// Carries what is typed and what is seen until the program has ended; `None`: the person
/// has gone before.
async fn sit(scope: &mut Scope, terminal: &Terminal, seat: Seat) -> Option<Exit> {
    let Seat { mut input, output } = seat;
    // Each way by itself: what nobody reads must not keep the other from being carried.
    let typing = async {
        while let Some(input) = input.recv().await {
            // What nobody reads any more is typed for nothing; the person is still there.
            drop(match input {
                TerminalInput::Typed(typed) => terminal.write(&typed).await,
                TerminalInput::Resized(size) => terminal.resize(size),
            });
        }
    };
    // Whether the person is still there when the program has given its terminal up.
    let showing = async {
        let mut buffer = vec![0; READ_BYTES];
        while let Ok(count @ 1..) = terminal.read(&mut buffer).await {
            let seen = Bytes::copy_from_slice(buffer.get(..count).unwrap_or_default());
            if output.send(seen).await.is_err() {
                return false;
            }
        }
        true
    };
    let (mut typing, mut showing, mut is_open) = (pin!(typing), pin!(showing), true);
    let exit = {
        let mut ended = pin!(scope.ended());
        loop {
            tokio::select! {
                exit = &mut ended => break exit,
                is_there = &mut showing, if is_open => {
                    if !is_there {
                        return None;
                    }
                    is_open = false;
                }
                () = &mut typing => return None,
                () = output.closed() => return None,
            }
        }
    };
    scope.kill().await;
    if is_open {
        // What it wrote last is still in the terminal.
        drop(timeout(DRAIN, showing).await);
    }
    Some(exit)
}

/// Lets every task with a schedule follow it, until the run ends; a roll-out may bring other
/// schedules.
pub(super) async fn follow_schedules(run: Arc<Run>) {
    let mut targets = run.target.subscribe();
    let mut followed: BTreeMap<Key, (TaskSchedule, JoinHandle<()>)> = BTreeMap::new();
    loop {
        let schedules = schedules(&targets.borrow_and_update().system);
        let (stay, mut gone): (BTreeMap<_, _>, BTreeMap<_, _>) = std::mem::take(&mut followed)
            .into_iter()
            .partition(|(key, (schedule, _))| schedules.get(key) == Some(schedule));
        followed = stay;
        for (key, schedule) in schedules {
            let before = gone.remove(&key).map(|(_, calendar)| calendar);
            followed.entry(key.clone()).or_insert_with(|| {
                let run = Arc::clone(&run);
                let calendar = Calendar { run, schedule: schedule.clone(), key };
                (schedule, tokio::spawn(calendar.follow_after(before)))
            });
        }
        for (key, (_, calendar)) in gone {
            let run = Arc::clone(&run);
            tokio::spawn(async move { run.end_calendar(&key, calendar).await });
        }
        tokio::select! {
            changed = targets.changed() => if changed.is_err() { return },
            () = run.told_to_stop() => return,
        }
    }
}

fn schedules(system: &System) -> BTreeMap<Key, TaskSchedule> {
    let all = system.services.values().flat_map(|service| {
        service.tasks.values().filter_map(|task| {
            let key = (service.name.clone(), task.name.clone());
            Some((key, task.schedule.clone()?))
        })
    });
    all.collect()
}

/// One task by the calendar.
#[derive(Clone)]
struct Calendar {
    run: Arc<Run>,
    schedule: TaskSchedule,
    key: Key,
}

impl Run {
    /// Ends a calendar. What it has started goes on; nothing more of it begins.
    async fn end_calendar(&self, key: &Key, calendar: JoinHandle<()>) {
        calendar.abort();
        // It writes where it stands until it has ended.
        drop(calendar.await);
        let waiting = self.book.live(key).waiting;
        if waiting > 0 {
            let text =
                format!("{waiting} times that waited are left out: its schedule has changed");
            self.tell_task(key, &text);
        }
        self.book.stands(key, 0, None);
    }
}

impl Calendar {
    /// Follows the schedule in place of another one, and never beside what that has started.
    async fn follow_after(self, before: Option<JoinHandle<()>>) {
        if let Some(before) = before {
            self.run.end_calendar(&self.key, before).await;
            if self.schedule.overlap != TaskOverlap::Allow {
                tokio::select! {
                    () = self.run.book.idle(&self.key) => {}
                    () = self.run.told_to_stop() => return,
                }
            }
        }
        self.follow().await;
    }

    async fn follow(self) {
        let run = Arc::clone(&self.run);
        let followed = async {
            // What is due while it is still being built was missed, or is late.
            let mut board = run.board.subscribe();
            drop(board.wait_for(|board| board.stage == Stage::Running).await);
            let considered = run.book.considered(&self.key, &self.schedule);
            let name = format!("{}.{}", self.key.0, self.key.1);
            match Line::new(&name, &self.schedule, considered.unwrap_or_else(Timestamp::now)) {
                Ok(line) => follow(line, self).await,
                Err(error) => run.tell_task(&self.key, &error.to_string()),
            }
        };
        tokio::select! {
            () = followed => {}
            () = run.told_to_stop() => {}
        }
    }

    /// Runs the task when what it needs is there, as the processes of its service do.
    async fn run_when_it_may(self, due: Timestamp) {
        let run = &self.run;
        // A roll-out may have replaced it, or left it out.
        let Ok((service, task)) = &run.task_of_service(&self.key.0, &self.key.1) else { return };
        let release = service.tasks.values().filter(|task| task.when == TaskTrigger::Release);
        let release = release.map(|task| Gate::Task(service.name.clone(), task.name.clone()));
        let gates: Vec<Gate> = gates(service).into_iter().chain(release).collect();
        let mut board = run.board.subscribe();
        tokio::select! {
            opened = board.wait_for(|board| board.closed_gate(&gates).is_none()) => drop(opened),
            () = run.told_to_stop() => return,
        }
        if run.must_run().is_err() {
            return;
        }
        let cause = Cause { cause: TaskCause::Schedule, due: Some(due) };
        let running = run.task(service, task, Vec::new());
        match run.recorded(service, task, cause, running).await {
            Ok(Exit::Code(0)) => {}
            Ok(exit) => run.tell_task(&self.key, &format!("the run of {due} failed: {exit}")),
            Err(error) => {
                run.tell_task(&self.key, &format!("the run of {due} failed: {}", chain(&error)));
            }
        }
    }
}

impl Surroundings for Calendar {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn run(&self, due: Timestamp) -> impl Future<Output = ()> + Send + 'static {
        self.clone().run_when_it_may(due)
    }

    fn keep(&self, line: &Line) {
        self.run.book.stands(&self.key, line.waiting(), line.next());
        let kept = self.run.book.consider(&self.key, &self.schedule, line.considered());
        self.run.noted(&self.key, kept);
    }

    fn tell(&self, text: &str) {
        self.run.tell_task(&self.key, text);
    }
}
