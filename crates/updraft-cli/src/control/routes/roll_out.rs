//! `POST /v1/roll-out`: the manifest is read anew, by the supervisor itself.

use std::time::Duration;

use hyper::Request;
use hyper::body::Incoming;
use updraft_engine::{Engine, RollOut, RollOutOptions, RunTarget, Source};
use updraft_system::release::ReleaseNumber;
use updraft_system::{LogSource, Name, RollOutEvent, RollOutOutcome, RollOutRequest};

use super::super::line_stream::{LineSender, LineStream};
use super::{Answer, Refusal, Routes, body_or_default, stream};
use crate::failure::{Class, Failure};
use crate::released;
use crate::system_dir::SystemDir;

use hyper::StatusCode;

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
        let roll_out =
            self.engine.roll_out(source, RollOutOptions { services, plan, all, deadline });
        let seen = Seen { engine: self.engine.clone(), release };
        Ok(stream(LineStream::new(slot, |lines| send(roll_out, seen, lines))))
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
struct Seen {
    engine: Engine,
    release: Option<u64>,
}

async fn send(mut roll_out: RollOut, seen: Seen, lines: LineSender) {
    while let Some(event) = roll_out.next().await {
        let event =
            event.unwrap_or_else(|error| RollOutEvent::Refused(*Refusal::from(error).problem));
        if let RollOutEvent::Ended(end) = &event
            && end.outcome == RollOutOutcome::Done
            && let Err(error) = seen.engine.remember_release(seen.release)
        {
            let source = LogSource::new(Name::roll_out(), Name::roll_out(), 1);
            seen.engine.logs().notice(&source, &error.to_string());
        }
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
