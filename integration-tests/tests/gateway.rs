//! `updraft gateway` as a process: what it takes, what it refuses, and how it ends.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use integration_tests::{Running, TestSystem, eventually, free_port, http};
use rustix::process::Signal;
use serde_json::Value;

const SOON: Duration = Duration::from_secs(20);

/// A server that says which one it is. It answers `/slow` when it is let go.
struct Backend {
    address: SocketAddr,
    slow: Arc<(Mutex<Slow>, Condvar)>,
}

#[derive(Default)]
struct Slow {
    waiting: u32,
    let_go: bool,
}

impl Backend {
    fn start(name: &'static str) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let slow = Arc::new((Mutex::new(Slow::default()), Condvar::new()));
        let own = Arc::clone(&slow);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let slow = Arc::clone(&own);
                thread::spawn(move || drop(serve(&stream, name, &slow)));
            }
        });
        Ok(Self { address, slow })
    }

    fn has_a_slow_request(&self) -> Result<()> {
        eventually("a request under way", SOON, || Ok(lock(&self.slow.0).waiting > 0))
    }

    fn let_go(&self) {
        lock(&self.slow.0).let_go = true;
        self.slow.1.notify_all();
    }
}

fn lock(slow: &Mutex<Slow>) -> MutexGuard<'_, Slow> {
    slow.lock().unwrap_or_else(PoisonError::into_inner)
}

fn serve(stream: &TcpStream, name: &str, slow: &(Mutex<Slow>, Condvar)) -> Result<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let mut path = None;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            if line.trim_end().is_empty() {
                break;
            }
            path.get_or_insert(line);
        }
        if path.is_some_and(|line| line.contains("/slow")) {
            let mut state = lock(&slow.0);
            state.waiting += 1;
            while !state.let_go {
                state = slow.1.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
        }
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{name}", name.len());
        (&*stream).write_all(head.as_bytes())?;
    }
}

/// A gateway's configuration with one edge and an admin port.
struct Config {
    path: PathBuf,
    edge: u16,
    admin: u16,
}

impl Config {
    fn write(system: &TestSystem, backend: &Backend) -> Result<Self> {
        let path = system.directory().join("gateway.toml");
        let config = Self { path, edge: free_port()?, admin: free_port()? };
        config.rewrite(1, backend)?;
        Ok(config)
    }

    fn rewrite(&self, version: u32, backend: &Backend) -> Result<()> {
        let Self { edge, admin, .. } = self;
        self.rewrite_as(&format!(
            r#"
system = "shop"
version = {version}
admin = "127.0.0.1:{admin}"
telemetry = {{ access_log = true }}
[[edges]]
from = "cart"
to = "pricing"
listen = "127.0.0.1:{edge}"
[clusters.pricing]
endpoints = [{{ address = "{}" }}]
"#,
            backend.address
        ))
    }

    /// As an editor does that writes in one step.
    fn rewrite_as(&self, text: &str) -> Result<()> {
        let new = self.path.with_extension("new");
        fs::write(&new, text)?;
        Ok(fs::rename(new, &self.path)?)
    }

    fn start<'a>(&self, system: &'a TestSystem, more: &[&str]) -> Result<Running<'a>> {
        let path = self.path.display().to_string();
        let running = system.start(&[&["gateway", "--config", &path], more].concat())?;
        running.says("\"event\":\"started\"", SOON)?;
        Ok(running)
    }

    fn get(&self, path: &str) -> Result<http::Response> {
        http::get(&format!("http://127.0.0.1:{}{path}", self.edge))
    }

    fn metric(&self, name: &str) -> Result<String> {
        let metrics = http::get(&format!("http://127.0.0.1:{}/metrics", self.admin))?.body;
        let line = metrics.lines().find_map(|line| line.strip_prefix(&format!("{name} ")));
        Ok(line.context("the metric exists")?.to_owned())
    }
}

fn events(running: &Running<'_>) -> Result<Vec<Value>> {
    let said = running.stdout()?;
    said.lines().map(|line| serde_json::from_str(line).with_context(|| line.to_owned())).collect()
}

#[test]
fn a_file_is_checked_and_every_problem_has_its_place() -> Result<()> {
    let system = TestSystem::empty()?;
    let backend = Backend::start("one")?;
    let config = Config::write(&system, &backend)?;
    let check = ["gateway", "--config", "gateway.toml", "--check"];
    let sound = system.ok(&check)?;
    ensure!(sound.stdout.contains("is sound: shop version 1, 1 edges"), "{}", sound.stdout);
    let json = system.ok(&["gateway", "--config", "gateway.toml", "--check", "--json"])?.json()?;
    assert_eq!(json["edges"], 1);

    config.rewrite_as("system = \"shop\"\nversoin = 1\n[[edges]]\nfrom = 1\nto = \"nowhere\"\n")?;
    for arguments in [&check[..], &check[..3]] {
        let refused = system.run(arguments)?.expect(2)?;
        for place in ["gateway.toml:2:1: ", "gateway.toml:4:8: ", "2 problems in"] {
            ensure!(refused.stderr.contains(place), "{place} is not in {}", refused.stderr);
        }
    }
    let absent = system.run(&["gateway", "--config", "none.toml"])?.expect(2)?;
    ensure!(absent.stderr.contains("none.toml"), "{}", absent.stderr);
    Ok(())
}

