//! One attempt: an endpoint is chosen, the request is sent, the head of the response comes.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::request::Parts;
use http::{HeaderMap, Request, Response};
use updraft_resilience::Verdict;
use updraft_resilience::policy::Attempt;
use updraft_system::Name;
use updraft_system::mesh::RetryOn;

use super::form;
use super::meaning::Meaning;
use super::watched::{Sent, Watched};
use crate::balance::{Endpoint, NoEndpoint, Outcome, Pick, Want};
use crate::edge::Edge;
use crate::observe::Limit;
use crate::policy::{self, Attempted};
use crate::pool::{self, PooledBody, SendError, Target, UnsentCause};
use crate::replay::{Replay, ReplayBody};
use crate::worker::Worker;

/// How often an attempt chooses anew because its endpoint was withdrawn.
const WITHDRAWN_MAX: u32 = 8;

/// A request that may be attempted more than once.
pub(crate) struct Attempting<'a> {
    pub(crate) worker: &'a Worker,
    pub(crate) edge: &'a Edge,
    pub(crate) version: Option<&'a Name>,
    pub(crate) hash: Option<u64>,
    /// Whether it may run twice.
    pub(crate) is_repeatable: bool,
    /// Whether it asks for another protocol on its connection.
    pub(crate) is_upgrade: bool,
    /// Who needs the fields again once they are sent.
    pub(crate) reuse: Reuse,
    pub(crate) body: Replay,
    /// Without the fields.
    pub(crate) head: Parts,
    pub(crate) tried: Tried,
}

/// Who needs the fields of a request again once an attempt has sent it. Where nobody does the
/// attempt has them, and not a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reuse {
    /// Nobody.
    Never,
    /// Another attempt, but only of what comes back unsent.
    Unsent,
    /// Another attempt or a mirror.
    Always,
}

/// What the attempts so far have come to.
#[derive(Debug, Default)]
pub(crate) struct Tried(Mutex<Past>);

#[derive(Debug, Default)]
struct Past {
    /// The fields of the request.
    headers: HeaderMap,
    endpoints: Vec<Arc<Endpoint>>,
    attempts: u32,
    failure: Option<RetryOn>,
}

/// What an attempt gave.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) response: Response<PooledBody>,
    /// An instrument wants it to break off after so many bytes.
    pub(crate) cut_after: Option<u64>,
    pub(crate) endpoint: Arc<Endpoint>,
    verdict: Verdict,
}

/// Why an attempt gave nothing.
#[derive(Debug, thiserror::Error)]
#[error("an attempt failed")]
pub(crate) struct Failed {
    #[source]
    pub(crate) cause: Cause,
    pub(crate) endpoint: Option<Arc<Endpoint>>,
    verdict: Verdict,
}

/// What went wrong in an attempt.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Cause {
    /// There is nobody to send it to.
    #[error(transparent)]
    NoEndpoint(NoEndpoint),
    /// It could not be sent, or no answer came.
    #[error(transparent)]
    Send(SendError<ReplayBody>),
    /// It took too long.
    #[error("the endpoint took longer than {0:?}")]
    Timeout(Duration),
    /// An instrument cut it.
    #[error("it was cut on purpose")]
    Cut,
}

/// An attempt that may be given up. If it is the client that is waited for then, the endpoint
/// is not blamed: or whoever sends slowly would open the circuit for all others.
struct UnderWay<'a> {
    pick: Option<Pick>,
    attempting: &'a Attempting<'a>,
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        if self.attempting.body.awaits_client()
            && let Some(pick) = self.pick.take()
        {
            let shared = &self.attempting.worker.shared;
            pick.finish(Outcome::Ignored, shared.now());
        }
    }
}

impl Attempted for Answer {
    fn verdict(&self) -> Verdict {
        self.verdict
    }
}

impl Attempted for Failed {
    fn verdict(&self) -> Verdict {
        self.verdict
    }
}

impl Tried {
    /// Nothing yet of a request with these fields.
    pub(crate) fn new(headers: HeaderMap) -> Self {
        Self(Mutex::new(Past { headers, ..Past::default() }))
    }

