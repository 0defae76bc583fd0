//! The library of the example as a real process.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;

/// How long a test waits for anything: long enough for a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running web process. Dropped, it is killed.
pub(crate) struct Service {
    child: Child,
    address: String,
}

/// The command of the library, with these arguments and no variables.
pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    let mut command = Command::new(path.join("examples/contract"));
    command.args(arguments).env_clear();
    command
}

pub(crate) fn run(arguments: &[&str]) -> Output {
    command(arguments).output().unwrap()
}

/// The contract of a version.
pub(crate) fn contract(version: &str) -> Value {
    let output = run(&["contract", "print", "--version", version]);
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// An answer, whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let own = self.headers.iter().find(|(known, _)| known == name);
        own.map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }
}

impl Service {
    pub(crate) fn start() -> Self {
        let mut command = command(&["web"]);
        command.envs([("PORT", "0"), ("DRAIN_DELAY", "0s"), ("LOG_LEVEL", "info")]);
        // An operation needs a scope, so the service must be able to tell callers.
        command.envs([("AUTH_AUDIENCE", "library"), ("AUTH_SECRET", &"s".repeat(32))]);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut wait_for = |message: &str| -> Value {
            loop {
                let line: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
                if line["message"] == message {
                    return line;
                }
            }
        };
        let address = wait_for("listening")["address"].as_str().unwrap().to_owned();
        wait_for("ready");
        // Nobody else reads what it writes from now on.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, address }
    }

    pub(crate) fn ask(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut request =
            format!("{method} {target} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n");
        for (name, value) in headers {
            request += &format!("{name}: {value}\r\n");
        }
        request += &format!("Content-Length: {}\r\n\r\n{body}", body.len());
        stream.write_all(request.as_bytes()).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{text}"));
        let mut lines = head.lines();
        let status = lines.next().unwrap()[9..12].parse().unwrap();
        let header = |line: &str| {
            let (name, value) = line.split_once(": ").unwrap();
            (name.to_ascii_lowercase(), value.to_owned())
        };
        let headers = lines.map(header).collect();
        Answer { status, headers, body: body.to_owned() }
    }

    pub(crate) fn get(&self, target: &str) -> Answer {
        self.ask("GET", target, &[], "")
    }

    pub(crate) fn send_json(&self, method: &str, target: &str, body: &str) -> Answer {
        self.ask(method, target, &[("Content-Type", "application/json")], body)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