#[test]
fn a_change_is_taken_and_a_bad_file_changes_nothing() -> Result<()> {
    let system = TestSystem::empty()?;
    let (one, two) = (Backend::start("one")?, Backend::start("two")?);
    let config = Config::write(&system, &one)?;
    let mut gateway = config.start(&system, &[])?;
    assert_eq!(config.get("/x?secret=1")?.body, "one");
    gateway.says("\"path\":\"/x\"", SOON)?;
    ensure!(!gateway.stdout()?.contains("secret"), "a query is in the access log");

    config.rewrite(2, &two)?;
    gateway.says("\"event\":\"configured\",\"version\":2", SOON)?;
    assert_eq!(config.get("/")?.body, "two");
    assert_eq!(config.metric("updraft_mesh_config_version")?, "2");
    assert_eq!(config.metric("updraft_mesh_config_refused")?, "0");

    config.rewrite_as("system = \"shop\"\nversion = 3\nnonsense = true\n")?;
    gateway.signal(Signal::HUP)?;
    gateway.says("\"event\":\"refused\"", SOON)?;
    gateway.says("gateway.toml:3:1: ", SOON)?;
    gateway.says("\"version_in_force\":2", SOON)?;
    assert_eq!(config.get("/")?.body, "two");
    assert_eq!(config.metric("updraft_mesh_config_version")?, "2");
    assert_eq!(config.metric("updraft_mesh_config_refused")?, "1");

    // Another system is another gateway.
    config.rewrite_as("system = \"other\"\nversion = 4\n")?;
    gateway.says("needs another process", SOON)?;
    assert_eq!(config.get("/")?.body, "two");

    config.rewrite(5, &one)?;
    gateway.says("\"version\":5", SOON)?;
    assert_eq!(config.get("/")?.body, "one");
    assert_eq!(config.metric("updraft_mesh_config_refused")?, "0");
    for event in events(&gateway)? {
        ensure!(event["time"].is_string(), "{event}");
    }
    gateway.signal(Signal::INT)?;
    ensure!(gateway.ended(SOON)?.success());
    Ok(())
}

#[test]
fn what_is_under_way_ends_before_the_gateway_does() -> Result<()> {
    let system = TestSystem::empty()?;
    let backend = Backend::start("one")?;
    let config = Config::write(&system, &backend)?;
    let mut gateway = config.start(&system, &[])?;
    let url = format!("http://127.0.0.1:{}/slow", config.edge);
    let asking = thread::spawn(move || http::get(&url));
    backend.has_a_slow_request()?;
    gateway.signal(Signal::TERM)?;
    gateway.says("\"event\":\"draining\",\"reason\":\"SIGTERM\"", SOON)?;
    eventually("a closed port", SOON, || {
        Ok(TcpStream::connect(("127.0.0.1", config.edge)).is_err())
    })?;
    backend.let_go();
    let answer = asking.join().ok().context("it did not panic")??;
    assert_eq!((answer.status, &*answer.body), (200, "one"));
    assert_eq!(gateway.ended(SOON)?.code(), Some(0));
    ensure!(gateway.stdout()?.contains("\"event\":\"stopped\",\"cut_short\":false"));
    Ok(())
}

#[test]
fn a_second_signal_ends_it_at_once() -> Result<()> {
    let system = TestSystem::empty()?;
    let backend = Backend::start("one")?;
    let config = Config::write(&system, &backend)?;
    let mut gateway = config.start(&system, &[])?;
    let url = format!("http://127.0.0.1:{}/slow", config.edge);
    let asking = thread::spawn(move || http::get(&url));
    backend.has_a_slow_request()?;
    gateway.signal(Signal::TERM)?;
    gateway.says("\"event\":\"draining\"", SOON)?;
    gateway.signal(Signal::TERM)?;
    let status = gateway.ended(SOON)?;
    assert_eq!((status.code(), status.signal()), (Some(1), None));
    ensure!(gateway.stdout()?.contains("\"cut_short\":true"));
    ensure!(asking.join().ok().context("it did not panic")?.is_err());
    backend.let_go();
    Ok(())
}

