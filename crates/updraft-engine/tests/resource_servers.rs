//! Plans of resources against the real servers: they start, answer, refuse a wrong
//! password, keep what was written through SIGKILL, and end in order.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{
    Pid, PidfdFlags, Signal, kill_process, kill_process_group, pidfd_open, test_kill_process_group,
};
use tempfile::TempDir;
use tokio::net::TcpSocket;
use updraft_engine::{
    Attachments, CommandPlan, Planner, Programs, ResourceError, ResourcePlan, ServerPlan,
    StopSignal,
};
use updraft_system::{Name, Resource, ResourceKind};

const DEADLINE: Duration = Duration::from_secs(60);

/// The folder of a system's resources, with one resource in it.
struct Bench {
    state: TempDir,
    resources: BTreeMap<Name, Resource>,
    attachments: Attachments,
    programs: Programs,
}

impl Bench {
    fn new(resources: &[(&str, ResourceKind)]) -> Self {
        let state = tempfile::Builder::new().prefix("a folder \"with\" signs ").tempdir().unwrap();
        let attachments = Attachments::load(state.path()).unwrap();
        let resource = |(name, kind): &(&str, ResourceKind)| {
            let name: Name = name.parse().unwrap();
            (name.clone(), Resource { name, kind: kind.clone() })
        };
        let resources = resources.iter().map(resource).collect();
        Self { state, resources, attachments, programs: Programs::of_this_machine() }
    }

    fn plan(&self, name: &str, port: u16) -> Result<ResourcePlan, ResourceError> {
        let planner = Planner {
            resources: &self.resources,
            directory: &self.directory(),
            attachments: &self.attachments,
            programs: &self.programs,
        };
        planner.plan(&self.resources[name], port)
    }

    fn directory(&self) -> PathBuf {
        self.state.path().join("resources")
    }

