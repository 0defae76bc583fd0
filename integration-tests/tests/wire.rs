//! The wire of a running system, looked at and told by the command.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use integration_tests::{TestSystem, eventually, http};
use serde_json::Value;

const SOON: Duration = Duration::from_secs(30);

const MANIFEST: &str = r#"
system = "wire"
[resource]
db = { kind = "sql" }
[service.front]
run = "python3 front.py"
needs = ["back", "db", "idle"]
route = "/"
[service.back.process]
web = { run = "python3 back.py v41", version = "v41" }
next = { run = "python3 back.py v42", version = "v42" }
[service.back.operation."GET /hello/{name}"]
[service.idle]
run = "python3 web.py"
"#;

/// Says which version it is.
const BACK: &str = r#"
import os, sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        body = sys.argv[1].encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass

ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"#;

/// Asks `back` with the headers it was asked with, and says what came.
const FRONT: &str = r#"
import http.client, os, urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

back = urllib.parse.urlsplit(os.environ["BACK_URL"])

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        passed = {k: v for k, v in self.headers.items() if k.lower() in ("x-user", "authorization")}
        asking = http.client.HTTPConnection(back.hostname, back.port)
        asking.request("GET", self.path, headers=passed)
        answer = asking.getresponse()
        body = f"{answer.status} {answer.read().decode()}".encode()
        asking.close()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass

ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"#;

/// Runs `updraft top` on a terminal of its own, types `q`, and says how that went.
const TERMINAL: &str = r#"
import fcntl, os, pty, select, struct, sys, termios, time

pid, terminal = pty.fork()
if pid == 0:
    os.environ["TERM"] = "xterm"
    os.execvp(sys.argv[1], sys.argv[1:])
fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
before = termios.tcgetattr(terminal)[3]
seen, typed, during, end = b"", False, None, time.time() + 60
while time.time() < end:
    if select.select([terminal], [], [], 1)[0]:
        try:
            part = os.read(terminal, 65536)
        except OSError:
            break
        if not part:
            break
        seen += part
    if not typed and seen.count(b"FROM") >= 2:
        during = termios.tcgetattr(terminal)[3]
        os.write(terminal, b"xq")
        typed = True
    if b"\x1b[?1049l" in seen:
        after = termios.tcgetattr(terminal)[3]
