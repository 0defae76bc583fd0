//! The number of copies follows the load: more of it, more copies; less, fewer after the
//! window; and a number that somebody sets stands.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use integration_tests::{TestSystem, eventually, free_port, http, said};
use serde_json::Value;

const WITHIN: Duration = Duration::from_secs(120);
const SOON: Duration = Duration::from_secs(20);

/// Uses a processor as long as there is a file `busy`.
const BURNER: &str = r#"
import os, select, time
while True:
    if os.path.exists("busy"):
        end = time.monotonic() + 0.2
        while time.monotonic() < end:
            pass
    else:
        select.select([], [], [], 0.1)
"#;

/// Answers `/hold` when there is a file `go`, and everything else at once.
const HOLDER: &str = r#"
import os, select
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        while self.path == "/hold" and not os.path.exists("go"):
            select.select([], [], [], 0.02)
        self.send_response(200)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"ok")
    def log_message(self, *_):
        pass
server = ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler)
server.daemon_threads = True
server.serve_forever()
"#;

/// Puts jobs into the queue as the chassis does, or takes all away.
const JOBS: &str = r#"
import os, sqlite3, sys, urllib.parse
url = urllib.parse.urlparse(os.environ["JOBS_URL"])
database = sqlite3.connect(urllib.parse.unquote(url.path))
database.execute("PRAGMA journal_mode = WAL")
if not database.execute("SELECT 1 FROM sqlite_master WHERE name = 'updraft_jobs'").fetchone():
    database.executescript(open("tables.sql").read())
database.execute("DELETE FROM updraft_jobs")
for job in range(int(sys.argv[1])):
    database.execute(
        "INSERT INTO updraft_jobs (id, queue, kind, payload, state, max_attempts, due_at_ms,"
        " enqueued_at_ms, first_due_at_ms) VALUES (?, 'jobs', 'k', '{}', 'waiting', 5, 0, 0, 0)",
        (str(job),))
database.commit()
"#;

const TABLES: &str = include_str!("../../crates/updraft/src/queue/sql/tables.sqlite.sql");

/// How one process scales, as `scale --json` has it.
fn scaling(system: &TestSystem, service: &str) -> Result<Value> {
    let all = system.ok(&["scale", "--json"])?.json()?;
    let rows = all.as_array().context("no list")?;
    let row = rows.iter().find(|row| row["service"] == service && row["min"].is_u64());
    row.cloned().with_context(|| format!("no row of {service}: {all}"))
}

fn ready_copies(system: &TestSystem, service: &str, process: &str) -> Result<usize> {
    let rows = system.rows(service, process)?;
    Ok(rows.iter().filter(|row| row.state == "ready").count())
}

/// Waits until so many copies are ready, and no others are there.
fn expect_copies(
    system: &TestSystem,
    (service, process): (&str, &str),
    copies: usize,
) -> Result<()> {
    let what = format!("{copies} copies of {service}.{process}");
    let reached = eventually(&what, WITHIN, || {
        let all = system.rows(service, process)?.len();
        Ok(all == copies && ready_copies(system, service, process)? == copies)
    });
    reached.with_context(|| match (scaling(system, service), system.ps()) {
        (Ok(scaling), Ok(rows)) => format!("{scaling:#}\n{rows:#?}"),
        (scaling, _) => format!("{scaling:?}"),
    })
}

#[test]
fn copies_follow_the_processor_time_up_and_after_the_window_down() -> Result<()> {
    let system = TestSystem::new(
        "system = \"burning\"\n[service.a.process.worker]\nrun = \"python3 burner.py\"\n\
         scale = { max = 2, cpu = \"5%\", every = \"400ms\", stabilize = { down = \"2s\" } }\n",
    )?;
    system.write("burner.py", BURNER)?;
    system.ok(&["up", "-d"])?;
    expect_copies(&system, ("a", "worker"), 1)?;
    system.write("busy", "")?;
    expect_copies(&system, ("a", "worker"), 2)?;
    let row = scaling(&system, "a")?;
    ensure!(row["max"] == 2 && row["current"] == 2 && row["held"].is_null(), "{row}");
    ensure!(row["loads"][0]["load"] == "cpu" && row["loads"][0]["target"] == "5%", "{row}");
    std::fs::remove_file(system.directory().join("busy"))?;
    expect_copies(&system, ("a", "worker"), 1)?;
    let log = system.ok(&["logs", "a.worker"])?.stdout;
    for line in ["scaled from 1 to 2: cpu ", "scaled from 2 to 1: cpu "] {
        ensure!(log.contains(line), "no `{line}`: {log}");
    }
    system.ok(&["down"])?;
    system.expect_nothing(&[], SOON)
}

