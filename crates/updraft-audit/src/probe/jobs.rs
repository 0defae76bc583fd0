//! `VIII.jobs`: no job is lost when a worker is killed.
//!
//! Any program can be judged whose service is asked for a job by one request and says by another
//! that it is done. A worker is stopped first (SIGSTOP): what the others leave undone is in its
//! hands, and only then it is killed. So a kill that met no job is never taken for a proof.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;
use tokio::task::JoinSet;
use updraft_system::{Resource, ResourceKind};

use super::{Bench, Control, Dynamic, Looking, unready};
use crate::catalogue::ProbeId;
use crate::control::{self, Behaviour};
use crate::journey::{Client, first_read_after_write};
use crate::lab::{Address, Running, Setup};
use crate::report::{Lane, Moment};
use crate::seen::Seen;
use crate::subject::{Ask, Dependency, DependencyKind, Jobs, Serves, Step, Subject};
use crate::verdict::Verdict;

pub(super) const JOBS: Dynamic = Dynamic {
    id: ProbeId::ViiiJobs,
    applies,
    look: |bench| -> Looking { Box::pin(look(bench)) },
    needs: &[],
    controls: &[
        Control::new(&[Behaviour::Works], Verdict::Pass).with(with_queue),
        Control::new(&[Behaviour::WorksForgetful], Verdict::Fail).with(with_queue),
    ],
};

/// So many workers.
const WORKERS: usize = 3;
/// So many jobs at once.
const JOBS_AT_ONCE: usize = 8;
/// Of jobs that take longer there are as many as workers.
const SLOW: Duration = Duration::from_secs(1);
/// How often a worker is stopped in the hope that it holds a job.
const ROUNDS: usize = 6;
/// So many workers are killed with jobs in hand before it is said that none is lost: on a busy
/// machine one kill may meet a job that nobody has taken yet.
const KILLS: usize = 2;
/// How long one request may take.
const QUESTION: Duration = Duration::from_secs(5);
/// How long the first job may take.
const FIRST_WITHIN: Duration = Duration::from_secs(20);
/// How long a job must stay undone where nobody works.
const IDLE: Duration = Duration::from_millis(700);
/// From one look at the jobs to the next.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// The others have done what they can when nothing more is done for so long, and for twice as
/// long as a job takes.
const QUIET: Duration = Duration::from_secs(1);
/// What is said how often a job was done, if the journey saves it.
const TIMES: &str = "times";

fn applies(subject: &Subject) -> Result<(), Seen> {
    if !subject.needs_queue() {
        return Err(Seen::not_applicable("it needs no queue"));
    }
    if subject.serves == Serves::Http {
        return Err(Seen::not_applicable("it serves requests: its service's workers are judged"));
    }
    match &subject.jobs {
        Some(jobs) if first_read_after_write(&jobs.steps).is_some() => Ok(()),
        _ => Err(unseen(subject)),
    }
}

fn unseen(subject: &Subject) -> Seen {
    Seen::unknown(format!(
        "jobs cannot be put in and counted from outside: a journey of [check.{}] that enqueues \
         one through the `web` of its service, and reads that it is done, would show it",
        subject.name
    ))
}

/// Gives a control a queue, and a program to be asked for jobs.
fn with_queue(subject: &mut Subject) {
    let Ok(name) = "files".parse() else { return };
    let name: updraft_system::Name = name;
    let kind = DependencyKind::Resource(Resource { name: name.clone(), kind: ResourceKind::Blob });
    let variables = vec![control::QUEUE.to_owned()];
    subject.needs.push(Dependency { name, variables, kind });
    let mut web = subject.clone();
    if let Some(words) = web.argv.last_mut() {
        Behaviour::Enqueues.as_str().clone_into(words);
    }
    let step = |method: &str, json: Option<&str>, expect| Step {
        ask: Ask {
            method: method.to_owned(),
            path: "/items/{unique}".to_owned(),
            json: json.map(str::to_owned),
        },
        expect: Some(expect),
        save: BTreeMap::new(),
        matches: BTreeMap::new(),
    };
    let steps = vec![step("PUT", Some("{}"), 201), step("GET", None, 200)];
    subject.jobs = Some(Jobs { web: Box::new(web), steps, lease: control::LEASE });
    subject.serves = Serves::Nothing;
}

