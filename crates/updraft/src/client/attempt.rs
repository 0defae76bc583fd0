//! One attempt at a call: an address, the headers of this moment, the answer.

use std::time::Duration;

use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use updraft_resilience::deadline::header as deadline_header;
use updraft_resilience::{Verdict, deadline};

use super::address::{Address, Tried};
use super::lease::Lease;
use super::metrics::{End, Kind};
use super::{CallError, Reply, Shared, verdict};
use crate::metrics::Exemplar;
use crate::trace::CallSpan;

/// Addresses at most that one attempt tries to connect to.
const CONNECTS_MOST: usize = 3;

const EXPECTED_TIMEOUT: HeaderName = HeaderName::from_static(deadline_header::EXPECTED_TIMEOUT_MS);
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// What is the same in all attempts.
pub(super) struct Prepared {
    pub(super) method: Method,
    pub(super) path: PathAndQuery,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    /// Doing it twice is the same as doing it once.
    pub(super) repeatable: bool,
    /// An address that is silent for so long works on nothing, as far as this caller can tell.
    pub(super) patience: Duration,
    /// The template of the path, where it is known.
    pub(super) template: &'static str,
}

/// An answer, and what it means.
pub(super) struct Answer {
    pub(super) reply: Reply,
    pub(super) verdict: Verdict,
}

/// A failure, and what it means.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) error: CallError,
    pub(super) verdict: Verdict,
}

impl Failure {
    fn of(error: CallError, repeatable: bool) -> Self {
        Self { verdict: verdict::of_error(&error, repeatable), error }
    }
}

impl Shared {
    /// Makes one attempt. An address that cannot be connected to is passed over at once while
    /// there are others: nothing has been sent, so nothing is repeated.
    pub(super) async fn attempt(&self, call: &Prepared, tried: &Tried) -> Result<Answer, Failure> {
        let fail = |error| Failure::of(error, call.repeatable);
        let known = self.addresses.current().await;
        let known = known.map_err(|error| fail(CallError::Connect(error)))?;
        let most = known.len().min(CONNECTS_MOST);
        let mut connects = 0;
        loop {
            connects += 1;
            let lease = self.addresses.choose(&known, tried);
            let lease =
                lease.map_err(|retry_after| fail(CallError::Unavailable { retry_after }))?;
            let address = std::sync::Arc::clone(lease.address());
            match self.ask(call, lease).await {
                Ok(answer) => {
                    if answer.verdict.is_failure() {
                        tried.add(&address);
                    }
                    return Ok(answer);
                }
                Err(failure) => {
                    tried.add(&address);
                    let is_away = matches!(failure.error, CallError::Connect(_));
                    if is_away {
                        self.addresses.doubt();
                    }
                    if !is_away || most <= connects {
                        return Err(failure);
                    }
                }
            }
        }
    }

    /// Asks one address.
    async fn ask(&self, call: &Prepared, mut lease: Lease) -> Result<Answer, Failure> {
        // An attempt that none can follow may take all the time that there is.
        let left = deadline::current().map(|it| it.remaining(self.clock.now()));
        let bound = call.repeatable.then_some(self.attempt_timeout);
        let time = left.into_iter().chain(bound).min();
        let address = std::sync::Arc::clone(lease.address());
        let request = match request(call, &address, time) {
            Ok(request) => request,
            Err(error) => return Err(Failure::of(CallError::Invalid(error.into()), false)),
        };
        let (request, span) = traced(request);
        let exemplar = request.headers().get(TRACEPARENT);
        let exemplar = exemplar.and_then(|it| Exemplar::of_traceparent(it.as_bytes()));
        let kind =
            Kind { template: call.template, method: crate::metrics::Method::of(&call.method) };
        lease.begin(kind, call.patience, exemplar);
        let answered = self.exchange(&address, request, &span);
        // The policy cuts off what takes longer than the whole call may.
        let outcome = match bound.filter(|bound| left.is_none_or(|left| *bound < left)) {
            None => answered.await,
            Some(bound) => match tokio::time::timeout(bound, answered).await {
                Ok(outcome) => outcome,
                Err(_elapsed) => Err(CallError::Timeout(bound)),
            },
        };
        match outcome {
            Ok(reply) => {
                let (status, headers) = (reply.status, &reply.headers);
                let verdict = verdict::of_answer(status, headers, call.repeatable);
                lease.conclude(End::Status(status.as_u16()), verdict);
                Ok(Answer { reply, verdict })
            }
            Err(error) => {
                span.failed(error.name());
                let failure = Failure::of(error, call.repeatable);
                lease.conclude(End::Failed(failure.error.name()), failure.verdict);
                Err(failure)
            }
        }
    }

    async fn exchange(
        &self,
        address: &Address,
        request: Request<Full<Bytes>>,
        span: &CallSpan,
    ) -> Result<Reply, CallError> {
        let response =
            address.http.request(request).await.map_err(|error| match error.is_connect() {
                true => CallError::Connect(error.into()),
                false => CallError::Broken(error.into()),
            })?;
        span.answered(response.status().as_u16());
        let (parts, body) = response.into_parts();
        let most = self.answer_most;
        let body = Limited::new(body, most).collect().await.map_err(|error| match error
            .is::<LengthLimitError>(
        ) {
            true => CallError::TooLong,
            false => CallError::Broken(error),
        })?;
        Ok(Reply { status: parts.status, headers: parts.headers, body: body.to_bytes() })
    }
}

/// The request of an attempt: it says how long the answer is waited for, so that nobody works
/// for a caller who is gone.
fn request(
    call: &Prepared,
    address: &Address,
    time: Option<Duration>,
) -> Result<Request<Full<Bytes>>, http::Error> {
    let mut request = Request::new(Full::new(call.body.clone()));
    *request.method_mut() = call.method.clone();
    *request.uri_mut() = address.uri(&call.path)?;
    *request.headers_mut() = call.headers.clone();
    if let Some(time) = time {
        let time = deadline_header::format_timeout_ms(time);
        if let Ok(value) = HeaderValue::try_from(time) {
            request.headers_mut().insert(EXPECTED_TIMEOUT, value);
        }
    }
    Ok(request)
}

fn traced(mut request: Request<Full<Bytes>>) -> (Request<Full<Bytes>>, CallSpan) {
    let span = CallSpan::begin(request.method(), request.uri());
    span.inject(request.headers_mut());
    (request, span)
}
