//! Where the instrument of an edge acts upon HTTP: before a request is sent, and before the
//! head of its response goes back.

use http::Response;
use tokio::time::Instant;
use updraft_resilience::policy::Attempt;

use super::attempt::{Attempting, Cause};
use crate::instrument::{Connection, Decision, Instrument, Request, Response as Seen};
use crate::pool::{PooledBody, Target};

/// What an instrument makes of an attempt.
pub(super) struct Watched<'a> {
    instrument: &'a Instrument,
    /// Each request counts as a connection of its own.
    connection: Connection,
    deadline: Option<Instant>,
    since: crate::instrument::Epoch,
    method: &'a str,
    path: &'a str,
    bytes: Option<u64>,
}

/// A response, and after how many bytes of its body it is to break off.
pub(super) type Sent = (Response<PooledBody>, Option<u64>);

impl<'a> Watched<'a> {
    pub(super) fn new(attempting: &'a Attempting<'_>, attempt: Attempt) -> Self {
        let instrument = &attempting.edge.instrument;
        Self {
            connection: instrument.open(),
            since: instrument.epoch(),
            deadline: attempt.remaining().and_then(|left| Instant::now().checked_add(left)),
            method: attempting.head.method.as_str(),
            path: attempting.head.uri.path_and_query().map_or("/", |target| target.as_str()),
            bytes: attempting.fields(length),
            instrument,
        }
    }

    fn request(&self) -> Request<'_> {
        Request {
            connection: self.connection.id(),
            since: self.since,
            method: self.method,
            path: self.path,
            bytes: self.bytes,
        }
    }

    /// Sends the request as the instrument wants it.
    pub(super) async fn send(
        &self,
        attempting: &Attempting<'_>,
        attempt: Attempt,
        target: &Target,
    ) -> Result<Sent, Cause> {
        let decision = self.instrument.before_request(&self.request(), self.deadline).await;
        let diverted = match decision {
            Decision::Divert(other) => Some(Target::plain(other, 0, target.protocol())),
            Decision::Cut(_) => return Err(Cause::Cut),
            Decision::TooLate => return Err(Cause::Timeout(std::time::Duration::ZERO)),
            Decision::Pass | Decision::CutAfterRequest(_) | Decision::CutMidResponse(..) => None,
        };
        let target = diverted.as_ref().unwrap_or(target);
        let sent = attempting.worker.pool.send(target, attempting.request(attempt, target));
        let response = sent.await.map_err(Cause::Send)?;
        if matches!(decision, Decision::CutAfterRequest(_)) {
            return Err(Cause::Cut);
        }
        let seen = Seen { status: response.status().as_u16(), bytes: length(response.headers()) };
        match self.instrument.before_response(&self.request(), &seen, self.deadline).await {
            Decision::Cut(_) => Err(Cause::Cut),
            Decision::TooLate => Err(Cause::Timeout(std::time::Duration::ZERO)),
            Decision::CutMidResponse(_, after) => Ok((response, Some(after))),
            Decision::Pass | Decision::Divert(_) | Decision::CutAfterRequest(_) => {
                Ok((response, None))
            }
        }
    }
}

fn length(headers: &http::HeaderMap) -> Option<u64> {
    headers.get(http::header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}
