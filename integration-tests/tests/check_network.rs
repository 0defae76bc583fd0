//! `updraft check` runs programs in networks of their own: none of them reaches what it was not
//! given, unless that is allowed.

use std::fs;
use std::io;
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use anyhow::{Context as _, Result, ensure};
use integration_tests::TestSystem;
use serde_json::Value;
use tempfile::TempDir;

/// Calls out at its start, for each request and at its end, as a task does too, and notes in a
/// file that it has tried. It works all the same.
const CALLER: &str = "\
import http.server, os, signal, socket, sys, threading, urllib.parse
def call(why):
    with open(sys.argv[2], 'a') as tried:
        tried.write(why + '\\n')
    try:
        socket.create_connection(('127.0.0.1', int(sys.argv[1])), 2).close()
    except OSError:
        pass
    try:
        with socket.socket(socket.AF_UNIX) as stranger:
            stranger.connect(sys.argv[3])
    except OSError:
        pass
    try:
        socket.getaddrinfo('audit.zoo.invalid', 80)
    except OSError:
        pass
def ask():
    address = urllib.parse.urlsplit(os.environ['REDIS_URL'])
    with socket.create_connection((address.hostname, address.port), 2) as redis:
        redis.sendall(b'*1\\r\\n$4\\r\\nPING\\r\\n')
        return bool(redis.recv(64))
if sys.argv[4:] == ['task']:
    call('task')
    sys.exit(0 if ask() else 1)