#[test]
fn the_next_gateway_takes_over_and_no_connection_is_refused() -> Result<()> {
    let system = TestSystem::empty()?;
    let backend = Backend::start("one")?;
    let config = Config::write(&system, &backend)?;
    let socket = system.directory().join("next.sock").display().to_string();
    let mut first = config.start(&system, &["--hand-over", &socket])?;
    let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let url = format!("http://127.0.0.1:{}/", config.edge);
    let load: Vec<_> = (0..4)
        .map(|_| {
            let (stop, done, url) = (Arc::clone(&stop), Arc::clone(&done), url.clone());
            thread::spawn(move || -> Result<()> {
                while !stop.load(Ordering::Relaxed) {
                    let answer = http::get(&url)?;
                    ensure!(answer.status == 200, "{answer:?}");
                    done.fetch_add(1, Ordering::Relaxed);
                }
                Ok(())
            })
        })
        .collect();
    let more = |count: u64| {
        let wanted = done.load(Ordering::Relaxed) + count;
        eventually("requests go through", SOON, || Ok(done.load(Ordering::Relaxed) >= wanted))
    };
    let slow = format!("http://127.0.0.1:{}/slow", config.edge);
    let asking = thread::spawn(move || http::get(&slow));
    backend.has_a_slow_request()?;
    let mut gateways = Vec::new();
    for _ in 0..2 {
        more(50)?;
        let next = config.start(&system, &["--hand-over", &socket])?;
        ensure!(next.stdout()?.contains("\"took_over\":true"), "{}", next.said()?);
        gateways.push(next);
        more(50)?;
    }
    backend.let_go();
    assert_eq!(asking.join().ok().context("it did not panic")??.status, 200);
    assert_eq!(first.ended(SOON)?.code(), Some(0));
    ensure!(first.stdout()?.contains("\"reason\":\"handed over\""), "{}", first.said()?);
    let mut last = gateways.pop().context("there are two")?;
    assert_eq!(gateways[0].ended(SOON)?.code(), Some(0));
    more(50)?;
    stop.store(true, Ordering::Relaxed);
    for load in load {
        load.join().ok().context("it did not panic")??;
    }
    last.signal(Signal::TERM)?;
    assert_eq!(last.ended(SOON)?.code(), Some(0));
    Ok(())
}

#[test]
fn two_gateways_speak_mutual_tls_with_certificates_of_a_running_system() -> Result<()> {
    let system = TestSystem::new(
        "system = \"wire\"\n[service.cart]\nrun = \"python3 web.py\"\nneeds = [\"pricing\"]\n\
         [service.pricing]\nrun = \"python3 web.py\"\n[service.spy]\nrun = \"python3 web.py\"\n",
    )?;
    system.ok(&["up", "-d"])?;
    let issuer = system.control_socket()?.display().to_string();
    let backend = Backend::start("far away")?;
    let (mesh, edge, other) = (free_port()?, free_port()?, free_port()?);
    let server = format!(
        r#"
system = "wire"
identity = {{ issuer = "{issuer}", services = ["pricing"] }}
mesh = {{ listen = "127.0.0.1:{mesh}", services = ["pricing"] }}
edges = [{{ from = "cart", to = "pricing" }}]
clusters.pricing.endpoints = [{{ address = "{}" }}]
"#,
        backend.address
    );
    let client = format!(
        r#"
system = "wire"
identity = {{ issuer = "{issuer}", services = ["cart", "spy"] }}
edges = [
  {{ from = "cart", to = "pricing", listen = "127.0.0.1:{edge}" }},
  {{ from = "spy", to = "pricing", listen = "127.0.0.1:{other}" }},
]
clusters.pricing.endpoints = [{{ address = "127.0.0.1:{mesh}", tls = "mutual" }}]
"#
    );
    system.write("server.toml", &server)?;
    system.write("client.toml", &client)?;
    let file = |name: &str| system.directory().join(name).display().to_string();
    let server = system.start(&["gateway", "--config", &file("server.toml")])?;
    let client = system.start(&["gateway", "--config", &file("client.toml")])?;
    for gateway in [&server, &client] {
        gateway.says("\"event\":\"started\"", SOON)?;
    }
    let url = format!("http://127.0.0.1:{edge}/");
    eventually("an answer from behind two gateways", SOON, || {
        let answer = http::get(&url)?;
        Ok(answer.status == 200 && answer.body == "far away")
    })?;
    // Who is not declared is told so by the gateway of what it calls.
    let refused = http::get(&format!("http://127.0.0.1:{other}/"))?;
    assert_eq!(refused.status, 403, "{refused:?}");
    // Without TLS nobody comes in.
    ensure!(http::get(&format!("http://127.0.0.1:{mesh}/")).is_err());
    system.ok(&["down"])?;
    Ok(())
}