    /// Plans and starts a server; waits until it is ready.
    fn start(&self, name: &str, port: u16) -> Server {
        // A missing server fails here, and the message says what to install.
        let plan = self.plan(name, port).unwrap_or_else(|problem| panic!("{problem}"));
        let server = plan.server.as_ref().expect("a server to run");
        for step in &server.prepare {
            let output = command(step).output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
        let log = self.state.path().join(format!("{name}.log"));
        let output = File::options().create(true).append(true).open(&log).unwrap();
        let child = command(&server.run)
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .spawn()
            .unwrap();
        let mut running = Server { child, url: plan.url.expose().to_owned(), port, log };
        running.wait_until_ready(server);
        running
    }
}

struct Server {
    child: Child,
    url: String,
    port: u16,
    log: PathBuf,
}

impl Server {
    fn wait_until_ready(&mut self, plan: &ServerPlan) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let deadline = Instant::now() + DEADLINE;
        runtime.block_on(async {
            while let Err(problem) = plan.ready.check(Duration::from_secs(1)).await {
                let ended = self.child.try_wait().unwrap();
                assert!(ended.is_none(), "ended with {ended:?}:\n{}", self.output());
                assert!(Instant::now() < deadline, "{problem}:\n{}", self.output());
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
    }

    fn output(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    fn signal(&mut self, signal: Signal) -> std::process::ExitStatus {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).unwrap();
        self.child.wait().unwrap()
    }

    /// Returns when what it has started has ended too: that holds its memory until it has seen
    /// that it is alone.
    fn kill(&mut self) {
        let of_it = format!("/proc/{0}/task/{0}/children", self.child.id());
        let children = fs::read_to_string(of_it).unwrap();
        let children = children.split_whitespace().filter_map(|pid| {
            pidfd_open(Pid::from_raw(pid.parse().ok()?)?, PidfdFlags::empty()).ok()
        });
        let children: Vec<_> = children.collect();
        self.signal(Signal::KILL);
        for child in &children {
            let within = Timespec { tv_sec: DEADLINE.as_secs().cast_signed(), tv_nsec: 0 };
            let ended = poll(&mut [PollFd::new(child, PollFlags::IN)], Some(&within)).unwrap();
            assert_eq!(ended, 1, "a process of it does not end");
        }
    }

    fn stop(&mut self, signal: StopSignal) {
        let status = self.signal(signal.into());
        assert!(status.success(), "{status}:\n{}", self.output());
        assert!(TcpStream::connect(("127.0.0.1", self.port)).is_err());
    }

    fn url_with_wrong_password(&self) -> String {
        let mut url = url::Url::parse(&self.url).unwrap();
        url.set_password(Some("wrong")).unwrap();
        url.into()
    }

    fn password(&self) -> String {
        url::Url::parse(&self.url).unwrap().password().unwrap().to_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Only a failed test gets here with a server that runs.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn command(plan: &CommandPlan) -> Command {
    let (program, arguments) = plan.argv.split_first().unwrap();
    let mut command = Command::new(program);
    command.args(arguments).env_clear().envs(&plan.env).current_dir(&plan.cwd);
    command.stdin(Stdio::null());
    command
}

/// A port that nobody else gets: a bound socket that does not listen keeps it.
fn port() -> u16 {
    static PROMISED: Mutex<Vec<TcpSocket>> = Mutex::new(Vec::new());
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let port = socket.local_addr().unwrap().port();
    PROMISED.lock().unwrap().push(socket);
    port
}

/// The secret is in no argument, no variable and no printed form of the plan, and the
/// files that hold it are their owner's.
fn assert_secret_is_kept(bench: &Bench, name: &str, server: &Server) {
    let plan = bench.plan(name, server.port).unwrap();
    let password = server.password();
    assert!(password.len() >= 32);
    let run = &plan.server.as_ref().unwrap().run;
    for text in [format!("{plan:?}"), format!("{}", plan.url), format!("{run:?}")] {
        assert!(!text.contains(&password), "{text}");
    }
    let folder = bench.directory().join(name);
    assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
    for entry in fs::read_dir(&folder).unwrap().flatten().filter(|entry| entry.path().is_file()) {
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{}", entry.path().display());
    }
    let commands = fs::read(format!("/proc/{}/cmdline", server.child.id())).unwrap();
    assert!(!String::from_utf8_lossy(&commands).contains(&password));
}

fn psql(url: &str, sql: &str) -> Result<String, String> {
    let output = Command::new("psql")
        .args(["--no-psqlrc", "--tuples-only", "--no-align", "--dbname", url, "--command", sql])
        .output()
        .expect("`psql` is needed: install the package `postgresql-client` (apt)");
    if output.status.success() {
        Ok(String::from_utf8(output.stdout).unwrap().trim().to_owned())
    } else {
        Err(String::from_utf8(output.stderr).unwrap())
    }
}

#[test]
fn postgres_keeps_its_data() {
    let bench = Bench::new(&[("order-book", ResourceKind::Postgres { version: None })]);
    let mut server = bench.start("order-book", port());
    assert_secret_is_kept(&bench, "order-book", &server);
    let facts = "select current_database() || ' ' || current_setting('server_encoding') || ' ' \
                 || current_setting('fsync') || ' ' || current_setting('TimeZone') || ' ' \
                 || upper('ä')";
    assert_eq!(psql(&server.url, facts).unwrap(), "order-book UTF8 on UTC Ä");
    let refused = psql(&server.url_with_wrong_password(), "select 1").unwrap_err();
    assert!(refused.contains("password authentication failed"), "{refused}");

    psql(&server.url, "create table orders (id int); insert into orders values (7)").unwrap();
    server.kill();
    let again = port();
    let mut server = bench.start("order-book", again);
    assert_eq!(psql(&server.url, "select id from orders").unwrap(), "7");
    server.stop(StopSignal::Int);
    assert!(server.output().contains("database system is shut down"));
    // Asking whether it is ready leaves no errors in its log, not even while it recovers.
    assert!(!server.output().contains("starting up"), "{}", server.output());

    let mut server = bench.start("order-book", again);
    assert_eq!(psql(&server.url, "select id from orders").unwrap(), "7");
    server.stop(StopSignal::Int);
}

#[test]
fn postgres_that_was_cut_off_while_it_was_prepared_starts_anew() {
    let bench = Bench::new(&[("db", ResourceKind::Postgres { version: None })]);
    let plan = bench.plan("db", port()).unwrap_or_else(|problem| panic!("{problem}"));
    let prepare = &plan.server.unwrap().prepare[0];
    let mut child = command(prepare)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .unwrap();
    let group = Pid::from_child(&child);
    let begun = bench.directory().join("db/cluster.new/PG_VERSION");
    let deadline = Instant::now() + DEADLINE;
    while !begun.exists() {
        assert!(Instant::now() < deadline && child.try_wait().unwrap().is_none());
        std::thread::yield_now();
    }
    kill_process_group(group, Signal::KILL).unwrap();
    child.wait().unwrap();
    while test_kill_process_group(group).is_ok() {
        assert!(Instant::now() < deadline, "initdb is not gone");
        std::thread::yield_now();
    }
    assert!(!bench.directory().join("db/cluster").exists());

    let mut server = bench.start("db", port());
    assert_eq!(psql(&server.url, "select 1").unwrap(), "1");
    server.stop(StopSignal::Int);
}

#[test]
fn postgres_data_of_another_version_is_refused() {
    let kind = ResourceKind::Postgres { version: Some("15".to_owned()) };
    let bench = Bench::new(&[("db", kind)]);
    let cluster = bench.directory().join("db/cluster");
    fs::create_dir_all(&cluster).unwrap();
    let damaged = bench.plan("db", 1).unwrap_err();
    assert!(matches!(damaged, ResourceError::Damaged { .. }), "{damaged}");
    fs::write(cluster.join("PG_VERSION"), "9\n").unwrap();
    let problem = bench.plan("db", 1).unwrap_err();
    assert!(matches!(problem, ResourceError::WrongData { .. }), "{problem}");
}

/// Sends commands and gives as many lines of the answer.
fn redis(server: &Server, password: &str, commands: &[&str]) -> Vec<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let auth = format!("AUTH {password}");
    [auth.as_str()]
        .iter()
        .chain(commands)
        .map(|command| {
            stream.write_all(format!("{command}\r\n").as_bytes()).unwrap();
            let line = read_line(&mut reader);
            // A bulk string has its length on a line of its own.
            if line.starts_with('$') { read_line(&mut reader) } else { line }
        })
        .collect()
}

fn read_line(reader: &mut impl BufRead) -> String {
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    line.trim_end().to_owned()
}

#[test]
fn redis_keeps_its_data() {
    let bench = Bench::new(&[("sessions", ResourceKind::Redis { version: None })]);
    let mut server = bench.start("sessions", port());
    assert_secret_is_kept(&bench, "sessions", &server);
    let refused = redis(&server, "wrong", &["PING"]);
    assert!(refused[0].starts_with("-WRONGPASS") && refused[1].starts_with("-NOAUTH"));

    let password = server.password();
    assert_eq!(redis(&server, &password, &["SET seven 7"]), ["+OK", "+OK"]);
    server.kill();
    let mut server = bench.start("sessions", port());
    assert_eq!(redis(&server, &password, &["GET seven"]), ["+OK", "7"]);
    server.stop(StopSignal::Term);
    let mut server = bench.start("sessions", port());
    assert_eq!(redis(&server, &password, &["GET seven"]), ["+OK", "7"]);
    server.stop(StopSignal::Term);
}

/// Asks JetStream and gives its answer, or the line that refuses the connection.
fn nats(server: &Server, password: &str, subject: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    assert!(read_line(&mut reader).starts_with("INFO {"));
    // In one piece each: a refused client is cut off at once.
    let mut send = |text: String| stream.write_all(text.as_bytes()).unwrap();
    send(format!(
        "CONNECT {{\"user\":\"updraft\",\"pass\":\"{password}\",\"verbose\":false}}\r\nPING\r\n"
    ));
    let head = read_line(&mut reader);
    if head != "PONG" {
        return head;
    }
    send(format!("SUB inbox 1\r\nPUB {subject} inbox {}\r\n{body}\r\n", body.len()));
    assert!(read_line(&mut reader).starts_with("MSG inbox 1"));
    read_line(&mut reader)
}

#[test]
fn nats_keeps_its_streams() {
    let bench = Bench::new(&[("events", ResourceKind::Nats { version: None })]);
    let mut server = bench.start("events", port());
    assert_secret_is_kept(&bench, "events", &server);
    let refused = nats(&server, "wrong", "x", "");
    assert!(refused.contains("Authorization Violation"), "{refused}");

    let password = server.password();
    let stream = r#"{"name":"ORDERS","subjects":["orders"],"storage":"file"}"#;
    let made = nats(&server, &password, "$JS.API.STREAM.CREATE.ORDERS", stream);
    assert!(!made.contains("error"), "{made}");
    let stored = nats(&server, &password, "orders", "one");
    assert!(stored.contains("\"seq\":1"), "{stored}");
    server.kill();
    for _ in 0..2 {
        let mut server = bench.start("events", port());
        let info = nats(&server, &password, "$JS.API.STREAM.INFO.ORDERS", "");
        assert!(info.contains("\"messages\":1"), "{info}");
        server.stop(StopSignal::Int);
    }
}

#[test]
fn a_missing_server_is_told_with_its_package_and_the_way_around() {
    let kinds = [
        (ResourceKind::Postgres { version: None }, "postgresql"),
        (ResourceKind::Postgres { version: Some("16.2".to_owned()) }, "postgresql-16"),
        (ResourceKind::Redis { version: None }, "redis-server"),
        (ResourceKind::Nats { version: None }, "nats-server"),
    ];
    for (kind, package) in kinds {
        let mut bench = Bench::new(&[("thing", kind)]);
        bench.programs = Programs::in_directories(vec![PathBuf::from("/nonexistent")]);
        let problem = bench.plan("thing", 1).unwrap_err();
        assert!(matches!(problem, ResourceError::NotInstalled { .. }));
        let text = problem.to_string();
        assert!(text.contains(&format!("`{package}`")), "{text}");
        assert!(text.contains("`updraft attach thing URL`"), "{text}");
    }
}

#[test]
fn another_version_than_the_manifest_asks_for_is_refused() {
    let version = || Some("3".to_owned());
    for kind in [
        ResourceKind::Postgres { version: version() },
        ResourceKind::Redis { version: version() },
        ResourceKind::Nats { version: version() },
    ] {
        let bench = Bench::new(&[("thing", kind)]);
        let problem = bench.plan("thing", 1).unwrap_err();
        assert!(matches!(problem, ResourceError::WrongVersion { .. }), "{problem}");
        assert!(problem.to_string().contains("change `version`"), "{problem}");
    }
}

#[test]
fn embedded_resources_are_addresses_alone() {
    let queue = |on: Option<&str>| ResourceKind::Queue {
        on: on.map(|name| name.parse().unwrap()),
        max_attempts: 3,
    };
    let mut bench = Bench::new(&[
        ("db", ResourceKind::Sql),
        ("hot", ResourceKind::Cache),
        ("jobs", queue(Some("db"))),
        ("mails", queue(None)),
        ("media", ResourceKind::Blob),
    ]);
    let file = |path: &str| {
        let path = bench.directory().join(path);
        url::Url::from_file_path(&path).unwrap().to_string().replacen("file", "sqlite", 1)
    };
    let expected = [
        ("db", file("db/db.sqlite3")),
        ("hot", "memory:".to_owned()),
        ("jobs", file("db/db.sqlite3") + "?queue=jobs&max_attempts=3"),
        ("mails", file("mails/mails.sqlite3") + "?queue=mails&max_attempts=3"),
        ("media", file("media/files/").replacen("sqlite", "file", 1)),
    ];
    for (name, url) in expected {
        let plan = bench.plan(name, 0).unwrap();
        assert_eq!(plan.url.expose(), url);
        assert!(plan.server.is_none());
    }
    for folder in ["db", "mails", "media/files"] {
        assert!(bench.directory().join(folder).is_dir(), "{folder}");
    }

    bench.attachments.attach(&bench.resources["db"].clone(), "sqlite:///elsewhere.db").unwrap();
    assert_eq!(bench.plan("db", 0).unwrap().url.expose(), "sqlite:///elsewhere.db");
    let url = bench.plan("jobs", 0).unwrap().url;
    assert_eq!(url.expose(), "sqlite:///elsewhere.db?queue=jobs&max_attempts=3");
}

#[test]
fn an_attached_server_is_not_started() {
    let mut bench = Bench::new(&[("db", ResourceKind::Postgres { version: None })]);
    bench.programs = Programs::in_directories(Vec::new());
    let url = "postgresql://shop:secret@db.example/shop";
    bench.attachments.attach(&bench.resources["db"].clone(), url).unwrap();
    let plan = bench.plan("db", 0).unwrap();
    assert_eq!((plan.url.expose(), plan.server.is_none()), (url, true));
    assert!(!Path::new(&bench.directory().join("db")).exists());
}
