//! Build, release, run: what a number names is what runs, through failures and crashes too.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use integration_tests::{TestSystem, eventually, http, processes};
use rustix::process::Signal;
use serde_json::Value;

const MANIFEST: &str = r#"
system = "life"
[service.web]
path = "web"
route = "/"
[service.web.process]
web = { run = "python3 web.py", ready = "/", roll = { ready = 1, settle = "1s" } }
[service.web.task]
which = { run = "python3 which.py" }
[service.web.config]
WORD = { type = "string", default = "hi" }
"#;

const WEB: &str = r#"
import http.server, os
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = ("VERSION " + os.environ["WORD"]).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_):
        pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Answer).serve_forever()
"#;

fn version(system: &TestSystem, version: &str) -> Result<()> {
    system.write("web/web.py", &WEB.replace("VERSION", version))?;
    system.write("web/which.py", &format!("print('{version}')\n"))
}

fn answer(system: &TestSystem) -> Result<String> {
    let port = system.row("web", "web")?.port.context("it runs")?;
    Ok(http::get(&format!("http://127.0.0.1:{port}/"))?.body)
}

fn current(system: &TestSystem) -> Result<Value> {
    Ok(system.ok(&["release", "show", "--json"])?.json()?["number"].clone())
}

#[test]
fn a_release_is_what_runs_through_roll_outs_failures_and_crashes() -> Result<()> {
    let system = TestSystem::new(MANIFEST)?;
    version(&system, "one")?;
    assert_eq!(system.ok(&["release"])?.stdout.trim(), "1");
    // Whatever the folder holds now.
    version(&system, "two")?;
    system.ok(&["up", "-d", "--release", "1"])?;
    assert_eq!(answer(&system)?, "one hi");

    system.ok(&["config", "set", "web.WORD=there"])?;
    assert_eq!(system.ok(&["release"])?.stdout.trim(), "2");
    assert_eq!(answer(&system)?, "two there");
    assert_eq!(system.row("web", "web")?.release, 2);
    assert_eq!(system.ok(&["task", "web.which"])?.stdout.trim(), "two");
    assert_eq!(system.ok(&["task", "web.which", "--release", "1"])?.stdout.trim(), "one");

    // A rollback is a release of its own, with the values of then.
    assert_eq!(system.ok(&["rollback"])?.stdout.trim(), "3");
    assert_eq!(answer(&system)?, "one hi");

    // One that never becomes ready is recorded, and changes nothing else.
    system.write("web/web.py", "raise SystemExit('no such table')\n")?;
    let failed = system.run(&["release"])?.expect(1)?;
    ensure!(failed.stderr.contains("no such table"), "{}", failed.stderr);
    assert_eq!((answer(&system)?.as_str(), current(&system)?), ("one hi", Value::from(3)));

    // What ran before a crash comes back.
    let socket = system.control_socket()?;
    let mut status = system.bare("curl");
    status.args(["-s", "--unix-socket"]).arg(&socket).arg("http://x/v1/system");
    let pid = system.finish(status)?.json()?["pid"].as_u64().context("no pid")?;
    processes::signal(u32::try_from(pid)?, Signal::KILL)?;
    eventually("the run is gone", Duration::from_secs(30), || Ok(!socket.exists()))?;
    system.ok(&["up", "-d"])?;
    assert_eq!(answer(&system)?, "one hi");
    assert_eq!(system.row("web", "web")?.release, 3);

    // Whoever goes back while nothing runs gets that one back.
    let mut status = system.bare("curl");
    status.args(["-s", "--unix-socket"]).arg(&socket).arg("http://x/v1/system");
    let pid = system.finish(status)?.json()?["pid"].as_u64().context("no pid")?;
    processes::signal(u32::try_from(pid)?, Signal::KILL)?;
    eventually("the run is gone", Duration::from_secs(30), || Ok(!socket.exists()))?;
    assert_eq!(system.ok(&["rollback", "2"])?.stdout.trim(), "5");
    system.ok(&["up", "-d"])?;
    assert_eq!((answer(&system)?.as_str(), current(&system)?), ("two there", Value::from(5)));

    // The roll-out goes on without whoever asked for it, and so does what follows.
    version(&system, "three")?;
    let mut asking = system.start(&["release"])?;
    asking.says("rolling-out web.web", Duration::from_secs(30))?;
    asking.signal(Signal::KILL)?;
    asking.ended(Duration::from_secs(10))?;
    let is_current = || Ok(current(&system)? == 6);
    eventually("release 6 is current", Duration::from_secs(60), is_current)?;
    assert_eq!(answer(&system)?, "three there");
    system.ok(&["down"])?;
    system.expect_nothing(&[], Duration::from_secs(10))
}

#[test]
fn a_release_of_another_deploy_is_not_run_here() -> Result<()> {
    let system = TestSystem::new(MANIFEST)?;
    version(&system, "one")?;
    system.ok(&["release", "-e", "production"])?;
    let refused = system.run(&["up", "-d", "--release", "1"])?.expect(2)?;
    ensure!(refused.stderr.contains("updraft promote production local"), "{}", refused.stderr);
    system.ok(&["promote", "production", "local"])?;
    system.ok(&["up", "-d", "--release", "2"])?;
    assert_eq!(answer(&system)?, "one hi");
    system.ok(&["down"])?;
    Ok(())
}
