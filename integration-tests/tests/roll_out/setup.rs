//! Two services, one behind the other, whose programs do as they are told.

use std::time::Duration;

use anyhow::{Context as _, Result};
use integration_tests::{TestSystem, http};
use serde_json::Value;

pub(crate) const SOON: Duration = Duration::from_secs(60);

/// A server that tells its version. Its second argument is a fault: `never` is it ready,
/// `crashes` a second after it was ready, `stubborn` at SIGTERM. Of `alone` there are never two.
const SERVER: &str = r#"
import os, signal, sys, threading, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

version, fault = sys.argv[1], (sys.argv[2:] or [""])[0]

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self):
        if self.path == "/slow":
            time.sleep(0.3)
        ready = fault != "never" or self.path != "/readyz"
        body = (version + " " + os.environ.get("GREETING", "")).strip().encode()
        self.send_response(200 if ready else 503)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        if fault == "crashes" and self.path == "/readyz":
            threading.Timer(1, crash).start()

    def log_message(self, *_):
        pass

def crash():
    print("last words of " + version, flush=True)
    os._exit(7)

print(version + " begins", flush=True)
if fault == "alone":
    mine = os.open("alone.lock", os.O_CREAT | os.O_EXCL)
ThreadingHTTPServer.request_queue_size = 128
server = ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler)
def end(*_):
    if fault == "alone":
        os.unlink("alone.lock")
    os._exit(0)
signal.signal(signal.SIGTERM, signal.SIG_IGN if fault == "stubborn" else end)
server.serve_forever()
"#;

/// Passes each request on to `back`, on connections that it keeps, and says what came.
const FRONT: &str = r#"
import http.client, os, sys, threading, urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

back, kept = urllib.parse.urlsplit(os.environ["BACK_URL"]), threading.local()

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self):
        if self.path == "/readyz":
            return self.answer(200, b"")
        try:
            if not hasattr(kept, "way"):
                kept.way = http.client.HTTPConnection(back.hostname, back.port)
            kept.way.request("GET", self.path)
            came = kept.way.getresponse()
            status, body = came.status, sys.argv[1].encode() + b" " + came.read()
        except Exception as error:
            status, body = 500, repr(error).encode()
        if status != 200:
            print("lost", status, body, flush=True)
        self.answer(status, body)

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass

ThreadingHTTPServer.request_queue_size = 128
ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"#;

/// What is run; each test changes a field of it.
#[derive(Clone, Debug)]
pub(crate) struct Manifest {
    pub(crate) front: &'static str,
    pub(crate) back: &'static str,
    pub(crate) settle: &'static str,
    /// More keys of `back`'s process.
    pub(crate) keys: &'static str,
    pub(crate) task: &'static str,
    /// More of the manifest.
    pub(crate) more: &'static str,
}

impl Default for Manifest {
    fn default() -> Self {
        let (settle, task) = ("200ms", "true");
        Self { front: "a1", back: "b1", settle, keys: "", task, more: "" }
    }
}

impl Manifest {
    pub(crate) fn text(&self) -> String {
        let Self { front, back, settle, keys, task, more } = self;
        format!(
            r#"
system = "roll"
[service.front]
needs = ["back"]
route = "/"
process.web = {{ run = "python3 front.py {front}", ready = "/readyz", roll = {{ settle = "200ms" }} }}
[service.back]
task.migrate = {{ run = "{task}", when = "release" }}
[service.back.process.web]
run = "python3 server.py {back}"
ready = {{ http = "/readyz", within = "10s" }}
roll = {{ settle = "{settle}" }}
{keys}
{more}
"#
        )
    }

    pub(crate) fn write(&self, system: &TestSystem) -> Result<()> {
        system.write("updraft.toml", &self.text())
    }

    /// The folder of the system.
    pub(crate) fn folder(&self) -> Result<TestSystem> {
        let system = TestSystem::new(&self.text())?;
        system.write("server.py", SERVER)?;
        system.write("front.py", FRONT)?;
        Ok(system)
    }

    /// The system up, and where it is public.
    pub(crate) fn up(&self) -> Result<(TestSystem, String)> {
        let system = self.folder()?;
        system.ok(&["up", "-d"])?;
        let url = system.ok(&["open", "--print"])?.stdout.trim().trim_end_matches('/').to_owned();
        Ok((system, url))
    }
}

pub(crate) fn answer(url: &str) -> Result<String> {
    Ok(http::get(&format!("{url}/"))?.body)
}

/// Of each replica its name as `ps` shows it, its state and its part.
pub(crate) fn replicas(system: &TestSystem) -> Result<Vec<String>> {
    let rows = system.ok(&["ps", "--json"])?.json()?;
    let rows = rows.as_array().context("a list")?.iter();
    let text = |row: &Value, key: &str| row[key].as_str().unwrap_or_default().to_owned();
    let mut names: Vec<String> = rows
        .map(|row| {
            let slot = if row["slot"] == "b" { "b" } else { "" };
            let (service, process) = (text(row, "service"), text(row, "process"));
            let name = format!("{service}.{process}.{}{slot}", row["replica"]);
            format!("{name} {} {}", text(row, "state"), text(row, "role"))
        })
        .collect();
    names.sort();
    Ok(names)
}
