//! Schedules in a time that is made here.

use std::sync::{Arc, Mutex};

use jiff::SignedDuration;
use tokio::time::Instant;
use updraft_system::{TaskMissed, TaskOverlap, TaskSchedule};

use super::*;

/// A day whose runs take a fixed time; it notes what begins and ends, and when.
#[derive(Clone)]
struct Day {
    begun: Timestamp,
    instant: Instant,
    takes: Duration,
    notes: Arc<Mutex<Vec<String>>>,
    kept: Arc<Mutex<Vec<Timestamp>>>,
}

impl Day {
    fn at(begun: &str, takes: u64) -> Self {
        Self {
            begun: begun.parse().unwrap(),
            instant: Instant::now(),
            takes: Duration::from_secs(takes),
            notes: Arc::default(),
            kept: Arc::default(),
        }
    }

    fn clock(&self) -> Timestamp {
        self.begun + SignedDuration::try_from(self.instant.elapsed()).unwrap()
    }

    fn note(&self, text: &str) {
        let time = self.clock().strftime("%H:%M").to_string();
        self.notes.lock().unwrap().push(format!("{time} {text}"));
    }

    /// Follows a schedule for so long; gives what was noted.
    async fn of(self, schedule: TaskSchedule, considered: &str, minutes: u64) -> Vec<String> {
        let line = Line::new("s.t", &schedule, considered.parse().unwrap()).unwrap();
        let followed = follow(line, self.clone());
        drop(tokio::time::timeout(Duration::from_secs(60 * minutes), followed).await);
        self.notes.lock().unwrap().clone()
    }
}

impl Surroundings for Day {
    fn now(&self) -> Timestamp {
        self.clock()
    }

    fn run(&self, due: Timestamp) -> impl Future<Output = ()> + Send + 'static {
        let day = self.clone();
        let kept = day.kept.lock().unwrap().last().copied();
        assert!(kept.is_some_and(|kept| due <= kept), "{due} is started before it is kept");
        async move {
            let name = due.strftime("%H:%M").to_string();
            day.note(&format!("begins {name}"));
            sleep(day.takes).await;
            day.note(&format!("ends {name}"));
        }
    }

    fn keep(&self, line: &Line) {
        self.kept.lock().unwrap().push(line.considered());
    }

    fn tell(&self, text: &str) {
        let text = text.replace("2026-05-01T", "").replace(":00Z", "");
        self.note(&text);
    }
}

fn every(every: &str, overlap: TaskOverlap, missed: TaskMissed) -> TaskSchedule {
    TaskSchedule { every: every.to_owned(), timezone: "UTC".to_owned(), overlap, missed }
}

const START: &str = "2026-05-01T10:00:30Z";

#[tokio::test(start_paused = true)]
async fn a_time_at_which_the_run_before_goes_on_is_left_out_waits_or_runs_beside() {
    for (overlap, expected) in [
        (
            TaskOverlap::Skip,
            vec![
                "10:02 begins 10:02",
                "10:04 10:04 is left out: the run before still goes on",
                "10:05 ends 10:02",
                "10:06 begins 10:06",
            ],
        ),
        (
            TaskOverlap::Queue,
            vec![
                "10:02 begins 10:02",
                "10:04 10:04 waits: the run before still goes on",
                "10:05 ends 10:02",
                "10:05 begins 10:04",
                "10:06 10:06 waits: the run before still goes on",
            ],
        ),
        (
            TaskOverlap::Allow,
            vec![
                "10:02 begins 10:02",
                "10:04 begins 10:04",
                "10:05 ends 10:02",
                "10:06 begins 10:06",
                "10:07 ends 10:04",
            ],
        ),
    ] {
        let schedule = every("*/2 * * * *", overlap, TaskMissed::Skip);
        let minutes = if overlap == TaskOverlap::Allow { 7 } else { 6 };
        let notes = Day::at(START, 180).of(schedule, START, minutes).await;
        assert_eq!(notes, expected, "{overlap:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_waits_and_what_runs_beside_is_bounded() {
    for (overlap, most) in [(TaskOverlap::Queue, 17), (TaskOverlap::Allow, 16)] {
        let schedule = every("* * * * *", overlap, TaskMissed::Skip);
        let notes = Day::at(START, 100_000).of(schedule, START, 20).await;
        let left_out = notes.iter().filter(|note| note.contains("too many")).count();
        assert_eq!(left_out, 20 - most, "{overlap:?}: {notes:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_missed_is_left_out_or_runs_once() {
    let missed = "10:00 3 times have passed while the system did not run";
    let last = "2026-05-01T06:30:00Z";
    for (policy, considered, expected) in [
        (
            TaskMissed::Skip,
            last,
            vec!["10:00 3 times have passed while the system did not run", "10:00 begins 10:00"],
        ),
        (TaskMissed::Once, last, vec![missed, "10:00 begins 10:00"]),
        (TaskMissed::Skip, START, vec![]),
        (TaskMissed::Once, START, vec![]),
    ] {
        let schedule = every("0 * * * *", TaskOverlap::Skip, policy);
        let notes = Day::at(START, 600).of(schedule, considered, 1).await;
        assert_eq!(notes, expected, "{policy:?} {considered}");
    }
    // Half an hour late is missed, and no longer late.
    for (policy, expected) in [
        (TaskMissed::Skip, vec!["10:30 4 times have passed while the system did not run"]),
        (TaskMissed::Once, vec![missed.replace("10:00", "10:30").as_str(), "10:30 begins 10:00"]),
    ] {
        let schedule = every("0 * * * *", TaskOverlap::Skip, policy);
        let notes = Day::at("2026-05-01T10:30:00Z", 600).of(schedule, last, 1).await;
        assert_eq!(notes, expected, "{policy:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_back_repeats_nothing() {
    let schedule = every("*/10 * * * *", TaskOverlap::Skip, TaskMissed::Skip);
    let mut line = Line::new("s.t", &schedule, START.parse().unwrap()).unwrap();
    let at = |text: &str| text.parse::<Timestamp>().unwrap();
    assert_eq!(line.look(at("2026-05-01T10:10:01Z")).len(), 1);
    assert_eq!(line.ended(), None);
    assert_eq!(line.look(at("2026-05-01T10:05:00Z")), []);
    assert_eq!(line.look(at("2026-05-01T10:10:02Z")), []);
    assert_eq!(line.look(at("2026-05-01T10:20:00Z")).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_hours_of_a_zone_count_also_when_they_are_turned() {
    // In Berlin 2026-10-25 has half past two twice; the task runs at the first of them.
    let mut schedule = every("30 2 * * *", TaskOverlap::Allow, TaskMissed::Skip);
    schedule.timezone = "Europe/Berlin".to_owned();
    let begun = "2026-10-24T23:00:00Z";
    let notes = Day::at(begun, 1).of(schedule, begun, 27 * 60).await;
    let begins: Vec<_> = notes.iter().filter(|note| note.contains("begins")).collect();
    assert_eq!(begins, ["00:30 begins 00:30", "01:30 begins 01:30"]);
}
