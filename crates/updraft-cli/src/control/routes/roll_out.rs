//! `POST /v1/roll-out`: the manifest is read anew, by the supervisor itself.

use std::time::Duration;

use hyper::Request;
use hyper::body::Incoming;
use updraft_engine::{RollOut, RollOutOptions, Source};
use updraft_system::{RollOutEvent, RollOutRequest};

use super::super::line_stream::{LineSender, LineStream};
use super::{Answer, Refusal, Routes, body_or_default, stream};
use crate::failure::{Class, Failure};
use crate::system_dir::SystemDir;

use hyper::StatusCode;

impl Routes {
    pub(super) async fn roll_out(self, request: Request<Incoming>) -> Answer {
        let RollOutRequest { services, plan, all, deadline_ms } = body_or_default(request).await?;
        let found = SystemDir::at(self.engine.directory()).map_err(refusal)?;
        let system = found.system().map_err(refusal)?;
        let source = Source::Tree { system, directory: self.engine.directory().to_owned() };
        let deadline = deadline_ms.map(Duration::from_millis);
        let slot = self.slot()?;
        let roll_out =
            self.engine.roll_out(source, RollOutOptions { services, plan, all, deadline });
        Ok(stream(LineStream::new(slot, |lines| send(roll_out, lines))))
    }
}

async fn send(mut roll_out: RollOut, lines: LineSender) {
    while let Some(event) = roll_out.next().await {
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