/// The program that is asked, and its workers.
struct Yard<'a> {
    bench: &'a Bench,
    jobs: &'a Jobs,
    web: Running,
    workers: Vec<Running>,
    /// How long a job takes from its request on.
    usual: Duration,
}

/// One job that was acknowledged.
struct Asked {
    client: Client,
    done: bool,
}

/// What became of jobs that killed workers held.
#[derive(Debug, Default)]
struct Outcome {
    jobs: usize,
    /// Workers that were killed with jobs in hand.
    kills: usize,
    held: usize,
    lost: usize,
    /// More than once.
    repeated: Option<u64>,
    within: Duration,
    /// A job takes so long that a lease may be over before the others are done.
    slow: bool,
}

impl Outcome {
    /// With what came of one more round.
    fn and(self, next: Self) -> Self {
        Self {
            jobs: self.jobs + next.jobs,
            kills: self.kills + next.kills,
            held: self.held + next.held,
            lost: self.lost + next.lost,
            repeated: match (self.repeated, next.repeated) {
                (Some(before), Some(now)) => Some(before + now),
                (before, now) => before.or(now),
            },
            within: next.within,
            slow: self.slow || next.slow,
        }
    }

    fn is_proof(&self) -> bool {
        0 < self.lost || KILLS <= self.kills
    }
}

async fn look(bench: Bench) -> Seen {
    let Some(jobs) = &bench.subject.jobs else { return unseen(&bench.subject) };
    let mut yard = match Yard::open(&bench, jobs).await {
        Ok(yard) => yard,
        Err(seen) => return seen,
    };
    let judged = yard.rounds().await;
    let timeline = yard.close().await;
    let mut seen = match judged {
        Ok(outcome) => verdict(&outcome),
        Err(reason) => Seen::unknown(reason),
    };
    seen.timeline = timeline;
    match &bench.subject.build {
        None => seen,
        Some(building) => {
            let directory = building.directory.to_string_lossy();
            let (directory, name) = (shell_words::quote(&directory), &bench.subject.name);
            seen.reproduced_by(format!("updraft -C {directory} check {name} --only VIII.jobs"))
        }
    }
}

fn verdict(outcome: &Outcome) -> Seen {
    let Outcome { jobs, kills, held, lost, repeated, within, slow } = outcome;
    let seconds = within.as_secs_f64();
    let killed = match kills {
        1 => "one was killed".to_owned(),
        kills => format!("{kills} were killed"),
    };
    let told = match repeated {
        None => String::new(),
        Some(0) => "; none was seen done twice".to_owned(),
        Some(count) => format!("; {count} times one was done again, as it may"),
    };
    let seen = match (held, lost) {
        (0, _) if *slow => Seen::unknown(format!(
            "its jobs take too long to be seen in the hands of one worker: the others have them \
             when the lease of {seconds:.0} s is over"
        )),
        (0, _) => Seen::unknown(format!(
            "in {ROUNDS} attempts the worker that was to be killed held none of {jobs} jobs: \
             they are done too fast"
        )),
        (held, 0) => Seen::pass(format!(
            "{jobs} jobs, {WORKERS} workers; {killed} with {held} in hand, and all were done{told}"
        )),
        (held, lost) => Seen::fail(format!(
            "{jobs} jobs, {WORKERS} workers; {killed} with {held} in hand, and {lost} were \
             not done within {seconds:.0} s"
        )),
    };
    seen.measured("jobs", as_number(*jobs)).measured("lost", as_number(*lost))
}

fn as_number(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::MAX, f64::from)
}

