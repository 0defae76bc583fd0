//! `kill -9` in the middle of a payment: whoever sends it again pays once.

use std::time::Instant;

use updraft::testing::server::Kind;

use crate::fleet::{Answer, Fleet, PATIENCE, Process, pay};

/// Processes that are killed under load; more with `UPDRAFT_IDEMPOTENCY_KILLS`.
const KILLS: usize = 4;

/// Payments that are under way when a process is killed.
const AT_ONCE: usize = 6;

const KINDS: [Option<Kind>; 2] = [None, Some(Kind::Postgres)];

/// Pays until there is an answer.
fn paid(address: &str, account: &str) -> Answer {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match pay(address, account, 5) {
            // The lease of the process that was killed is not over.
            Some(Answer { status: 409, .. }) | None => {
                assert!(Instant::now() < deadline, "{account} is never paid");
                std::thread::park_timeout(std::time::Duration::from_millis(50));
            }
            Some(answer) => return answer,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payment_whose_process_was_killed_is_made_once_before_and_after_its_commit() {
    for kind in KINDS {
        let fleet = Fleet::new(kind).await;
        for (place, payments, is_replayed) in [("before", 0, false), ("after", 1, true)] {
            let mut process = fleet.start(&[("STOP", place)]);
            let address = process.address.clone();
            let asked = std::thread::spawn(move || pay(&address, place, 5));
            process.wait_for("stopped at");
            process.kill();
            assert_eq!(asked.join().unwrap(), None);
            assert_eq!(fleet.payments(place).await, payments, "{place}");

            let process = fleet.start(&[]);
            let answer = paid(&process.address, place);
            assert_eq!((answer.status, answer.is_replayed), (201, is_replayed), "{place}");
            assert_eq!(fleet.payments(place).await, 1, "{place}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn payments_under_way_when_processes_are_killed_are_made_once_each() {
    let kills = std::env::var("UPDRAFT_IDEMPOTENCY_KILLS").ok();
    let kills = kills.map_or(KILLS, |it| it.parse().unwrap());
    for kind in KINDS {
        let fleet = Fleet::new(kind).await;
        let mut process: Process = fleet.start(&[]);
        for round in 0..kills {
            let address = process.address.clone();
            let (sender, answered) = std::sync::mpsc::sync_channel(AT_ONCE);
            let asked: Vec<_> = (0..AT_ONCE)
                .map(|number| {
                    let (address, sender) = (address.clone(), sender.clone());
                    std::thread::spawn(move || {
                        let answer = pay(&address, &format!("{round}-{number}"), 5);
                        sender.send(()).unwrap();
                        answer
                    })
                })
                .collect();
            // At another moment in each round: some are answered, some are on their way.
            (0..round % AT_ONCE).for_each(|_| answered.recv().unwrap());
            process.kill();
            let answers: Vec<_> = asked.into_iter().map(|it| it.join().unwrap()).collect();
            process = fleet.start(&[]);
            for (number, before) in answers.into_iter().enumerate() {
                let account = format!("{round}-{number}");
                let answer = paid(&process.address, &account);
                assert_eq!(answer.status, 201, "{account}: {answer:?}");
                if let Some(before) = before.filter(|it| it.status == 201) {
                    assert_eq!(answer, Answer { is_replayed: true, ..before }, "{account}");
                }
                assert_eq!(fleet.payments(&account).await, 1, "{account}");
            }
        }
    }
}
