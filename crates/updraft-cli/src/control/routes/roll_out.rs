//! `POST /v1/roll-out`: the manifest is read anew, by the supervisor itself.

use std::path::Path;
use std::time::Duration;

use hyper::Request;
use hyper::body::Incoming;
use tokio::sync::mpsc;
use updraft_engine::{CommandError, Engine, RollOut, RollOutOptions, RunTarget, Source};
use updraft_release::{KeyFile, Store, StoreError};
use updraft_system::release::ReleaseNumber;
use updraft_system::{LogSource, Name, RollOutEvent, RollOutOutcome, RollOutRequest};

use super::super::line_stream::{LineSender, LineStream};
use super::{Answer, Refusal, Routes, body_or_default, stream};
use crate::failure::{Class, Failure};
use crate::released;
use crate::system_dir::SystemDir;

use hyper::StatusCode;

/// Events that may wait for their reader; more steps than that are not told.
const EVENTS_WAITING_MAX: usize = 1024;

impl Routes {
    pub(super) async fn roll_out(self, request: Request<Incoming>) -> Answer {
        let request: RollOutRequest = body_or_default(request).await?;
        let RollOutRequest { services, plan, all, deadline_ms, release } = request;
        let found = SystemDir::at(self.engine.directory()).map_err(refusal)?;
        let source = match release {
            Some(number) => Source::Made(self.of_release(number).await?),
            None => {
                let system = found.system().map_err(refusal)?;
                Source::Tree { system, directory: self.engine.directory().to_owned() }
            }
        };
        let deadline = deadline_ms.map(Duration::from_millis);
        let slot = self.slot()?;
        let is_whole = services.is_empty();
        let roll_out =
            self.engine.roll_out(source, RollOutOptions { services, plan, all, deadline });
        let settled = Settled { engine: self.engine.clone(), release, is_whole };
        let (told, events) = mpsc::channel(EVENTS_WAITING_MAX);
        // A roll-out goes on without its reader, and so does what follows from its end.
        tokio::spawn(follow(roll_out, settled, told));
        Ok(stream(LineStream::new(slot, |lines| send(events, lines))))
    }

    /// What a release runs.
    pub(super) async fn of_release(&self, number: u64) -> Result<RunTarget, Refusal> {
        let found = SystemDir::at(self.engine.directory()).map_err(refusal)?;
        let state = found.state().map_err(refusal)?;
        let number: ReleaseNumber = number.to_string().parse().map_err(
            |error: updraft_system::release::InvalidReleaseNumber| {
                refusal(Failure::from_error(Class::Usage, &error))
            },
        )?;
        // Values are decrypted and images unpacked.
        let made = tokio::task::spawn_blocking(move || released::target(&state, number));
        let broken = |error: tokio::task::JoinError| {
            refusal(Failure::environment("the release cannot be read").because(&error))
        };
        made.await.map_err(broken)?.map_err(refusal)
    }
}

/// Who has to know how a roll-out ends.
struct Settled {
    engine: Engine,
    release: Option<u64>,
    /// Every service was rolled out. One by itself changes nothing of what the others run.
    is_whole: bool,
}

impl Settled {
    /// What runs now is what comes back after a crash, and a release that runs is the current one.
    async fn done(&self) {
        if !self.is_whole {
            return;
        }
        if let Err(error) = self.engine.remember_release(self.release) {
            self.notice(&error.to_string());
        }
        let Some(number) = self.release else { return };
        let directory = self.engine.directory().to_owned();
        let current = tokio::task::spawn_blocking(move || make_current(&directory, number)).await;
        if !matches!(current, Ok(Ok(()))) {
            self.notice(&format!("release {number} runs and could not be made the current one"));
        }
    }

    fn notice(&self, text: &str) {
        let source = LogSource::new(Name::roll_out(), Name::roll_out(), 1);
        self.engine.logs().notice(&source, text);
    }
}

fn make_current(directory: &Path, number: u64) -> Result<(), Failure> {
    let state = SystemDir::at(directory)?.state()?;
    let store = Store::open(state.releases(), KeyFile::locate().map_err(StoreError::from)?)?;
    let number: ReleaseNumber = number.to_string().parse().map_err(
        |error: updraft_system::release::InvalidReleaseNumber| {
            Failure::from_error(Class::Usage, &error)
        },
    )?;
    store.set_current(number)?;
    Ok(())
}

async fn follow(
    mut roll_out: RollOut,
    settled: Settled,
    told: mpsc::Sender<Result<RollOutEvent, CommandError>>,
) {
    while let Some(event) = roll_out.next().await {
        match &event {
            Ok(RollOutEvent::Ended(end)) => {
                if matches!(end.outcome, RollOutOutcome::Done | RollOutOutcome::Unchanged) {
                    settled.done().await;
                }
                drop(told.send(event).await);
            }
            Err(_) => drop(told.send(event).await),
            // Steps that nobody reads hold nothing up.
            Ok(_) => drop(told.try_send(event)),
        }
    }
}

async fn send(mut events: mpsc::Receiver<Result<RollOutEvent, CommandError>>, lines: LineSender) {
    while let Some(event) = events.recv().await {
        let event =
            event.unwrap_or_else(|error| RollOutEvent::Refused(*Refusal::from(error).problem));
        lines.send(&event).await;
    }
}

/// Why there is nothing that could be rolled out.
fn refusal(failure: Failure) -> Refusal {
    let (class, detail) = match failure {
        Failure::Said(said) => {
            let causes: String = said.causes.iter().map(|cause| format!(": {cause}")).collect();
            (said.class, format!("{}{causes}", said.message))
        }
        Failure::Manifest(problems) => (Class::Usage, problems.to_text()),
        Failure::Config(problems) => (Class::Usage, problems.to_text()),
        Failure::ReaderGone => (Class::Finding, "the manifest cannot be read".to_owned()),
    };
    Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, "refused", class, detail)
}
