//! Ten thousand connections that ask nothing.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::command;
use crate::wire::ask;

const CONNECTIONS: usize = 10_000;

/// Opened at once; more than the kernel's queue holds would only wait.
const AT_ONCE: usize = 500;

/// What one idle connection may cost the server: hyper's two buffers of 8 KiB, and as much
/// again for its task and all that is known of it.
const BYTES_PER_CONNECTION: u64 = 32 * 1024;

/// A process that does not outlive its test.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// The memory of a process, in bytes.
fn resident(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

/// A connection that has asked once and is kept.
async fn kept(address: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: test\r\n\r\n").await.unwrap();
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"hello") {
        let mut buffer = [0; 1024];
        let length = stream.read(&mut buffer).await.unwrap();
        assert!(0 < length, "closed");
        bytes.extend_from_slice(&buffer[..length]);
        assert!(bytes.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&bytes));
    }
    stream
}

#[test]
fn ten_thousand_idle_connections_cost_little_and_others_are_answered() {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum }).unwrap();
    let enough = limit.maximum.is_none_or(|most| CONNECTIONS as u64 + 200 < most);
    assert!(enough, "this test needs more open files: {limit:?}");
    let variables = [("PORT", "0"), ("DRAIN_DELAY", "0s"), ("MAX_CONNECTIONS", "12000")];
    let mut server = Server(command("web", &variables).stderr(Stdio::inherit()).spawn().unwrap());
    let mut lines = BufReader::new(server.0.stdout.take().unwrap()).lines();
    let mut wait_for = |message: &str| loop {
        let line = lines.next().unwrap().unwrap();
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        if line["message"] == message {
            return line;
        }
    };
    let address = wait_for("listening")["address"].as_str().unwrap().to_owned();
    wait_for("ready");
    // Its lines must not stop it.
    let reader = std::thread::spawn(move || lines.map_while(Result::ok).count());

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let before = {
        runtime.block_on(async { drop(kept(&address).await) });
        resident(server.0.id())
    };
    let mut held = Vec::with_capacity(CONNECTIONS);
    runtime.block_on(async {
        while held.len() < CONNECTIONS {
            let opened = (0..AT_ONCE).map(|_| kept(&address));
            held.extend(futures_util::future::join_all(opened).await);
        }
    });
    let each = resident(server.0.id()).saturating_sub(before) / CONNECTIONS as u64;
    assert!(each < BYTES_PER_CONNECTION, "{each} bytes for each connection");
    assert_eq!(ask(&address, "/", &[]).status, 200);
    assert_eq!(ask(&address, "/readyz", &[]).status, 200);

    // And they do not hold the exit up.
    rustix::process::kill_process(
        rustix::process::Pid::from_child(&server.0),
        rustix::process::Signal::TERM,
    )
    .unwrap();
    let began = std::time::Instant::now();
    assert!(server.0.wait().unwrap().success());
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    drop(held);
    reader.join().unwrap();
}