#[test]
fn copies_follow_the_requests_in_flight_which_none_of_them_loses() -> Result<()> {
    let system = TestSystem::new(
        "system = \"holding\"\n[service.a]\nroute = \"/\"\n[service.a.process.web]\n\
         run = \"python3 holder.py\"\nstop = \"60s\"\n\
         scale = { max = 3, concurrency = 2, every = \"300ms\", stabilize = { down = \"1s\" } }\n",
    )?;
    system.write("holder.py", HOLDER)?;
    let up = system.ok(&["up", "-d"])?.said();
    let start = up.find("http://127.0.0.1:").context("no address is told")?;
    let address = up[start..].split_whitespace().next().unwrap_or_default();
    let address: Arc<str> = format!("{}/hold", address.trim_end_matches('/')).into();
    let held: Vec<_> = (0..6)
        .map(|_| {
            let address = Arc::clone(&address);
            thread::spawn(move || http::get(&address).map(|answer| answer.status))
        })
        .collect();
    expect_copies(&system, ("a", "web"), 3)?;
    system.write("go", "")?;
    for request in held {
        let status = request.join().ok().context("the client has panicked")??;
        assert_eq!(status, 200);
    }
    expect_copies(&system, ("a", "web"), 1)?;
    system.ok(&["down"])?;
    system.expect_nothing(&[], SOON)
}

#[test]
fn copies_follow_a_queue_from_none_and_back_and_a_number_by_hand_stands() -> Result<()> {
    let system = TestSystem::new(
        "system = \"queueing\"\n[resource]\njobs = { kind = \"queue\" }\n\
         [service.a]\nneeds = [\"jobs\"]\ntask = { jobs = { run = \"python3 jobs.py\" } }\n\
         [service.a.process]\nplain = \"python3 forker.py\"\n\
         [service.a.process.worker]\nrun = \"python3 forker.py\"\n\
         scale = { min = 0, max = 5, queue = \"jobs\", per = 2, every = \"200ms\", \
                   stabilize = { down = \"500ms\" } }\n",
    )?;
    system.write("jobs.py", JOBS)?;
    system.write("tables.sql", TABLES)?;
    system.ok(&["up", "-d"])?;
    assert_eq!(system.rows("a", "worker")?, [], "no job, no worker");
    system.ok(&["task", "a.jobs", "--", "5"])?;
    expect_copies(&system, ("a", "worker"), 3)?;

    system.ok(&["scale", "a.worker=1"])?;
    expect_copies(&system, ("a", "worker"), 1)?;
    eventually("the rule goes on watching", WITHIN, || {
        let row = scaling(&system, "a")?;
        Ok(row["held"] == 1 && row["wish"] == 3 && row["current"] == 1)
    })?;
    let row = system.row("a", "worker")?;
    ensure!(row.detail.is_some_and(|it| it.contains("held at 1 by hand")), "ps does not say so");
    system.ok(&["scale", "a.worker=auto"])?;
    expect_copies(&system, ("a", "worker"), 3)?;

    system.ok(&["task", "a.jobs", "--", "0"])?;
    expect_copies(&system, ("a", "worker"), 0)?;
    let without = system.run(&["scale", "a.plain=auto"])?.expect(2)?.said();
    ensure!(without.contains("has no rule"), "{without}");
    system.ok(&["down"])?;
    system.expect_nothing(&[], SOON)
}

/// A server that is nobody's, as it would be of another machine; it is gone with its test.
struct Server {
    child: Child,
    port: u16,
}

impl Server {
    /// Runs it until it says that it is ready, on one of its two outputs.
    fn start(folder: &Path, program: &str, arguments: &[&str], ready: &str) -> Result<Self> {
        let port = free_port()?;
        let (ours, theirs) = std::io::pipe()?;
        let mut command = Command::new(program);
        command.arg("--port").arg(port.to_string()).args(arguments).current_dir(folder);
        let child = command.stdout(theirs.try_clone()?).stderr(theirs).spawn()?;
        // It holds the writing end of the pipe, which would never close.
        drop(command);
        let server = Self { child, port };
        let mut lines = BufReader::new(ours).lines().map_while(Result::ok);
        ensure!(lines.any(|line| line.contains(ready)), "{program} ended");
        thread::spawn(move || lines.for_each(drop));
        Ok(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill().and_then(|()| self.child.wait()));
    }
}

/// Copies of a worker for the jobs of a queue, two jobs for each.
const QUEUEING: &str = r#"
system = "queueing"
[resource]
jobs = { kind = "queue" }
[service.a]
needs = ["jobs"]
[service.a.process.worker]
run = "python3 forker.py"
scale = { min = 0, max = 5, queue = "jobs", per = 2, every = "200ms", stabilize = { down = "500ms" } }
"#;

#[test]
fn copies_follow_a_queue_that_is_attached_in_redis() -> Result<()> {
    let system = TestSystem::new(QUEUEING)?;
    let options = ["--bind", "127.0.0.1", "--save", ""];
    let ready = "Ready to accept connections";
    let server = Server::start(system.root(), "redis-server", &options, ready)?;
    let url = format!("redis://127.0.0.1:{}/0", server.port);
    system.ok(&["attach", "jobs", &url])?;
    system.ok(&["up", "-d"])?;
    assert_eq!(system.rows("a", "worker")?, [], "no job, no worker");
    let redis = |words: &[&str]| said("redis-cli", &[&["-u", &url], words].concat(), system.root());
    let waiting = "{updraft:jobs}:waiting";
    redis(&["ZADD", waiting, "0", "a", "0", "b", "0", "c"])?;
    expect_copies(&system, ("a", "worker"), 2)?;
    redis(&["DEL", waiting])?;
    expect_copies(&system, ("a", "worker"), 0)?;
    system.ok(&["down"])?;
    drop(server);
    system.expect_nothing(&[], SOON)
}

