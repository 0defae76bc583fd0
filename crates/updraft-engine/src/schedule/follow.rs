//! Follows one schedule through time.

use std::time::Duration;

use jiff::Timestamp;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::line::{Line, Step};

/// The longest sleep: by then the clock of the machine may have been set, or the machine
/// itself been asleep.
const SLEEP_MOST: Duration = Duration::from_secs(30);

/// What a schedule is followed in.
pub(crate) trait Surroundings {
    /// The time of the wall.
    fn now(&self) -> Timestamp;

    /// Runs the task to its end, however that comes.
    fn run(&self, due: Timestamp) -> impl Future<Output = ()> + Send + 'static;

    /// Keeps where the schedule stands. What is due is started only after that, so that a
    /// crash never runs a time twice.
    fn keep(&self, line: &Line);

    /// Tells people what became of a time.
    fn tell(&self, text: &str);
}

/// Runs what is due, for ever. When it is dropped, runs that go on are let go on.
pub(crate) async fn follow(mut line: Line, around: impl Surroundings) {
    let mut runs = Runs(JoinSet::new());
    let mut is_kept = false;
    loop {
        let steps = line.look(around.now());
        // Between two times nothing changes that a crash could lose.
        if !is_kept || !steps.is_empty() {
            around.keep(&line);
            is_kept = true;
        }
        for step in steps {
            match step {
                Step::Start(due) => drop(runs.0.spawn(around.run(due))),
                other => around.tell(&in_words(&other)),
            }
        }
        let left = line.next().map(|next| around.now().duration_until(next));
        let left = left.map_or(SLEEP_MOST, |left| Duration::try_from(left).unwrap_or_default());
        // Just after the time, never just before it.
        let rest = left.min(SLEEP_MOST) + Duration::from_millis(1);
        tokio::select! {
            () = sleep(rest) => {}
            Some(_) = runs.0.join_next() => {
                if let Some(due) = line.ended() {
                    around.keep(&line);
                    drop(runs.0.spawn(around.run(due)));
                }
            }
        }
    }
}

/// Runs end in their own order: a task that is cut off has its time to clean up.
struct Runs(JoinSet<()>);

impl Drop for Runs {
    fn drop(&mut self) {
        self.0.detach_all();
    }
}

fn in_words(step: &Step) -> String {
    match step {
        Step::Start(due) => format!("{due} runs"),
        Step::Wait(due) => format!("{due} waits: the run before still goes on"),
        Step::Overlaps(due) => format!("{due} is left out: the run before still goes on"),
        Step::TooMany(due) => format!("{due} is left out: too many run or wait already"),
        Step::Missed(1) => "1 time has passed while the system did not run".to_owned(),
        Step::Missed(times) => format!("{times} times have passed while the system did not run"),
    }
}

#[cfg(test)]
#[path = "follow_tests.rs"]
mod tests;