    fn lock(&self) -> MutexGuard<'_, Past> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Attempting<'_> {
    /// Makes one attempt. An endpoint that is withdrawn while the request waits for a
    /// connection to it has had no part in it, and another one is chosen.
    pub(crate) async fn attempt(&self, attempt: Attempt) -> Result<Answer, Failed> {
        self.begin();
        let mut withdrawn = 0;
        loop {
            match self.once(attempt).await {
                Err(failed) if failed.cause.is_withdrawn() && withdrawn < WITHDRAWN_MAX => {
                    withdrawn += 1;
                }
                made => return made,
            }
        }
    }

    fn begin(&self) {
        let mut past = self.tried.lock();
        past.attempts += 1;
        if let Some(failure) = past.failure {
            self.edge.metrics.retried(failure.into());
        }
    }

    async fn once(&self, attempt: Attempt) -> Result<Answer, Failed> {
        let pick = self.choose()?;
        let targets = self.edge.targets.load_full();
        let Some(target) = targets.of(pick.endpoint(), self.is_upgrade) else {
            // Its configuration is gone; the next call goes by the new one.
            let endpoint = Some(Arc::clone(pick.endpoint()));
            return Err(self.failed(Cause::NoEndpoint(NoEndpoint::Empty), endpoint));
        };
        let mut under_way = UnderWay { pick: Some(pick), attempting: self };
        let sent = self.send(attempt, target);
        let sent = match self.edge.calls.attempt_timeout {
            Some(limit) => {
                let sent = tokio::time::timeout(limit, sent).await;
                sent.unwrap_or(Err(Cause::Timeout(limit)))
            }
            None => sent.await,
        };
        match (under_way.pick.take(), sent) {
            (Some(pick), Ok(sent)) => Ok(self.answered(pick, sent)),
            (Some(pick), Err(cause)) => Err(self.unanswered(pick, cause)),
            (None, _) => Err(self.failed(Cause::NoEndpoint(NoEndpoint::Empty), None)),
        }
    }

    async fn send(&self, attempt: Attempt, target: &Target) -> Result<Sent, Cause> {
        if self.edge.instrument.is_off() {
            let sent = self.worker.pool.send(target, self.request(attempt, target)).await;
            return sent.map(|response| (response, None)).map_err(Cause::Send);
        }
        // In a box, so that the future of a request that just passes stays small.
        let watched = Watched::new(self, attempt);
        Box::pin(async { watched.send(self, attempt, target).await }).await
    }

    /// The fields of the request, for whoever looks at them.
    pub(super) fn fields<T>(&self, look: impl FnOnce(&HeaderMap) -> T) -> T {
        look(&self.tried.lock().headers)
    }

    /// How many attempts there were.
    pub(crate) fn attempts(&self) -> u32 {
        self.tried.lock().attempts
    }

    fn choose(&self) -> Result<Pick, Failed> {
        let past = self.tried.lock();
        let now = self.worker.shared.now();
        let want = Want { version: self.version, hash: self.hash, avoid: &past.endpoints, now };
        let chosen = self.edge.balancer.choose(&want, &mut fastrand::Rng::new());
        drop(past);
        chosen.map_err(|none| self.failed(Cause::NoEndpoint(none), None))
    }

    /// The request as this attempt sends it.
    pub(super) fn request(&self, attempt: Attempt, target: &Target) -> Request<ReplayBody> {
        let mut request = Request::new(self.body.copy());
        *request.method_mut() = self.head.method.clone();
        let mut past = self.tried.lock();
        if let Some(left) = attempt.remaining() {
            form::announce(&mut past.headers, left, self.edge.protocol);
        }
        *request.headers_mut() = if self.gives_away(target) {
            std::mem::take(&mut past.headers)
        } else {
            past.headers.clone()
        };
        drop(past);
        form::aim(&mut request, &self.head, target.protocol());
        request
    }

    /// Whether an attempt may have the fields. HTTP/1 gives every request back that was not
    /// sent, HTTP/2 none that the endpoint has refused. An instrument looks at them meanwhile.
    fn gives_away(&self, target: &Target) -> bool {
        let is_unneeded = match self.reuse {
            Reuse::Never => true,
            Reuse::Unsent => target.protocol() == pool::Protocol::Http1,
            Reuse::Always => false,
        };
        is_unneeded && self.edge.instrument.is_off()
    }

    fn answered(&self, pick: Pick, (response, cut_after): Sent) -> Answer {
        let endpoint = Arc::clone(pick.endpoint());
        let meaning = Meaning::of(&response, self.edge.protocol);
        self.settle(pick, meaning.outcome, meaning.failure);
        let (retry_after, retry) = (meaning.retry_after, &self.edge.calls.retry);
        let verdict = policy::verdict(meaning.failure, self.can_repeat(), retry_after, retry);
        Answer { response, cut_after, endpoint, verdict }
    }

    fn unanswered(&self, pick: Pick, mut cause: Cause) -> Failed {
        if let Cause::Send(SendError::Unsent { request, .. }) = &mut cause
            && let Some(request) = request.take()
        {
            self.tried.lock().headers = form::fields(*request);
        }
        let endpoint = Arc::clone(pick.endpoint());
        let outcome = match &cause {
            // The caller's own part failed, or nothing happened at all.
            Cause::Send(SendError::Request(_)) | Cause::NoEndpoint(_) | Cause::Cut => {
                Outcome::Ignored
            }
            Cause::Timeout(_) if self.body.awaits_client() => Outcome::Ignored,
            _ if cause.is_withdrawn() => Outcome::Ignored,
            Cause::Send(_) | Cause::Timeout(_) => Outcome::Failure,
        };
        self.settle(pick, outcome, cause.failure());
        self.failed(cause, Some(endpoint))
    }

    fn settle(&self, pick: Pick, outcome: Outcome, failure: Option<RetryOn>) {
        self.count_overflow(failure);
        if failure.is_some() {
            let mut past = self.tried.lock();
            past.endpoints.push(Arc::clone(pick.endpoint()));
            past.failure = failure;
        }
        pick.finish(outcome, self.worker.shared.now());
    }

    fn failed(&self, cause: Cause, endpoint: Option<Arc<Endpoint>>) -> Failed {
        let retry = &self.edge.calls.retry;
        let verdict = match cause.failure() {
            Some(failure) => policy::verdict(Some(failure), self.can_repeat(), None, retry),
            None => Verdict::Fail,
        };
        // What was not sent may be sent again only where its beginning is still there.
        let verdict = if self.body.can_repeat() { verdict } else { Verdict::Fail };
        Failed { cause, endpoint, verdict }
    }

    fn can_repeat(&self) -> bool {
        self.is_repeatable && self.body.can_repeat()
    }

    /// Counts what would be tried again if more of its body had been kept.
    fn count_overflow(&self, failure: Option<RetryOn>) {
        let wanted = failure.is_some_and(|it| self.edge.calls.retry.on.contains(&it));
        if wanted && self.is_repeatable && !self.body.can_repeat() {
            self.worker.shared.registry.limit_hit(Limit::ReplayBytes);
        }
    }
}

impl Cause {
    /// Whether the configuration of the endpoint went before there was a connection to it.
    fn is_withdrawn(&self) -> bool {
        matches!(self, Self::Send(SendError::Unsent { cause: UnsentCause::Retired, .. }))
    }

    /// What might be tried again.
    fn failure(&self) -> Option<RetryOn> {
        match self {
            Self::NoEndpoint(NoEndpoint::Empty) | Self::Send(SendError::Unsent { .. }) => {
                Some(RetryOn::Connect)
            }
            Self::NoEndpoint(_) | Self::Send(SendError::Request(_)) => None,
            Self::Send(SendError::Sent(_)) | Self::Cut => Some(RetryOn::Reset),
            Self::Timeout(_) => Some(RetryOn::Timeout),
        }
    }
}