/// Publishes to NATS by its own protocol, and waits for the reply of JetStream.
fn publish(port: u16, subject: &str, headers: &str, body: &str) -> Result<()> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    let (head, all) = (headers.len(), headers.len() + body.len());
    let verb = match head {
        0 => format!("PUB {subject} reply {all}"),
        _ => format!("HPUB {subject} reply {head} {all}"),
    };
    let connect = "CONNECT {\"verbose\":false,\"headers\":true}\r\nSUB reply 1\r\n";
    stream.write_all(format!("{connect}{verb}\r\n{headers}{body}\r\n").as_bytes())?;
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    ensure!(lines.any(|line| line.starts_with("MSG reply")), "no reply to {subject}");
    let reply = lines.next().context("no reply")?;
    ensure!(!reply.contains("\"error\""), "{subject}: {reply}");
    Ok(())
}

#[test]
fn copies_follow_a_queue_that_is_attached_on_nats() -> Result<()> {
    let system = TestSystem::new(QUEUEING)?;
    let options = ["--addr", "127.0.0.1", "--jetstream", "--store_dir", "stream"];
    let server = Server::start(system.root(), "nats-server", &options, "Server is ready")?;
    system.ok(&["attach", "jobs", &format!("nats://127.0.0.1:{}", server.port)])?;
    system.ok(&["up", "-d"])?;
    assert_eq!(system.rows("a", "worker")?, [], "no job, no worker");
    let stream = r#"{"name":"updraft_jobs_jobs","subjects":["updraft.jobs.job.*.*"],"max_msgs_per_subject":1,"retention":"limits","storage":"file","num_replicas":1}"#;
    publish(server.port, "$JS.API.STREAM.CREATE.updraft_jobs_jobs", "", stream)?;
    let waiting = "NATS/1.0\r\nUpdraft-State: waiting\r\nUpdraft-At: 0\r\n\r\n";
    for id in ["a", "b", "c"] {
        publish(server.port, &format!("updraft.jobs.job.note.{id}"), waiting, "{}")?;
    }
    expect_copies(&system, ("a", "worker"), 2)?;
    publish(server.port, "$JS.API.STREAM.PURGE.updraft_jobs_jobs", "", "{}")?;
    expect_copies(&system, ("a", "worker"), 0)?;
    system.ok(&["down"])?;
    drop(server);
    system.expect_nothing(&[], SOON)
}

#[test]
fn rules_and_schedules_are_those_of_what_was_rolled_out() -> Result<()> {
    let manifest = |scale: &str, every: &str| {
        format!(
            "system = 'rules'\n[service.a.process]\nworker = {{ run = 'sleep 1000', {scale}\
             roll = {{ ready = 1, settle = '0s' }} }}\n[service.a.task]\nt = {{ run = 'true'{every} }}\n"
        )
    };
    let system = TestSystem::new(&manifest("", ""))?;
    system.ok(&["up", "-d"])?;
    let next =
        || -> Result<Value> { Ok(system.ok(&["task", "--json"])?.json()?[0]["next"].clone()) };
    ensure!(next()?.is_null());

    // A rule and a schedule that are new are followed.
    let rule = "scale = { min = 2, max = 3, cpu = '70%', every = '1s' }, ";
    system.write("updraft.toml", &manifest(rule, ", every = '0 3 1 1 *'"))?;
    system.ok(&["roll-out"])?;
    let decided = || Ok(scaling(&system, "a")?["decided"].is_string());
    eventually("the new rule decides", WITHIN, decided)?;
    eventually("the new schedule stands", SOON, || Ok(next()?.is_string()))?;

    // Those that are gone do nothing any more: a number set by hand stands.
    system.write("updraft.toml", &manifest("", ""))?;
    system.ok(&["roll-out"])?;
    eventually("the schedule is gone", SOON, || Ok(next()?.is_null()))?;
    system.ok(&["scale", "a.worker=4"])?;
    let log = system.ok(&["logs", "a"])?.stdout;
    let told = |text: &str| text.matches("scaled from").count();
    let scaled = told(&log);
    // Long enough for several decisions of the rule that was.
    let begun = std::time::Instant::now();
    eventually("time has passed", SOON, || Ok(Duration::from_secs(4) < begun.elapsed()))?;
    assert_eq!(told(&system.ok(&["logs", "a"])?.stdout), scaled);
    expect_copies(&system, ("a", "worker"), 4)?;
    system.ok(&["down"])?;
    Ok(())
}
