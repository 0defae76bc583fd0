//! A real process of the specimen service, watched from outside.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// How long a test waits for anything: long enough for a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A running process. Dropped, it is killed.
pub(crate) struct Process {
    child: Child,
    lines: Receiver<String>,
    seen: Vec<Value>,
}

/// The command of the specimen with exactly these variables.
pub(crate) fn command(process: &str, variables: &[(&str, &str)]) -> Command {
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    let mut command = Command::new(path.join("examples/specimen"));
    command.arg(process).env_clear().envs(variables.iter().copied());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

impl Process {
    /// A process of this type; of those that end by themselves see `doom` of the specimen.
    pub(crate) fn start(process: &str, variables: &[(&str, &str)]) -> Self {
        Self::of(command(process, variables))
    }

    /// A process of this command.
    pub(crate) fn of(mut command: Command) -> Self {
        command.stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut child = command.spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in stdout.lines() {
                if sender.send(line.unwrap()).is_err() {
                    return;
                }
            }
        });
        Self { child, lines, seen: Vec::new() }
    }

    /// A web process that is ready, and where it listens.
    pub(crate) fn web(variables: &[(&str, &str)]) -> (Self, String) {
        let mut all = vec![("PORT", "0"), ("DRAIN_DELAY", "0s")];
        all.retain(|(name, _)| variables.iter().all(|(other, _)| name != other));
        all.extend_from_slice(variables);
        let mut process = Self::start("web", &all);
        let address = process.wait_for("listening")["address"].as_str().unwrap().to_owned();
        process.wait_for("ready");
        (process, address)
    }

    /// Waits for a line whose message begins like this.
    pub(crate) fn wait_for(&mut self, message: &str) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let line = self.lines.recv_timeout(left);
            let line = line.unwrap_or_else(|_| panic!("no `{message}` in {:#?}", self.seen));
            let line = self.note(&line);
            if line["message"].as_str().unwrap().starts_with(message) {
                return line;
            }
        }
    }

    /// Whether a line whose message begins like this has come since the last look.
    pub(crate) fn has_said(&mut self, message: &str) -> bool {
        while let Ok(line) = self.lines.try_recv() {
            if self.note(&line)["message"].as_str().unwrap().starts_with(message) {
                return true;
            }
        }
        false
    }

    /// Every line must be one JSON object with what every line has.
    fn note(&mut self, line: &str) -> Value {
        let value: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}"));
        for key in ["time", "level", "message", "target", "service", "process"] {
            assert!(value[key].is_string(), "no `{key}`: {line}");
        }
        value["time"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
        self.seen.push(value.clone());
        value
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for the end; gives the status and every line of the process.
    pub(crate) fn end(mut self) -> (ExitStatus, Vec<Value>) {
        let deadline = Instant::now() + PATIENCE;
        // The pipe closes when the process is gone.
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => drop(self.note(&line)),
                Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => break,
                Err(_) => panic!("still running after {PATIENCE:?}: {:#?}", self.seen),
            }
        }
        (self.child.wait().unwrap(), std::mem::take(&mut self.seen))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// One connection, spoken to byte by byte.
pub(crate) struct Connection(BufReader<TcpStream>);

/// An answer of HTTP/1.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn closes(&self) -> bool {
        self.head.to_ascii_lowercase().contains("\r\nconnection: close\r\n")
    }
}

impl Connection {
    pub(crate) fn open(address: &str) -> std::io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self(BufReader::new(stream)))
    }

    pub(crate) fn send(&mut self, text: &str) -> std::io::Result<()> {
        self.0.get_mut().write_all(text.as_bytes())
    }

    pub(crate) fn get(&mut self, path: &str) -> std::io::Result<Answer> {
        self.send(&format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n"))?;
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
        let mut body = vec![0; length.unwrap()];
        self.0.read_exact(&mut body)?;
        let status = head[9..12].parse().unwrap();
        Ok(Answer { status, head, body: String::from_utf8(body).unwrap() })
    }

    /// Waits until the other side closes, and gives what came before that.
    pub(crate) fn rest(&mut self) -> String {
        let mut text = String::new();
        let read = self.0.read_to_string(&mut text);
        // A reset is an end too; having waited in vain is none.
        let in_vain = read.is_err_and(|error| {
            matches!(error.kind(), std::io::ErrorKind::TimedOut | std::io::ErrorKind::WouldBlock)
        });
        assert!(!in_vain, "the other side does not close");
        text
    }
}

pub(crate) fn get(address: &str, path: &str) -> Answer {
    Connection::open(address).unwrap().get(path).unwrap()
}

/// Waits until `condition` holds.
pub(crate) fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}
