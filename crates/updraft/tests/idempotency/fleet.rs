//! Real processes of the example `till` on one database.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;
use updraft::testing::server::Kind;
use updraft::testing::{Database, Server};
use updraft::{Sql, SqlUrl, Variable as _, sql};

/// How long a test waits for anything: long enough for a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until something holds.
pub(crate) async fn until(what: &str, holds: impl AsyncFn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds().await {
        assert!(Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A migrated database, and how its processes are started.
pub(crate) struct Fleet {
    _folder: TempDir,
    _database: Option<Database>,
    url: String,
    pub(crate) db: Sql,
}

impl Fleet {
    pub(crate) async fn new(kind: Option<Kind>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = kind.map(|kind| Server::shared(kind).unwrap().database().unwrap());
        let file = format!("sqlite://{}/db.sqlite3", folder.path().display());
        let url = database.as_ref().map_or(file, Database::url);
        let db = SqlUrl::parse(&url).unwrap().open().await.unwrap();
        let fleet = Self { _folder: folder, _database: database, url, db };
        let migrated = fleet.run(&["migrate"]);
        assert!(migrated.status.success(), "{migrated:?}");
        fleet
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut path = std::env::current_exe().unwrap();
        path.pop();
        path.pop();
        let mut command = Command::new(path.join("examples/till"));
        command.args(arguments).env_clear().env("DB_URL", &self.url);
        command
    }

    /// Runs a verb to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// A web process that is ready, with a lease as short as there is, and these variables.
    pub(crate) fn start(&self, variables: &[(&str, &str)]) -> Process {
        let mut command = self.command(&["web"]);
        let own = [("PORT", "0"), ("DRAIN_DELAY", "0s"), ("IDEMPOTENCY_LEASE", "1s")];
        command.envs(own).envs(variables.iter().copied()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = sync_channel(10_000);
        std::thread::spawn(move || {
            for line in stdout.lines() {
                if sender.send(line.unwrap()).is_err() {
                    return;
                }
            }
        });
        let mut process = Process { child, lines, address: String::new() };
        let listening = process.wait_for("listening");
        listening["address"].as_str().unwrap().clone_into(&mut process.address);
        process.wait_for("ready");
        process
    }

    /// How many payments of an account there are.
    pub(crate) async fn payments(&self, account: &str) -> i64 {
        let count = sql::query("SELECT count(*) FROM payment WHERE account = $1").bind(account);
        count.fetch_one(&self.db).await.unwrap()
    }
}

/// A process. Dropped, it is killed by SIGKILL.
pub(crate) struct Process {
    child: Child,
    lines: Receiver<String>,
    pub(crate) address: String,
}

impl Process {
    /// Waits for a line of the log whose message begins like this.
    pub(crate) fn wait_for(&mut self, message: &str) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let line = self.lines.recv_timeout(left);
            let line = line.unwrap_or_else(|error| panic!("no `{message}`: {error}"));
            let line: Value = serde_json::from_str(&line).unwrap();
            if line["message"].as_str().unwrap().starts_with(message) {
                return line;
            }
        }
    }

    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// An answer of HTTP/1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) is_replayed: bool,
    pub(crate) body: String,
}

/// Pays; `None`: the connection broke, so that nobody knows what came of it.
pub(crate) fn pay(address: &str, account: &str, amount: i64) -> Option<Answer> {
    let body = json!({ "account": account, "amount": amount }).to_string();
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let head = format!(
        "POST /v1/payments HTTP/1.1\r\nHost: till\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\
         Idempotency-Key: \"{account}\"\r\n\r\n",
        body.len()
    );
    stream.write_all((head + &body).as_bytes()).ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    let head = head.to_ascii_lowercase();
    Some(Answer {
        status: head.get(9..12)?.parse().unwrap(),
        is_replayed: head.contains("\r\nidempotent-replayed: true"),
        body: body.to_owned(),
    })
}
