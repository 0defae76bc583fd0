//! The example `storm` shows what it is there to show, and leaves no process behind however
//! it ends.

#![cfg(all(target_os = "linux", feature = "tokio"))]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

struct Storm {
    process: Child,
    /// Held open: a storm whose reader goes away ends by itself.
    output: BufReader<ChildStdout>,
}

impl Storm {
    /// Starts the example beside this test: `cargo test` builds both.
    fn start() -> Self {
        let test = std::env::current_exe().unwrap();
        let profile = test.ancestors().nth(2).unwrap();
        let program = profile.join("examples/storm");
        assert!(program.exists(), "cargo build -p updraft-resilience --example storm");
        let mut command = Command::new(program);
        let mut process = command.arg("--fast").stdout(Stdio::piped()).spawn().unwrap();
        let output = BufReader::new(process.stdout.take().unwrap());
        Self { process, output }
    }

    fn read_until(&mut self, text: &str) {
        let mut line = String::new();
        while !line.contains(text) {
            line.clear();
            assert!(self.output.read_line(&mut line).unwrap() > 0, "no line with {text:?}");
        }
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.process.id().try_into().unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// Everything else that it prints, and how it ends.
    fn end(&mut self) -> (String, ExitStatus) {
        let mut rest = String::new();
        self.output.read_to_string(&mut rest).unwrap();
        (rest, self.process.wait().unwrap())
    }

    /// Servers of this storm that are there, whoever their parent is by now.
    fn servers(&self) -> usize {
        let storm = self.process.id().to_string();
        let is_server = |entry: &std::fs::DirEntry| {
            let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let words: Vec<&[u8]> = line.split(|byte| *byte == 0).collect();
            words.windows(2).any(|pair| pair == [b"--serve", storm.as_bytes()])
        };
        std::fs::read_dir("/proc").unwrap().flatten().filter(is_server).count()
    }

    /// The kernel ends them, a moment after their parent.
    fn wait_until_all_have_ended(&self) {
        let begun = Instant::now();
        while self.servers() > 0 {
            assert!(begun.elapsed() < Duration::from_secs(30), "servers are left");
            std::thread::park_timeout(Duration::from_millis(10));
        }
    }
}

impl Drop for Storm {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// The number before the word in a sentence of the summary.
fn number(text: &str, before: &str) -> f64 {
    let (head, _) = text.split_once(before).unwrap_or_else(|| panic!("no {before:?} in {text}"));
    head.rsplit([' ', '\n']).next().unwrap().parse().unwrap()
}

#[test]
fn a_storm_opens_and_closes_the_circuit_and_empties_the_budget() {
    let mut storm = Storm::start();
    let (text, status) = storm.end();
    assert!(status.success(), "{text}");
    assert_eq!(storm.servers(), 0);
    assert!(number(&text, " times and closed") >= 1.0, "it opened: {text}");
    assert!(number(&text, " times.\n") >= 1.0, "it closed: {text}");
    assert!(number(&text, " retries.\n") >= 1.0, "the budget refused: {text}");
    let load = number(&text, " requests for each call");
    let plain = text.trim_end().lines().rev().nth(1).and_then(|line| line.rsplit(' ').next());
    let plain: f64 = plain.unwrap().trim_end_matches('.').parse().unwrap();
    assert!(plain > load * 1.5, "retries only ask more of the target: {text}");
    assert!(!text.contains('\u{1b}'), "no colours in a pipe");
}

#[test]
fn an_interrupted_storm_leaves_nothing_behind() {
    let mut storm = Storm::start();
    storm.read_until("SIGSTOP");
    assert_eq!(storm.servers(), 2);
    storm.signal(Signal::INT);
    let (_, status) = storm.end();
    assert_eq!(status.code(), Some(130));
    assert_eq!(storm.servers(), 0);
}

#[test]
fn stopped_servers_end_with_a_storm_that_is_killed() {
    let mut storm = Storm::start();
    storm.read_until("SIGSTOP");
    storm.signal(Signal::KILL);
    storm.end();
    storm.wait_until_all_have_ended();
}
