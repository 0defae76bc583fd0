//! The verb `jobs`: what it prints, and what it does.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use updraft::{Job, JobState};

use crate::fleet::{Fleet, everywhere};

#[derive(Job, Serialize, Deserialize)]
#[job(attempts = 1)]
struct Fails;

#[derive(Job, Serialize, Deserialize)]
struct Note {
    pause_ms: u64,
}

/// What the verb prints, and whether it succeeded.
fn jobs(fleet: &Fleet, arguments: &[&str]) -> (String, bool) {
    let arguments: Vec<_> = ["jobs"].iter().chain(arguments).copied().collect();
    let output = fleet.command(&arguments).output().unwrap();
    (String::from_utf8(output.stdout).unwrap(), output.status.success())
}

/// The JSON that the verb prints.
fn json(fleet: &Fleet, arguments: &[&str]) -> Value {
    let (text, success) = jobs(fleet, &[arguments, &["--json"]].concat());
    assert!(success, "{text}");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn dead_jobs_are_listed_shown_taken_up_and_removed() {
    everywhere(|place| async move {
        let fleet = Fleet::new(place, "").await;
        let worker = fleet.start("worker");
        let first = fleet.queue.push(Fails).await.unwrap().id().to_string();
        let second = fleet.queue.push(Fails).await.unwrap().id().to_string();
        fleet.until("given up", |counts| counts.dead == 2).await;
        worker.kill();
        let waits = fleet.queue.push(Note { pause_ms: 7 }).await.unwrap().id().to_string();

        let dead = json(&fleet, &["ls", "--state", "dead"]);
        let ids: Vec<_> = dead.as_array().unwrap().iter().map(|job| job["id"].clone()).collect();
        assert_eq!(ids, [first.as_str(), second.as_str()]);
        let (table, _) = jobs(&fleet, &["ls"]);
        for word in ["ID", "fails", "dead", "1/1", "doomed", &waits, "waiting"] {
            assert!(table.contains(word), "{table}");
        }
        assert_eq!(table.lines().count(), 4, "{table}");

        let shown = json(&fleet, &["show", &waits]);
        assert_eq!(shown["payload"]["pause_ms"], 7);
        assert_eq!(shown["state"], "waiting");
        let counts = json(&fleet, &["counts"]);
        assert_eq!((&counts["waiting"], &counts["dead"]), (&1.into(), &2.into()));

        assert!(jobs(&fleet, &["retry", &first]).1);
        let job = fleet.queue.find(&first).await.unwrap().unwrap();
        assert_eq!((job.state(), job.attempts()), (JobState::Waiting, 0));
        assert!(!jobs(&fleet, &["retry", &first]).1, "it is not dead any more");
        assert_eq!(json(&fleet, &["retry", "--all-dead"])["jobs"], 1);
        assert_eq!(fleet.counts().await.waiting, 3);

        assert!(jobs(&fleet, &["drop", &second]).1);
        assert!(fleet.queue.find(&second).await.unwrap().is_none());
        assert!(!jobs(&fleet, &["drop", &second]).1);
        assert!(!jobs(&fleet, &["show", "no-such-job"]).1);
    });
}
