//! A real process of the service `patient`, watched from outside.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// How long a test waits for anything: long enough for a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A running process. Dropped, it is killed.
pub(crate) struct Patient {
    child: Child,
    lines: Receiver<String>,
    seen: Vec<Value>,
    /// Where users come in.
    pub(crate) main: String,
    /// The admin listener.
    pub(crate) admin: String,
}

/// The command of the patient with exactly these variables.
pub(crate) fn command(arguments: &[&str], variables: &[(&str, &str)]) -> Command {
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    let mut command = Command::new(path.join("examples/patient"));
    command.args(arguments).env_clear().envs(variables.iter().copied());
    command
}

impl Patient {
    /// A process that may not come to listen anywhere.
    pub(crate) fn start(process: &str, variables: &[(&str, &str)]) -> Self {
        let mut child = command(&[process], variables).stdout(Stdio::piped()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in stdout.lines() {
                if sender.send(line.unwrap()).is_err() {
                    return;
                }
            }
        });
        Self { child, lines, seen: Vec::new(), main: String::new(), admin: String::new() }
    }

    /// A web process with an admin listener, which has started.
    pub(crate) fn web(variables: &[(&str, &str)]) -> Self {
        Self::started("web", variables)
    }

    /// A process of this type, which has started.
    pub(crate) fn started(process: &str, variables: &[(&str, &str)]) -> Self {
        let mut all = vec![("PORT", "0"), ("ADMIN_PORT", "0"), ("DRAIN_DELAY", "0s")];
        all.retain(|(name, _)| variables.iter().all(|(other, _)| name != other));
        all.extend_from_slice(variables);
        let mut patient = Self::start(process, &all);
        let address = |line: Value| line["address"].as_str().unwrap().to_owned();
        patient.admin = address(patient.wait_for("admin listening"));
        patient.main = address(patient.wait_for("listening"));
        patient.wait_for("ready");
        patient
    }

    /// Waits for a line whose message begins like this.
    pub(crate) fn wait_for(&mut self, message: &str) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let line = self.lines.recv_timeout(left);
            let line = line.unwrap_or_else(|_| panic!("no `{message}` in {:#?}", self.seen));
            let line: Value = serde_json::from_str(&line).unwrap();
            self.seen.push(line.clone());
            if line["message"].as_str().unwrap().starts_with(message) {
                return line;
            }
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for the end; gives the status and every line of the process.
    pub(crate) fn end(mut self) -> (ExitStatus, Vec<Value>) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => self.seen.push(serde_json::from_str(&line).unwrap()),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(_) => panic!("still running after {PATIENCE:?}: {:#?}", self.seen),
            }
        }
        (self.child.wait().unwrap(), std::mem::take(&mut self.seen))
    }

    /// The exposition of its metrics.
    pub(crate) fn metrics(&self) -> String {
        get(&self.admin, "/metrics").body
    }

    /// The value of one sample, by all that is before the value.
    pub(crate) fn sample(&self, sample: &str) -> Option<f64> {
        let metrics = self.metrics();
        let line = metrics.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '));
        line.map(|value| value.parse().unwrap())
    }

    /// Its memory.
    pub(crate) fn resident_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// The detail of its health.
    pub(crate) fn health(&self) -> Value {
        serde_json::from_str(&get(&self.admin, "/health").body).unwrap()
    }
}

impl Drop for Patient {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// An answer of HTTP/1.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

/// One connection, spoken to byte by byte.
pub(crate) struct Connection(BufReader<TcpStream>);

impl Connection {
    pub(crate) fn open(address: &str) -> std::io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self(BufReader::new(stream)))
    }

    pub(crate) fn send(&mut self, text: &str) -> std::io::Result<()> {
        self.0.get_mut().write_all(text.as_bytes())
    }

    pub(crate) fn ask(
        &mut self,
        method: &str,
        path: &str,
        headers: &str,
    ) -> std::io::Result<Answer> {
        self.send(&format!("{method} {path} HTTP/1.1\r\nHost: test\r\n{headers}\r\n"))?;
        self.answer()
    }

    pub(crate) fn answer(&mut self) -> std::io::Result<Answer> {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if self.0.read_line(&mut head)? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
        }
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            name.eq_ignore_ascii_case("content-length").then(|| value.parse::<usize>().unwrap())
        });
        let mut body = vec![0; length.unwrap_or_default()];
        self.0.read_exact(&mut body)?;
        let status = head[9..12].parse().unwrap();
        Ok(Answer { status, head, body: String::from_utf8(body).unwrap() })
    }
}

pub(crate) fn get(address: &str, path: &str) -> Answer {
    ask(address, "GET", path)
}

pub(crate) fn ask(address: &str, method: &str, path: &str) -> Answer {
    Connection::open(address).unwrap().ask(method, path, "").unwrap()
}

/// Waits until `condition` holds.
pub(crate) fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::park_timeout(Duration::from_millis(10));
    }
}
