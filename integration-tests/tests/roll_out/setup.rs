//! Two services, one behind the other, whose programs do as they are told.

use std::env;
use std::time::Duration;

use anyhow::{Context as _, Result};
use integration_tests::{TestSystem, http};
use serde_json::Value;

pub(crate) const SOON: Duration = Duration::from_secs(60);

/// A server that tells its version. Its second argument is a fault: `never` is it ready,
/// `crashes` a second after it was ready, `stubborn` at SIGTERM. Of `alone` there are never two.
const SERVER: &str = r#"
const fs = require("fs"), http = require("http");
const [version, fault = ""] = process.argv.slice(2);

function crash() {
  console.log("last words of " + version);
  process.exit(7);
}

console.log(version + " begins");
if (fault === "alone") fs.closeSync(fs.openSync("alone.lock", "wx"));
process.on("SIGTERM", () => {
  if (fault === "stubborn") return;
  if (fault === "alone") fs.unlinkSync("alone.lock");
  process.exit(0);
});
const server = http.createServer((request, response) => {
  const ready = fault !== "never" || request.url !== "/readyz";
  const body = (version + " " + (process.env.GREETING || "")).trim();
  const answer = () => {
    response.writeHead(ready ? 200 : 503, { "content-length": Buffer.byteLength(body) });
    response.end(body);
    if (fault === "crashes" && request.url === "/readyz") setTimeout(crash, 1000);
  };
  request.url === "/slow" ? setTimeout(answer, 300) : answer();
});
server.keepAliveTimeout = 0;
server.listen(process.env.PORT, "127.0.0.1");
"#;

/// Passes each request on to `back`, on connections that it keeps, and says what came.
const FRONT: &str = r#"
const http = require("http");
const agent = new http.Agent({ keepAlive: true }), version = process.argv[2];

const server = http.createServer((request, response) => {
  const answer = (status, body) => {
    response.writeHead(status, { "content-length": body.length });
    response.end(body);
  };
  const lost = (status, body) => {
    console.log("lost", status, body.toString());
    answer(status, body);
  };
  if (request.url === "/readyz") return answer(200, Buffer.alloc(0));
  const call = http.get(new URL(request.url, process.env.BACK_URL), { agent }, (came) => {
    const parts = [Buffer.from(version + " ")];
    came.on("data", (part) => parts.push(part));
    came.on("error", (error) => lost(500, Buffer.from(String(error))));
    came.on("end", () => {
      const tell = came.statusCode === 200 ? answer : lost;
      tell(came.statusCode, Buffer.concat(parts));
    });
  });
  call.on("error", (error) => lost(500, Buffer.from(String(error))));
});
process.on("SIGTERM", () => process.exit(0));
server.keepAliveTimeout = 0;
server.listen(process.env.PORT, "127.0.0.1");
"#;

/// The requests a second that a campaign asks for; then the command is the one that users have.
pub(crate) fn campaign_rate() -> Option<u32> {
    env::var("UPDRAFT_ROLL_OUT_RATE").ok()?.parse().ok()
}

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
process.web = {{ run = "node front.js {front}", ready = "/readyz", roll = {{ settle = "200ms" }} }}
[service.back]
task.migrate = {{ run = "{task}", when = "release" }}
[service.back.process.web]
run = "node server.js {back}"
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
        let mut system = TestSystem::new(&self.text())?;
        if campaign_rate().is_some() {
            system = system.optimised()?;
        }
        system.write("server.js", SERVER)?;
        system.write("front.js", FRONT)?;
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