impl<'a> Yard<'a> {
    async fn open(bench: &'a Bench, jobs: &'a Jobs) -> Result<Self, Seen> {
        let unable = |error| Seen::unknown(unready(&error));
        let provided = bench.lab.provide(&bench.subject).await.map_err(unable)?;
        let setup = Setup { provided: Some(provided), ..Setup::new(bench.shape) };
        let web = bench.lab.start(&jobs.web, &setup, bench.patience()).await.map_err(unable)?;
        let usual = FIRST_WITHIN;
        let mut yard = Self { bench, jobs, web, workers: Vec::new(), usual };
        let mut first = yard.ask().await.map_err(Seen::unknown)?;
        tokio::time::sleep(bench.limit(IDLE)).await;
        if yard.is_done(&mut first).await {
            return Err(Seen::unknown(
                "its journey reads the same before any worker runs: it does not show that a job \
                 is done",
            ));
        }
        let worker = || bench.lab.start_beside(&bench.subject, &setup, bench.patience());
        yard.workers.push(worker().await.map_err(unable)?);
        for other in futures_util::future::join_all((1..WORKERS).map(|_| worker())).await {
            yard.workers.push(other.map_err(unable)?);
        }
        let within = bench.limit(FIRST_WITHIN);
        let mut all = vec![first];
        yard.wait(&mut all, within).await;
        let mut timed = vec![yard.ask().await.map_err(Seen::unknown)?];
        let began = Instant::now();
        yard.wait(&mut timed, within).await;
        if !all.iter().chain(&timed).all(|asked| asked.done) {
            let seconds = within.as_secs_f64();
            return Err(Seen::unknown(format!("its workers do no job within {seconds:.0} s")));
        }
        yard.usual = began.elapsed();
        Ok(yard)
    }

    fn split(&self) -> (&'a [Step], &'a [Step]) {
        let steps = &self.jobs.steps;
        steps.split_at(first_read_after_write(steps).unwrap_or(steps.len()))
    }

    /// Enqueues a job.
    async fn ask(&self) -> Result<Asked, String> {
        enqueue(self.split().0.to_vec(), self.web.address(), self.bench.limit(QUESTION)).await
    }

    async fn is_done(&self, asked: &mut Asked) -> bool {
        if !asked.done {
            // What was saved by half of a journey does not count.
            let mut client = asked.client.clone();
            if client.walk(self.split().1, &[self.web.address()]).await.is_ok() {
                (asked.client, asked.done) = (client, true);
            }
        }
        asked.done
    }