sys.stdout.buffer.write(seen)
print("\nexit", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
print("single keys", bool(before & termios.ICANON) and not during & termios.ICANON)
"#;

fn started() -> Result<(TestSystem, String)> {
    let system = TestSystem::new(MANIFEST)?;
    system.write("front.py", FRONT)?;
    system.write("back.py", BACK)?;
    system.write("in_terminal.py", TERMINAL)?;
    system.ok(&["up", "-d"])?;
    let url = system.ok(&["open", "--print"])?.stdout.trim().trim_end_matches('/').to_owned();
    Ok((system, url))
}

fn ask(url: &str, path: &str, headers: &[(&str, &str)]) -> Result<String> {
    Ok(http::send("GET", &format!("{url}{path}"), headers, None)?.body)
}

/// How often each answer came.
fn answers(url: &str, count: u32) -> Result<BTreeMap<String, u32>> {
    let mut answers = BTreeMap::new();
    for number in 0..count {
        *answers.entry(ask(url, &format!("/hello/{number}"), &[])?).or_default() += 1;
    }
    Ok(answers)
}

#[test]
fn traffic_goes_where_the_command_says_until_it_is_cleared() -> Result<()> {
    let (system, url) = started()?;
    system.ok(&["mesh", "split", "back", "v41=3", "v42=1"])?;
    let seen = answers(&url, 120)?;
    let next = seen.get("200 v42").copied().unwrap_or_default();
    ensure!((12..=48).contains(&next), "a quarter of 120 should go to v42: {seen:?}");
    assert_eq!(seen.values().sum::<u32>(), 120);
    assert_eq!(seen.len(), 2, "{seen:?}");

    // Requests of one user stay with one version.
    system.ok(&["mesh", "split", "back", "v41=1", "v42=1", "--sticky", "header:x-user"])?;
    let mut versions = BTreeMap::new();
    for user in ["a", "b", "c", "d", "e", "f", "g", "h"] {
        let user_header = [("x-user", user)];
        let first = ask(&url, "/hello/x", &user_header)?;
        for _ in 0..5 {
            assert_eq!(ask(&url, "/hello/x", &user_header)?, first);
        }
        versions.insert(first, user);
    }
    assert_eq!(versions.len(), 2, "all users are with one version: {versions:?}");

    system.ok(&["mesh", "split", "back", "v41=1"])?;
    let route = ["mesh", "route", "back", "--name", "ours", "--to", "v42", "--header", "x-user=me"];
    let changed = system.ok(&route)?;
    ensure!(changed.stdout.contains("ours"), "{}", changed.stdout);
    assert_eq!(ask(&url, "/hello/x", &[("x-user", "me")])?, "200 v42");
    assert_eq!(ask(&url, "/hello/x", &[("x-user", "you")])?, "200 v41");
    let shown = system.ok(&["mesh", "show", "back", "--json"])?.json()?;
    assert_eq!(
        (shown[0]["changed"].clone(), shown.as_array().map(Vec::len)),
        (true.into(), Some(1))
    );
    ensure!(system.ok(&["mesh", "show"])?.stdout.contains("x-user=me"));

    let unknown = system.run(&["mesh", "split", "back", "v43=1"])?.expect(2)?;
    ensure!(unknown.stderr.contains("no version `v43`; it has "), "{}", unknown.stderr);
    let unknown = system.run(&["mesh", "clear", "bakc"])?.expect(2)?;
    ensure!(unknown.stderr.contains("did you mean `back`?"), "{}", unknown.stderr);
    let unknown = system.run(&["mesh", "redirect", "back", "--to", "/x", "--status", "200"])?;
    ensure!(unknown.expect(2)?.stderr.contains("does not redirect"));

    system.ok(&["mesh", "clear", "back", "ours"])?;
    assert_eq!(ask(&url, "/hello/x", &[("x-user", "me")])?, "200 v41");
    system.ok(&["mesh", "clear", "back"])?;
    let shown = system.ok(&["mesh", "show", "back", "--json"])?.json()?;
    assert_eq!(shown[0]["changed"], false);
    // Which of two well endpoints the balancer likes better is its own business.
    let traffic = &system.ok(&["mesh", "config"])?.json()?["clusters"]["back"]["traffic"];
    ensure!(traffic["split"].is_null() && traffic["rules"] == serde_json::json!([]), "{traffic}");
    assert_eq!(answers(&url, 20)?.values().sum::<u32>(), 20);
    system.ok(&["down"])?;
    Ok(())
}

#[test]
fn a_fault_is_seen_by_the_caller() -> Result<()> {
    let (system, url) = started()?;
    let abort = ["mesh", "fault", "back", "--abort", "418", "--path", "/hello/{name}"];
    system.ok(&abort)?;
    ensure!(ask(&url, "/hello/x", &[])?.starts_with("418 "));
    system.ok(&["mesh", "clear", "back", "fault"])?;
    ensure!(ask(&url, "/hello/x", &[])?.starts_with("200 "));
    system.ok(&["mesh", "fault", "back", "--delay", "400ms", "--from", "front"])?;
    let begun = std::time::Instant::now();
    ensure!(ask(&url, "/hello/x", &[])?.starts_with("200 "));
    ensure!(begun.elapsed() >= Duration::from_millis(400), "{:?}", begun.elapsed());
    system.ok(&["down"])?;
    Ok(())
}

#[test]
fn a_tap_shows_requests_and_no_secrets() -> Result<()> {
    let (system, url) = started()?;
    let mut tap = system.start(&["tap", "front->back", "--headers", "-n", "2"])?;
    // It says nothing before the first request.
    eventually("requests in the tap", SOON, || {
        let secret = [("authorization", "Bearer secret-token")];
        ask(&url, "/hello/tapped?key=secret-query", &secret)?;
        Ok(tap.stdout()?.contains("/hello/tapped"))
    })?;
    eventually("the end of the tap", SOON, || {
        ask(&url, "/hello/tapped", &[])?;
        Ok(tap.ended(Duration::ZERO).is_ok())
    })?;
    let said = tap.said()?;
    ensure!(said.contains("front→back GET /hello/tapped 200 "), "{said}");
    ensure!(said.contains("> authorization: <redacted>"), "{said}");
    ensure!(!said.contains("secret"), "{said}");

    let json = system.start(&["tap", ":back", "--json"])?;
    eventually("a line of JSON", SOON, || {
        ask(&url, "/hello/json", &[])?;
        Ok(json.stdout()?.contains("\"path\":\"/hello/json\""))
    })?;
    let text = json.stdout()?;
    let line: Value = serde_json::from_str(text.lines().next().context("there is one")?)?;
    assert_eq!((line["status"].as_u64(), line["to"].as_str()), (Some(200), Some("back")));
    system.run(&["tap", "back->front"])?.expect(2)?;
    drop(json);
    system.ok(&["down"])?;
    Ok(())
}

#[test]
fn top_and_graph_show_what_happens_now() -> Result<()> {
    let (system, url) = started()?;
    let stop = Arc::new(AtomicBool::new(false));
    let (own, asked) = (Arc::clone(&stop), url);
    let load = thread::spawn(move || -> Result<()> {
        while !own.load(Ordering::Relaxed) {
            ask(&asked, "/hello/load", &[])?;
        }
        Ok(())
    });
    let top = system.ok(&["top", "--once", "--json"])?.json()?;
    let edges = top["edges"].as_array().context("there are edges")?;
    let edge = |from: &str, to: &str| {
        let found = edges.iter().find(|edge| edge["from"] == from && edge["to"] == to);
        found.with_context(|| format!("{from} to {to} in {top}"))
    };
    for (from, to) in [("front", "back"), ("ingress", "front")] {
        let edge = edge(from, to)?;
        ensure!(edge["rps"].as_f64() > Some(0.0) && edge["error_share"] == 0.0, "{edge}");
        ensure!(edge["p99_ms"].as_f64() > Some(0.0), "{edge}");
    }
    assert_eq!(edge("front", "idle")?["rps"], 0.0);
    let table = system.ok(&["top", "--once"])?.stdout;
    ensure!(table.starts_with("FROM ") && !table.contains('\u{1b}'), "{table:?}");
    let operations = system.ok(&["top", "--once", "--by", "operation"])?.stdout;
    ensure!(operations.contains("GET /hello/{name}"), "{operations}");

    let mut terminal = system.bare("python3");
    terminal.arg("in_terminal.py").arg(system.program()).arg("top");
    terminal.current_dir(system.directory());
    let seen = system.finish(terminal)?.expect(0)?.stdout;
    ensure!(seen.contains("\u{1b}[?1049h") && seen.contains("\u{1b}[?1049l"), "{seen:?}");
    ensure!(seen.contains("calls/s") && seen.contains("exit 0"), "{seen:?}");
    ensure!(seen.contains("single keys True"), "{seen:?}");

    let dot = system.ok(&["graph", "--dot"])?.stdout;
    ensure!(dot.contains("\"front\" -> \"back\" [label=\"http1\\n"), "{dot}");
    ensure!(dot.contains("\"db\" [shape=cylinder]"), "{dot}");
    ensure!(system.ok(&["graph", "--mermaid"])?.stdout.starts_with("graph LR\n"));
    let graph = system.ok(&["graph", "--json"])?.json()?;
    let links = graph["edges"].as_array().context("there are edges")?;
    let used =
        |to: &str| links.iter().find(|link| link["to"] == to).map(|link| link["used"].clone());
    assert_eq!((used("back"), used("idle")), (Some(true.into()), Some(false.into())));
    stop.store(true, Ordering::Relaxed);
    load.join().ok().context("it did not panic")??;
    system.ok(&["down"])?;

    let stopped = system.ok(&["graph"])?;
    ensure!(stopped.stdout.contains("└─▶") && stopped.stderr.contains("is not running"));
    system.run(&["top", "--once"])?.expect(1)?;
    Ok(())
}

#[test]
fn certificates_are_shown_and_renewed_on_demand() -> Result<()> {
    let (system, _) = started()?;
    let serial = |service: &str| -> Result<Option<String>> {
        let served = system.ok(&["mesh", "identity", "--json"])?.json()?;
        let all = served.as_array().context("a list")?;
        let one = all.iter().find(|one| one["service"] == service).context("the service")?;
        Ok(one["serial"].as_str().map(str::to_owned))
    };
    eventually("first certificates", SOON, || {
        Ok(serial("front")?.is_some() && serial("back")?.is_some())
    })?;
    let (front, back) = (serial("front")?, serial("back")?);
    system.ok(&["mesh", "rotate", "back"])?;
    eventually("another certificate", SOON, || Ok(serial("back")? != back))?;
    assert_eq!(serial("front")?, front);
    system.ok(&["mesh", "rotate"])?;
    eventually("another certificate", SOON, || Ok(serial("front")? != front))?;
    let table = system.ok(&["mesh", "identity"])?.stdout;
    ensure!(table.contains("spiffe://wire/back"), "{table}");
    let first = system.ok(&["mesh", "rotate", "--root", "--json"])?.json()?;
    assert_eq!(first["root_begun"], true);
    let again = system.ok(&["mesh", "rotate", "--root", "--json"])?.json()?;
    assert_eq!(again["root_begun"], false);

    let config = system.ok(&["mesh", "config"])?.json()?;
    assert_eq!((config["system"].as_str(), config["edges"].is_array()), (Some("wire"), true));
    system.ok(&["down"])?;
    Ok(())
}
