//! A fleet of real processes of the example `errands` on one queue, watched from outside.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;
use updraft::testing::server::Kind;
use updraft::testing::{Database, Server};
use updraft::{Queue, QueueCounts, QueueUrl, Sql, SqlUrl, Variable, sql};

/// How long a test waits for anything: long enough for a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// What the queue of a fleet is kept in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// In the service's own SQLite database.
    Sqlite,
    /// In the service's own PostgreSQL database.
    Postgres,
    /// In Redis; the service's database is SQLite.
    Redis,
    /// On JetStream; the service's database is SQLite.
    Nats,
}

pub(crate) const EVERYWHERE: [Place; 4] =
    [Place::Sqlite, Place::Postgres, Place::Redis, Place::Nats];

/// Databases for one service, and its processes.
pub(crate) struct Fleet {
    _folder: TempDir,
    _databases: Vec<Database>,
    variables: Vec<(String, String)>,
    pub(crate) queue: Queue,
    pub(crate) sql: Sql,
}

impl Fleet {
    /// A fleet with a migrated database; `parameters` are those of the queue's URL.
    pub(crate) async fn new(place: Place, parameters: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut databases = Vec::new();
        let mut database = |kind| {
            let database = Server::shared(kind).unwrap().database().unwrap();
            let url = database.url();
            databases.push(database);
            url
        };
        let file = format!("sqlite://{}/db.sqlite3", folder.path().display());
        let (db, jobs) = match place {
            Place::Sqlite => (file, "same:db".to_owned()),
            Place::Postgres => (database(Kind::Postgres), "same:db".to_owned()),
            Place::Redis => (file, database(Kind::Redis)),
            Place::Nats => (file, database(Kind::Nats)),
        };
        let jobs = format!("{jobs}?queue=errands{parameters}");
        Self::on(folder, databases, (db, jobs)).await
    }

    /// A fleet whose queue is on a server that a test may do anything to.
    pub(crate) async fn on_server(server: &Server, parameters: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let db = format!("sqlite://{}/db.sqlite3", folder.path().display());
        let jobs = format!("{}?queue=errands{parameters}", server.url());
        Self::on(folder, Vec::new(), (db, jobs)).await
    }

    async fn on(folder: TempDir, databases: Vec<Database>, (db, jobs): (String, String)) -> Self {
        // In the database of the service, seen from outside, it is another URL.
        let seen = if jobs.starts_with("same:") {
            let separator = if db.contains('?') { '&' } else { '?' };
            let parameters = jobs.split_once('?').unwrap_or_default().1;
            format!("{db}{separator}{parameters}")
        } else {
            jobs.clone()
        };
        let queue = Queue::open(&QueueUrl::parse(&seen).unwrap()).await.unwrap();
        let sql = SqlUrl::parse(&db).unwrap().open().await.unwrap();
        let variables = vec![
            ("DB_URL".to_owned(), db),
            ("JOBS_URL".to_owned(), jobs),
            ("SHUTDOWN_GRACE".to_owned(), "4s".to_owned()),
        ];
        let fleet = Self { _folder: folder, _databases: databases, variables, queue, sql };
        let (status, lines) = fleet.start("migrate").end();
        assert!(status.success(), "{lines:#?}");
        fleet
    }

    /// One more variable for processes that are started from here on.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.variables.push((name.to_owned(), value.to_owned()));
    }

    /// The command of a process.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut path = std::env::current_exe().unwrap();
        path.pop();
        path.pop();
        let mut command = Command::new(path.join("examples/errands"));
        let variables = self.variables.iter().map(|(name, value)| (name, value));
        command.args(arguments).env_clear().envs(variables);
        command
    }

    pub(crate) fn start(&self, process: &str) -> Process {
        Process::start(self.command(&[process]))
    }

    pub(crate) async fn counts(&self) -> QueueCounts {
        QueueCounts { oldest_ms: 0, ..self.queue.counts().await.unwrap() }
    }

    /// Waits until the queue looks like this.
    pub(crate) async fn until(&self, what: &str, wanted: impl Fn(QueueCounts) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !wanted(self.counts().await) {
            assert!(Instant::now() < deadline, "never {what}: {:?}", self.counts().await);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The ids of the jobs that were done, once for each time, in their order.
    pub(crate) async fn done(&self, what: &str) -> Vec<String> {
        let ids = sql::query("SELECT job_id FROM done WHERE what = $1 ORDER BY job_id").bind(what);
        ids.fetch_all(&self.sql).await.unwrap()
    }
}

pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// Runs a law on every kind of queue.
pub(crate) fn everywhere<F: Future<Output = ()>>(law: impl Fn(Place) -> F) {
    for place in EVERYWHERE {
        println!("on {place:?}");
        runtime().block_on(law(place));
    }
}

/// Runs a law on every kind of queue at the same time: one that waits more than it works, since
/// its leases are too long for a busy machine to lose one.
pub(crate) fn everywhere_at_once<F: Future<Output = ()>>(law: impl Fn(Place) -> F + Sync) {
    std::thread::scope(|scope| {
        let law = &law;
        let on = |place| scope.spawn(move || runtime().block_on(law(place)));
        for (place, run) in EVERYWHERE.map(|place| (place, on(place))) {
            assert!(run.join().is_ok(), "on {place:?}");
        }
    });
}

/// A running process. Dropped, it is killed.
pub(crate) struct Process {
    child: Child,
    lines: Receiver<String>,
    seen: Vec<Value>,
}

impl Process {
    fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = sync_channel(100_000);
        std::thread::spawn(move || {
            for line in stdout.lines() {
                if sender.send(line.unwrap()).is_err() {
                    return;
                }
            }
        });
        Self { child, lines, seen: Vec::new() }
    }

    /// Waits for a line whose message begins like this.
    pub(crate) fn wait_for(&mut self, message: &str) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) if self.note(&line).starts_with(message) => {
                    return self.seen.last().cloned().unwrap();
                }
                Ok(_) => {}
                Err(error) => panic!("no `{message}` ({error}) in {:#?}", self.seen),
            }
        }
    }

    /// Whether such a line has come since the last look.
    pub(crate) fn has_said(&mut self, message: &str) -> bool {
        while let Ok(line) = self.lines.try_recv() {
            if self.note(&line).starts_with(message) {
                return true;
            }
        }
        false
    }

    fn note(&mut self, line: &str) -> String {
        let value: Value = serde_json::from_str(line).unwrap_or(Value::Null);
        let message = value["message"].as_str().unwrap_or_default().to_owned();
        self.seen.push(value);
        message
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Whether it has ended.
    pub(crate) fn is_over(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Waits for the end; gives the status and every line of the process.
    pub(crate) fn end(mut self) -> (ExitStatus, Vec<Value>) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => drop(self.note(&line)),
                // The pipe closes when the process is gone.
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("still running: {:#?}", self.seen),
            }
        }
        (self.child.wait().unwrap(), std::mem::take(&mut self.seen))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