    /// Waits until all jobs are done, or for some time.
    async fn wait(&self, all: &mut [Asked], within: Duration) {
        let until = Instant::now() + within;
        while self.undone(all).await > 0 && Instant::now() < until {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    async fn undone(&self, all: &mut [Asked]) -> usize {
        let mut undone = 0;
        for asked in all {
            undone += usize::from(!self.is_done(asked).await);
        }
        undone
    }

    /// Kills workers with jobs in hand until that shows something, or there is no more hope.
    async fn rounds(&mut self) -> Result<Outcome, String> {
        let mut outcome = Outcome::default();
        for round in 0..ROUNDS {
            outcome = outcome.and(self.round(round).await?);
            if outcome.is_proof() {
                break;
            }
        }
        Ok(outcome)
    }

    /// Stops a worker in the middle of jobs and kills it if it holds some.
    async fn round(&mut self, round: usize) -> Result<Outcome, String> {
        let mut asking = JoinSet::new();
        let (write, to) = (self.split().0, self.web.address());
        let within = self.bench.limit(QUESTION);
        // What the others have to do must be done within a lease.
        let jobs = if SLOW < self.usual { self.workers.len() } else { JOBS_AT_ONCE };
        for _ in 0..jobs {
            asking.spawn(enqueue(write.to_vec(), to.clone(), within));
        }
        let mut all = Vec::new();
        if let Some(Ok(asked)) = asking.join_next().await {
            all.push(asked?);
        }
        let usual = u64::try_from(self.usual.as_millis()).unwrap_or(u64::MAX).clamp(1, 2000);
        tokio::time::sleep(Duration::from_millis(fastrand::u64(0..usual))).await;
        let at = round % self.workers.len().max(1);
        self.stop(at, Signal::STOP);
        while let Some(asked) = asking.join_next().await {
            // Whom the stopped one keeps from an answer has acknowledged nothing.
            all.extend(asked.ok().and_then(Result::ok));
        }
        let left = self.settle(&mut all).await;
        if left == 0 {
            self.stop(at, Signal::CONT);
            let slow = self.jobs.lease < self.usual * 3;
            let within = self.jobs.lease;
            return Ok(Outcome { jobs: all.len(), slow, within, ..Outcome::default() });
        }
        self.web.note(Lane::Audit, format!("SIGKILL to a worker; {left} jobs are not done"));
        self.workers.remove(at).end().await;
        let within = self.bench.limit(self.jobs.lease * 2 + self.usual * 3);
        self.wait(&mut all, within).await;
        if let Some(ended) = self.workers.iter_mut().find_map(Running::ended_now) {
            return Err(format!("another worker ended while one stood still: {ended}"));
        }
        let lost = all.iter().filter(|asked| !asked.done).count();
        // One that was done again tells so only now.
        for asked in all.iter_mut().filter(|asked| asked.done) {
            let mut client = asked.client.clone();
            if client.walk(self.split().1, &[self.web.address()]).await.is_ok() {
                asked.client = client;
            }
        }
        let times = |asked: &Asked| asked.client.saved(TIMES).and_then(Value::as_u64);
        let counts: Vec<u64> = all.iter().filter_map(times).collect();
        let repeated = counts.iter().map(|count| count.saturating_sub(1)).sum();
        let repeated = (!counts.is_empty()).then_some(repeated);
        let jobs = all.len();
        Ok(Outcome { jobs, kills: 1, held: left, lost, repeated, within, slow: false })
    }

    /// Waits until the others do nothing more; says how many jobs are left.
    async fn settle(&self, all: &mut [Asked]) -> usize {
        // What is usual was measured here, in this minute; longer than a lease shows nothing.
        let quiet = QUIET.max(self.usual * 2).min(self.jobs.lease / 2);
        let (mut left, mut since) = (self.undone(all).await, Instant::now());
        while left > 0 && since.elapsed() < quiet {
            tokio::time::sleep(LOOK_EVERY).await;
            let now = self.undone(all).await;
            if now < left {
                (left, since) = (now, Instant::now());
            }
        }
        left
    }

    /// Stops a worker with all of its processes, or lets it go on.
    fn stop(&self, at: usize, signal: Signal) {
        let Some(worker) = self.workers.get(at) else { return };
        let what = if signal == Signal::STOP { "SIGSTOP" } else { "SIGCONT" };
        self.web.note(Lane::Audit, format!("{what} to a worker"));
        for process in worker.program() {
            process.signal(signal);
        }
    }

    async fn close(self) -> Vec<Moment> {
        for worker in self.workers {
            worker.end().await;
        }
        self.web.end().await
    }
}

async fn enqueue(steps: Vec<Step>, to: Address, within: Duration) -> Result<Asked, String> {
    let mut client = Client::new(within);
    match client.walk(&steps, &[to]).await {
        Ok(_) => Ok(Asked { client, done: false }),
        Err(broken) => Err(format!("no job can be enqueued: {broken}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kill_that_met_no_job_is_no_proof() {
        let outcome = |held, lost| Outcome { jobs: 8, kills: 1, held, lost, ..Outcome::default() };
        assert_eq!(verdict(&outcome(0, 0)).verdict, Verdict::Unknown);
        assert_eq!(verdict(&outcome(1, 0)).verdict, Verdict::Pass);
        assert_eq!(verdict(&outcome(2, 1)).verdict, Verdict::Fail);
        let slow = Outcome { slow: true, ..outcome(0, 0) };
        assert!(verdict(&slow).evidence.contains("too long"), "{slow:?}");
        let both = outcome(1, 0).and(Outcome::default()).and(outcome(2, 0));
        assert!(both.is_proof() && !outcome(1, 0).is_proof() && outcome(1, 1).is_proof());
        assert!(verdict(&both).evidence.starts_with("16 jobs"), "{both:?}");
        assert!(verdict(&both).evidence.contains("2 were killed with 3 in hand"), "{both:?}");
        let twice = Outcome { repeated: Some(2), ..outcome(1, 0) };
        assert!(verdict(&twice).evidence.contains("2 times"), "{twice:?}");
    }
}