limit = int(os.environ['LIMIT'])
call('start')
kept = {}
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    def do_GET(self):
        call('request')
        length = int(self.headers.get('content-length', 0))
        body = self.rfile.read(length) or b'ok\\n'
        try:
            self.send_response(200 if ask() else 503)
        except OSError:
            self.send_response(503)
        self.send_header('content-length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    do_POST = do_GET
    def log_message(self, form, *values):
        print(self.path, flush=True)
server = http.server.ThreadingHTTPServer(('0.0.0.0', int(os.environ['PORT'])), Handler)
server.daemon_threads = False
signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
server.serve_forever()
call('end')
server.server_close()
";

/// A service with all that probes can take from it or break.
const MANIFEST: &str = "\
system = \"caller\"
[resource]
redis = { kind = \"redis\" }
[service.app]
run = \"python3 caller.py {port} {tried} {socket}\"
needs = [\"redis\"]
config.LIMIT = { type = \"int\", min = 1 }
task.migrate = { run = \"python3 caller.py {port} {tried} {socket} task\", when = \"release\" }
[check.app.web]
journey = [
  { do = \"POST /things\", json = { name = \"a\" }, expect = 200 },
  { do = \"GET /things\", expect = 200 },
]
";

/// Somebody on this machine whom no program was told to use, at a port and at a file.
struct Stranger {
    port: u16,
    folder: TempDir,
    callers: Arc<AtomicUsize>,
    file_callers: Arc<AtomicUsize>,
}

impl Stranger {
    fn open() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let port = listener.local_addr()?.port();
        let folder = tempfile::tempdir()?;
        let file = UnixListener::bind(folder.path().join("socket"))?;
        let (callers, file_callers) = <(Arc<AtomicUsize>, Arc<AtomicUsize>)>::default();
        let (counted, file_counted) = (Arc::clone(&callers), Arc::clone(&file_callers));
        thread::spawn(move || count(listener.incoming(), &counted));
        thread::spawn(move || count(file.incoming(), &file_counted));
        Ok(Self { port, folder, callers, file_callers })
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("socket")
    }

    /// By the port and by the file.
    fn callers(&self) -> [usize; 2] {
        [&self.callers, &self.file_callers].map(|callers| callers.load(Ordering::SeqCst))
    }
}

fn count<C>(callers: impl Iterator<Item = io::Result<C>>, counted: &AtomicUsize) {
    for _caller in callers.flatten() {
        counted.fetch_add(1, Ordering::SeqCst);
    }
}

fn caller(stranger: &Stranger) -> Result<(TestSystem, PathBuf)> {
    let system = TestSystem::empty()?;
    let tried = system.root().join("tried");
    let manifest = MANIFEST.replace("{port}", &stranger.port.to_string());
    let manifest = manifest.replace("{socket}", &stranger.socket().to_string_lossy());
    system.write("updraft.toml", &manifest.replace("{tried}", &tried.to_string_lossy()))?;
    system.write("caller.py", CALLER)?;
    Ok((system, tried))
}

fn tries(tried: &PathBuf, why: &str) -> usize {
    let text = fs::read_to_string(tried).unwrap_or_default();
    text.lines().filter(|line| *line == why).count()
}

#[test]
fn no_trial_of_any_probe_reaches_a_stranger_unless_it_is_allowed() -> Result<()> {
    let stranger = Stranger::open()?;
    let (system, tried) = caller(&stranger)?;
    let report = system.run(&["check", "--format", "json"])?.json()?;
    let probes = report["probes"].as_array().context("a list of probes")?;
    let judged = |probe: &&Value| {
        let verdict = probe["verdict"].as_str().unwrap_or_default();
        probe["tier"] != "static" && !["unknown", "not_applicable"].contains(&verdict)
    };
    let judged = probes.iter().filter(judged).count();
    ensure!(judged > 40, "{judged} judged: {report:#}");
    for why in ["start", "request", "end", "task"] {
        ensure!(tries(&tried, why) > 5, "{why}: {}", tries(&tried, why));
    }
    ensure!(stranger.callers() == [0, 0], "{:?}", stranger.callers());
    ensure!(report["machine"]["egress"] == false, "{report:#}");
    let egress = probes.iter().find(|probe| probe["id"] == "IV.egress").context("IV.egress")?;
    ensure!(egress["verdict"] == "warn", "{egress:#}");

    let allowed = ["check", "--format", "json", "--only", "IX.term,XII", "--allow-egress"];
    let report = system.run(&allowed)?.expect(0)?.json()?;
    ensure!(report["machine"]["egress"] == true, "{report:#}");
    ensure!(stranger.callers().iter().all(|callers| *callers > 2), "{:?}", stranger.callers());
    Ok(())
}

/// Where the machine has no networks for programs, they are in its own, and that is said.
#[test]
fn what_programs_can_reach_is_said_where_it_is_more_than_they_were_given() -> Result<()> {
    let stranger = Stranger::open()?;
    let (system, _) = caller(&stranger)?;
    let words = ["check", "--only", "IX.term", "--format", "json", "--without"];
    let outcome = system.run(&[&words[..], &["network-namespace"]].concat())?.expect(0)?;
    let report = outcome.json()?;
    ensure!(stranger.callers().iter().all(|callers| *callers > 0), "{report:#}");
    ensure!(report["machine"]["egress"] == true, "{report:#}");
    let hints = report["hints"].to_string();
    ensure!(hints.contains("could reach what this machine reaches"), "{hints}");
    Ok(())
}

#[test]
fn who_needs_more_than_it_is_given_is_told_how_it_gets_it() -> Result<()> {
    let stranger = Stranger::open()?;
    let system = TestSystem::empty()?;
    system.write("needs.py", NEEDS)?;
    let port = stranger.port.to_string();
    let program = ["--", "python3", "needs.py", &port];
    let words = ["check", "--only", "VII.port", "--format", "json"];
    let report = system.run(&[&words[..], &program].concat())?.expect(0)?.json()?;
    ensure!(report["probes"][0]["verdict"] == "unknown", "{report:#}");
    ensure!(report["hints"].to_string().contains("--allow-egress"), "{report:#}");
    let report = system.run(&[&words[..], &["--allow-egress"], &program].concat())?;
    let report = report.expect(0)?.json()?;
    ensure!(report["probes"][0]["verdict"] == "pass", "{report:#}");
    Ok(())
}

/// Does not start without somebody else.
const NEEDS: &str = "\
import http.server, os, socket, sys
socket.create_connection(('127.0.0.1', int(sys.argv[1])), 2).close()
address = ('0.0.0.0', int(os.environ['PORT']))
http.server.HTTPServer(address, http.server.SimpleHTTPRequestHandler).serve_forever()
";

/// They are found when an audit begins, and may be gone in the middle of a trial's beginning.
#[test]
fn sockets_that_come_and_go_disturb_no_trial() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let open = |number: usize| UnixListener::bind(folder.path().join(number.to_string()));
    let mut others: Vec<_> = (0..50).map(open).collect::<io::Result<_>>()?;
    let over = AtomicBool::new(false);
    let report = thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::SeqCst) {
                for (number, other) in others.iter_mut().enumerate() {
                    drop(fs::remove_file(folder.path().join(number.to_string())));
                    if let Ok(fresh) = open(number) {
                        *other = fresh;
                    }
                }
            }
        });
        let program = ["--", "sh", "-c", "exec python3 -m http.server $PORT"];
        let words = ["check", "--only", "VII.port", "--format", "json"];
        let report = TestSystem::empty().and_then(|it| it.run(&[&words[..], &program].concat()));
        over.store(true, Ordering::SeqCst);
        report?.expect(0)?.json()
    })?;
    ensure!(report["probes"][0]["verdict"] == "pass", "{report:#}");
    Ok(())
}
