//! A server of queues that goes away in all the ways it can, under a worker and a load of new
//! jobs: the worker lives, says what is wrong, and goes on by itself; no job is lost.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;
use updraft::testing::Server;
use updraft::testing::server::Kind;
use updraft::{Job, Queue};

use crate::fleet::{Fleet, PATIENCE, runtime};

#[derive(Job, Serialize, Deserialize)]
struct Note {
    pause_ms: u64,
}

/// Status and body of an answer of the admin listener.
fn get(address: &str, path: &str) -> std::io::Result<(u16, String)> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let (head, body) = text.split_once("\r\n\r\n").ok_or(std::io::ErrorKind::InvalidData)?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    Ok((status.ok_or(std::io::ErrorKind::InvalidData)?, body.to_owned()))
}

/// Waits until the worker is ready, or no longer is.
fn wait_for_ready(admin: &str, wanted: bool, when: &str) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let answer = get(admin, "/readyz");
        if answer.as_ref().is_ok_and(|(status, _)| (*status == 200) == wanted) {
            return;
        }
        assert!(Instant::now() < deadline, "{when}: {answer:?}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

/// Enqueues jobs and asks whether the worker lives, until it is told to end.
struct Load {
    end: Arc<AtomicBool>,
    /// Jobs of which the queue said that it keeps them.
    kept: Arc<Mutex<BTreeSet<String>>>,
    producer: JoinHandle<()>,
    /// How often the worker was found alive; it always has to be.
    witness: std::thread::JoinHandle<u64>,
}

impl Load {
    fn on(queue: &Queue, admin: &str) -> Self {
        let end: Arc<AtomicBool> = Arc::default();
        let kept: Arc<Mutex<BTreeSet<String>>> = Arc::default();
        let (queue, admin) = (queue.clone(), admin.to_owned());
        let (until, ids) = (Arc::clone(&end), Arc::clone(&kept));
        let producer = tokio::spawn(async move {
            while !until.load(Ordering::SeqCst) {
                match queue.push(Note { pause_ms: 0 }).await {
                    Ok(job) => drop(ids.lock().unwrap().insert(job.id().to_string())),
                    // Most of them wait until the server is back.
                    Err(error) => assert!(error.is_temporary(), "{error:?}"),
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        let until = Arc::clone(&end);
        let witness = std::thread::spawn(move || {
            let mut seen = 0;
            while !until.load(Ordering::SeqCst) {
                let (status, body) = get(&admin, "/livez").unwrap();
                assert_eq!(status, 200, "{body}");
                seen += 1;
                std::thread::park_timeout(Duration::from_millis(5));
            }
            seen
        });
        Self { end, kept, producer, witness }
    }

    fn count(&self) -> usize {
        self.kept.lock().unwrap().len()
    }

    async fn end(self) -> BTreeSet<String> {
        self.end.store(true, Ordering::SeqCst);
        self.producer.await.unwrap();
        let looks = tokio::task::spawn_blocking(|| self.witness.join().unwrap()).await.unwrap();
        assert!(20 < looks, "{looks}");
        std::mem::take(&mut *self.kept.lock().unwrap())
    }
}

#[test]
fn nats_stopped_killed_and_stalled_under_a_worker_costs_readiness_and_no_job() {
    let server = Server::start(Kind::Nats).unwrap();
    runtime().block_on(async {
        let mut fleet = Fleet::on_server(&server, "&lease=2s&max_attempts=1000").await;
        for (name, value) in
            [("ADMIN_PORT", "0"), ("READY_NEEDS", "jobs"), ("HEALTH_INTERVAL", "250ms")]
        {
            fleet.set(name, value);
        }
        let mut worker = fleet.start("worker");
        let admin = worker.wait_for("admin listening")["address"].as_str().unwrap().to_owned();
        wait_for_ready(&admin, true, "at the start");
        let load = Load::on(&fleet.queue, &admin);
        for trouble in ["stopped", "killed", "stalled"] {
            let before = load.count();
            wait_until("jobs come in", || before + 20 <= load.count());
            match trouble {
                "stopped" => server.stop().unwrap(),
                "killed" => server.kill().unwrap(),
                _ => server.stall().unwrap(),
            }
            wait_for_ready(&admin, false, trouble);
            assert_eq!(get(&admin, "/readyz").unwrap().1, "jobs is down\n", "{trouble}");
            match trouble {
                "stalled" => server.resume().unwrap(),
                _ => server.restart().unwrap(),
            }
            wait_for_ready(&admin, true, trouble);
        }
        let before = load.count();
        wait_until("jobs come in again", || before + 20 <= load.count());
        let kept = load.end().await;
        fleet.until("all of them done", |counts| counts.waiting + counts.leased == 0).await;
        let done: BTreeSet<String> = fleet.done("note").await.into_iter().collect();
        let lost: Vec<_> = kept.difference(&done).collect();
        assert!(lost.is_empty(), "lost of {}: {lost:?}", kept.len());
        worker.signal(Signal::TERM);
        assert_eq!(worker.end().0.code(), Some(0));
    });
}
