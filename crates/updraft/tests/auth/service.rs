//! The example `contract` as a real process that verifies tokens of a provider.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::provider::Provider;

/// How long a test waits for anything: long enough for a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until something holds.
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

/// A process. Dropped, it is killed.
pub(crate) struct Service {
    child: Child,
    address: String,
}

impl Service {
    /// A process that listens; whether it is ready is another question.
    pub(crate) fn start(provider: &Provider, variables: &[(&str, &str)]) -> Self {
        let mut path = std::env::current_exe().unwrap();
        path.pop();
        path.pop();
        let mut command = Command::new(path.join("examples/contract"));
        command.arg("web").env_clear().stdout(Stdio::piped());
        command.envs([("PORT", "0"), ("DRAIN_DELAY", "0s"), ("AUTH_AUDIENCE", "library")]);
        command.env("AUTH_ISSUER", &provider.url).envs(variables.iter().copied());
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let address = loop {
            let line: serde_json::Value =
                serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
            if line["message"] == "listening" && line["address"].is_string() {
                break line["address"].as_str().unwrap().to_owned();
            }
        };
        // Nobody else reads what it writes from now on.
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        Self { child, address }
    }

    /// Whether it is ready: 200 or 503.
    pub(crate) fn ready(&self) -> u16 {
        self.status("GET /readyz", "", "")
    }

    /// What an operation that needs a scope answers to who has this token.
    pub(crate) fn shelve(&self, token: &str) -> u16 {
        let body = r#"{ "title": "Kites", "pageCount": 7 }"#;
        self.status("POST /v1/books", &format!("Authorization: Bearer {token}\r\n"), body)
    }

    fn status(&self, what: &str, headers: &str, body: &str) -> u16 {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let length = body.len();
        let head = format!(
            "{what} HTTP/1.1\r\nHost: library\r\nConnection: close\r\n{headers}\
             Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
        );
        stream.write_all((head + body).as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer[9..12].parse().unwrap()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
