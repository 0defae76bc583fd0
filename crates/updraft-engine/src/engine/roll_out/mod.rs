//! Replacing what runs without losing a request: a roll-out to another target, and a restart,
//! which is one to the same target.
//!
//! A new copy starts beside the old, in the other slot of its number and at a port of its own.
//! It proves itself, then the gateway is told in one step that it serves and the old does not;
//! the requests to the old end, and only then is it asked to end. What fails before that step
//! has served nobody, so nothing is lost with it; what was replaced before it goes back in the
//! same way.
//!
//! Each runs in a task of its own, so that nobody leaves half of it behind by going away, and
//! ends early when the run is told to stop: the stop finds all that was launched.

mod course;
mod difference;
mod restart;
mod teller;
mod wave;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};
use updraft_system::{Name, RollOutEnd, RollOutEvent, RollOutOutcome, Target};

use super::boot::Building;
use super::error::{Reason, StartError};
use super::{CommandError, Engine, Run, RunTarget, Source};
use course::Course;
use teller::Teller;

/// Events that wait for their reader; further steps are not told to it, its end is.
const EVENTS_WAITING: usize = 4096;
/// How long a roll-out may take that says nothing else.
const DEADLINE: Duration = Duration::from_secs(30 * 60);

/// How a roll-out is done.
#[derive(Clone, Debug, Default)]
pub struct RollOutOptions {
    /// Only these services; empty: all.
    pub services: Vec<Name>,
    /// Only tell what would be done.
    pub plan: bool,
    /// Replace what has not changed as well.
    pub all: bool,
    /// How long the whole may take, counted from now. 30 minutes.
    pub deadline: Option<Duration>,
}

/// A roll-out that goes on, whether somebody follows it or not.
#[derive(Debug)]
pub struct RollOut(mpsc::Receiver<Result<RollOutEvent, CommandError>>);

impl RollOut {
    /// What happens next; an error: it could not begin. `None`: it has ended.
    pub async fn next(&mut self) -> Option<Result<RollOutEvent, CommandError>> {
        self.0.recv().await
    }
}

impl Engine {
    /// Replaces what runs by what `source` says, one service after another in the order of
    /// their dependencies. Returns at once; what happens is told by the [`RollOut`].
    pub fn roll_out(&self, source: Source, options: RollOutOptions) -> RollOut {
        let (events, told) = mpsc::channel(EVENTS_WAITING);
        let run = Arc::clone(&self.0);
        let began = Instant::now();
        let teller = Teller::new(&run, events);
        tokio::spawn(async move {
            let ended = run.roll_out(source, options, &teller, began).await;
            teller.end(ended, began).await;
        });
        RollOut(told)
    }
}

/// How a roll-out went: `None`, it was only planned.
type Went = Result<Option<RollOutEnd>, CommandError>;

impl Run {
    async fn roll_out(
        self: &Arc<Self>,
        source: Source,
        options: RollOutOptions,
        teller: &Teller,
        began: Instant,
    ) -> Went {
        let limit = options.deadline.unwrap_or(DEADLINE);
        let deadline = began + limit;
        let too_late = |_elapsed| CommandError::TooLate(limit);
        self.must_run()?;
        let before = async {
            let one_at_a_time = match self.roll_outs.try_lock() {
                Ok(turn) => turn,
                Err(_held) => {
                    teller.preparing("waits for the roll-out before".to_owned());
                    timeout_at(deadline, self.roll_outs.lock()).await.map_err(too_late)?
                }
            };
            let new = self.make(source, &options, teller, deadline).await?;
            if self.commands.try_lock().is_err() {
                teller.preparing("waits for the command before".to_owned());
            }
            let turn = timeout_at(deadline, self.turn()).await.map_err(too_late)??;
            Ok::<_, CommandError>((one_at_a_time, turn, new))
        };
        let (_one_at_a_time, _turn, new) = match before.await {
            Err(CommandError::Build(_)) if deadline <= Instant::now() => {
                return Err(CommandError::TooLate(limit));
            }
            before => before?,
        };
        let old = self.target();
        self.check(&old, &new)?;
        let mut plan = difference::plan(&old, &new, &self.present(), options.all);
        difference::only(&mut plan, &options.services);
        teller.plan(&plan);
        if options.plan {
            return Ok(None);
        }
        if !difference::is_any(&old, &new, &plan) {
            return Ok(Some(end(RollOutOutcome::Unchanged, None, Vec::new())));
        }
        Course::new(self, teller, old, Arc::new(new), plan, deadline).run().await.map(Some)
    }

    /// What is to run then, whole.
    async fn make(
        &self,
        source: Source,
        options: &RollOutOptions,
        teller: &Teller,
        deadline: Instant,
    ) -> Result<RunTarget, CommandError> {
        let builds = matches!(source, Source::Tree { .. });
        let (mut reasons, chosen) = (Vec::new(), &options.services);
        let mut new = super::whole(source, &self.only, &mut reasons);
        let old = self.target();
        let known = |name: &&Name| {
            new.system.services.contains_key(*name) || old.system.services.contains_key(*name)
        };
        let unknown = chosen.iter().filter(|name| !known(name));
        reasons.extend(unknown.map(|name| Reason::NoService(name.to_string())));
        if !reasons.is_empty() {
            return Err(StartError::of(reasons).into());
        }
        if !chosen.is_empty() {
            new.system.services.retain(|name, _| chosen.contains(name));
        }
        if builds {
            // The end of the run waits for a build as it does for a task.
            let _ongoing = self.tasks.read().await;
            let in_use: Vec<PathBuf> =
                old.parts.values().flat_map(|part| part.paths.clone()).collect();
            let tell = |progress| teller.preparing(format!("builds {progress}"));
            let how = Building { in_use: &in_use, deadline: Some(deadline), tell: &tell };
            self.build_all(&mut new, how).await.map_err(CommandError::Build)?;
        }
        if chosen.is_empty() {
            return Ok(new);
        }
        let chosen = chosen.iter().cloned().collect();
        Ok(old.blend(&new, &chosen))
    }

    /// Whether the one can become the other while it runs.
    fn check(&self, old: &RunTarget, new: &RunTarget) -> Result<(), CommandError> {
        let mut problems = Vec::new();
        if new.system.name != self.name {
            let (name, other) = (&self.name, &new.system.name);
            problems.push(format!("the system is called `{name}` and cannot become `{other}`"));
        }
        for (name, resource) in &new.system.resources {
            if old.system.resources.get(name).is_some_and(|before| before.kind != resource.kind) {
                problems.push(format!(
                    "resource `{name}` changes its kind or version, and resources stay as they \
                     are; stop the system and start it again, or give the new one another name"
                ));
            }
        }
        for service in new.system.services.values() {
            let there = |target: &Target| match target {
                Target::Service(name) => new.system.services.contains_key(name),
                Target::Resource(name) => new.system.resources.contains_key(name),
            };
            let missing = service.needs.iter().filter(|need| !there(&need.target));
            problems.extend(missing.map(|need| {
                let (name, other) = (&service.name, need.target.name());
                format!("`{name}` needs `{other}`, which is not there; roll it out too")
            }));
        }
        if problems.is_empty() { Ok(()) } else { Err(CommandError::CannotRollOut(problems)) }
    }
}

fn end(outcome: RollOutOutcome, reason: Option<String>, lines: Vec<String>) -> RollOutEnd {
    RollOutEnd { outcome, reason, lines, took_ms: 0 }
}
