//! Servers that live as long as a test, and relays in front of them.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, getuid, kill_process};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use updraft_mesh::instrument::Instrument;
use updraft_mesh::instrument::stream::{Protocol, RelayLimits, relay};

use crate::held;

/// The longest that a test waits for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// PostgreSQL does not run as root.
const NOBODY: u32 = 65_534;

/// A server's process and folder.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) folder: TempDir,
    child: Child,
}

impl Drop for Server {
    fn drop(&mut self) {
        // PostgreSQL's children end with it by this signal only; to others it is as good.
        let told = kill_process(Pid::from_child(&self.child), Signal::QUIT);
        if let Err(error) = told {
            println!("the server could not be ended: {error}");
        }
        drop(self.child.wait());
    }
}

impl Server {
    fn start(
        mut command: Command,
        port: u16,
        folder: TempDir,
        is_ready: impl Fn() -> bool,
    ) -> Self {
        let log = folder.path().join("log");
        let file = File::create(&log).unwrap();
        command.stdin(Stdio::null()).stdout(file.try_clone().unwrap()).stderr(file);
        let child = command.spawn().unwrap();
        let address = (Ipv4Addr::LOCALHOST, port).into();
        let mut server = Self { address, folder, child };
        let deadline = Instant::now() + PATIENCE;
        while !is_ready() {
            let ended = server.child.try_wait().unwrap().is_some();
            let text = || fs::read_to_string(&log).unwrap_or_default();
            assert!(!ended && Instant::now() < deadline, "the server does not start: {}", text());
            std::thread::yield_now();
        }
        server
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }
}

fn folder() -> TempDir {
    let folder = tempfile::Builder::new().prefix("updraft-instrument-").tempdir_in("/tmp").unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

/// A program of PostgreSQL, of the newest version there is.
pub(crate) fn postgres_program(name: &str) -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let programs = versions.map(|version| version.path().join("bin").join(name));
    programs
        .filter(|program| program.is_file())
        .max()
        .unwrap_or_else(|| panic!("`{name}` is missing: apt-get install postgresql"))
}

fn unprivileged(program: &Path) -> Command {
    if !getuid().is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    let ids = [format!("--reuid={NOBODY}"), format!("--regid={NOBODY}")];
    command.args(ids).arg("--clear-groups").arg(program).env("HOME", "/tmp");
    command
}

/// Gives a file to whom the server runs as, and to nobody else.
fn give(path: &Path) {
    if getuid().is_root() {
        chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
    }
}

/// PostgreSQL, with encryption if `certificate` (certificate and key in PEM) is there.
pub(crate) fn postgres(certificate: Option<(&str, &str)>) -> Server {
    let folder = folder();
    give(folder.path());
    let data = folder.path().join("data");
    let init = unprivileged(&postgres_program("initdb"))
        .arg("-D")
        .arg(&data)
        .args(["-A", "trust", "-U", "pg", "--no-sync", "-E", "UTF8", "--locale=C"])
        .output()
        .expect("`setpriv` is missing: apt-get install util-linux");
    assert!(init.status.success(), "initdb: {}", text(&init.stderr));
    let port = held::port().port();
    let mut command = unprivileged(&postgres_program("postgres"));
    command.arg("-D").arg(&data).arg("-p").arg(port.to_string());
    let socket = format!("unix_socket_directories={}", folder.path().display());
    for option in ["listen_addresses=127.0.0.1", "fsync=off", "synchronous_commit=off", &socket] {
        command.args(["-c", option]);
    }
    if let Some((certificate, key)) = certificate {
        for (option, name, content) in
            [("ssl_cert_file", "cert.pem", certificate), ("ssl_key_file", "key.pem", key)]
        {
            let file = folder.path().join(name);
            fs::write(&file, content).unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
            give(&file);
            command.arg("-c").arg(format!("{option}={}", file.display()));
        }
        command.args(["-c", "ssl=on"]);
    }
    Server::start(command, port, folder, || psql(port, &["-c", "select 1"]).status.success())
}

/// The arguments for a `psql` that tells no more than it must.
pub(crate) fn psql_command(port: u16) -> Command {
    let mut command = Command::new(postgres_program("psql"));
    let port = port.to_string();
    command
        .args(["-X", "-q", "-A", "-t", "-h", "127.0.0.1", "-p", &port, "-U", "pg", "postgres"])
        .args(["-v", "ON_ERROR_STOP=1"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

pub(crate) fn psql(port: u16, arguments: &[&str]) -> Output {
    psql_command(port).args(arguments).output().unwrap()
}

/// The one value of a query, asked of the server itself.
pub(crate) fn value(port: u16, query: &str) -> String {
    let output = psql(port, &["-c", query]);
    assert!(output.status.success(), "{query}: {}", text(&output.stderr));
    text(&output.stdout).trim().to_owned()
}

/// Redis, with more options.
pub(crate) fn redis(options: &[&str]) -> Server {
    let (folder, port) = (folder(), held::port().port());
    let mut command = Command::new(installed("redis-server", "redis-server"));
    command.current_dir(folder.path());
    command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""]);
    command.args(["--appendonly", "no", "--repl-diskless-sync-delay", "0"]).args(options);
    Server::start(command, port, folder, || text(&redis_cli(port, &["PING"]).stdout) == "PONG\n")
}

pub(crate) fn redis_command(port: u16) -> Command {
    let mut command = Command::new(installed("redis-cli", "redis-tools"));
    command.args(["-p", &port.to_string()]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

pub(crate) fn redis_cli(port: u16, arguments: &[&str]) -> Output {
    redis_command(port).args(arguments).output().unwrap()
}

fn installed(program: &str, package: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|program| program.is_file())
        .unwrap_or_else(|| panic!("`{program}` is missing: apt-get install {package}"))
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A relay in front of a server: its port.
pub(crate) async fn relayed(
    server: SocketAddr,
    protocol: Protocol,
    instrument: &Arc<Instrument>,
) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let instrument = Arc::clone(instrument);
    tokio::spawn(async move {
        loop {
            let (client, _) = listener.accept().await.unwrap();
            let instrument = Arc::clone(&instrument);
            tokio::spawn(async move {
                let connection = instrument.open();
                let Ok(server) = TcpStream::connect(connection.destination(server)).await else {
                    return;
                };
                let limits = RelayLimits::default();
                if let Err(error) = relay(client, server, protocol, &connection, limits).await {
                    println!("relay: {error:?}");
                }
            });
        }
    });
    port
}

/// Blocking work beside the relay.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap()
}

/// Waits for something, no longer than a test may.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    let result = tokio::time::timeout(PATIENCE, future).await;
    result.unwrap_or_else(|_| panic!("{what} does not come"))
}
