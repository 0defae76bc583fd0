//! One request from end to end: what is asked, who may ask, where it goes, what comes back.
//! The order of this file is the order in which things happen to a request.

mod attempt;
mod body;
mod form;
mod meaning;
mod mirror;
mod record;
mod refusal;
mod unrouted;
mod watched;

use std::sync::Arc;
use std::time::Duration;

use http::request::Parts;
use http::{HeaderMap, HeaderName, Request, Response, StatusCode, Version, header};
use hyper::body::Incoming;
use updraft_resilience::deadline::{self, Deadline, header as deadline_header};
use updraft_resilience::policy::CallOptions;
use updraft_resilience::{Error, Instant, Rejection};
use updraft_system::Name;
use updraft_system::mesh::{Authorization, Balance, HashBy, RetryOn};

use crate::balance::key_hash;
use crate::connection::Connection;
use crate::edge::Edge;
use crate::gate::{self, Side};
use crate::operations::Found;
use crate::policy;
use crate::pool::PooledBody;
use crate::replay::Replay;
use crate::tcp;
use crate::traffic::{self, Course};
use crate::worker::Worker;

use attempt::{Answer, Attempting, Reuse, Tried};

pub(crate) use body::{BrokenBody, ResponseBody};
pub(crate) use record::Record;
pub(crate) use refusal::Stop;
pub(crate) use unrouted::unrouted;

/// The answer to one request of a connection.
pub(crate) async fn answer(
    worker: &Worker,
    edge: &Arc<Edge>,
    connection: &Connection,
    mut request: Request<Incoming>,
) -> Result<Response<ResponseBody>, Severed> {
    let grpc = gate::is_grpc(request.headers());
    let (kind, version) = (connection.inbound.kind(), request.version());
    let mut record = Record::begin(&worker.shared, edge, kind, &mut request);
    match exchange(worker, edge, connection, request, &mut record).await {
        Ok(response) => {
            record.head(&response);
            Ok(response.map(|body| match body {
                Some(Passing { body, cut_after }) => {
                    let side = if grpc { Side::Grpc } else { Side::Response };
                    ResponseBody::through(body, record, side, edge.calls.idle, cut_after)
                }
                None => ResponseBody::empty(record),
            }))
        }
        Err(stop) => {
            record.outcome(stop.outcome);
            if stop.severs {
                return Err(Severed);
            }
            if let Some(refusal) = &stop.refusal {
                worker.shared.registry.rule_broken(refusal.rule as usize);
            }
            let response = stop.response(version, Some(record.request_id()), grpc);
            record.head(&response);
            Ok(response.map(|body| body.recorded(record)))
        }
    }
}

/// The caller's connection ends without an answer: an instrument wants it.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the connection is cut on purpose")]
pub(crate) struct Severed;

/// The endpoint's response; without a body where the connection is a tunnel from here on.
async fn exchange(
    worker: &Worker,
    edge: &Arc<Edge>,
    connection: &Connection,
    mut request: Request<Incoming>,
    record: &mut Record,
) -> Result<Response<Option<Passing>>, Stop> {
    let client = hyper::upgrade::on(&mut request);
    let (mut head, body) = request.into_parts();
    let arrived = worker.shared.coarse.now();
    let asked = gate::request(&mut head, &connection.inbound)?;
    let found = edge.operations.find(head.method.as_str(), head.uri.path());
    record.operation(found.label);
    authorize(edge, connection, &found, &head, record)?;
    let course = steer(edge, &head);
    let deadline = deadline(edge, &head.headers, arrived, &found, &course);
    fault(&course, deadline.map(|deadline| deadline.remaining(arrived))).await?;
    let version = course.version.or_else(|| split(edge, &head.headers));
    if let Some(uri) = course.rewrite.and_then(|rewrite| traffic::rewritten(&head.uri, rewrite)) {
        head.uri = uri;
    }
    record.trace(&mut head.headers);
    let is_repeatable = is_repeatable(&head, &found) && !asked.upgrade;
    let reuse = reuse(edge, is_repeatable, &course);
    let attempting = Attempting {
        worker,
        edge,
        version,
        hash: hash(edge, &head.headers),
        is_repeatable,
        is_upgrade: asked.upgrade,
        reuse,
        body: Replay::new(body, usize::try_from(edge.limits.replay_bytes).unwrap_or(usize::MAX)),
        tried: Tried::new(std::mem::take(&mut head.headers)),
        head,
    };
    let options = options(&found, reuse);
    let call = edge.policy.call_with(options, |attempt| attempting.attempt(attempt));
    let outcome = match deadline {
        Some(deadline) => deadline::with(deadline, call).await,
        None => call.await,
    };
    let late = matches!(outcome, Err(Error::Rejected(Rejection::Deadline(_))));
    if late && attempting.body.awaits_client() {
        return Err(Stop::slow_request());
    }
    let Answer { mut response, endpoint, cut_after, .. } =
        outcome.map_err(|error| Stop::failed(edge, error))?;
    if let Some(version) = course.mirror {
        mirror::copy(&attempting, version);
    }
    let (counted, attempts) = (meaning::outcome(&response, edge.protocol), attempting.attempts());
    record.answered(counted, attempting.body, endpoint.address, attempts);
    let tunnel = (response.status() == StatusCode::SWITCHING_PROTOCOLS)
        .then(|| hyper::upgrade::on(&mut response));
    let (mut head, body) = response.into_parts();
    gate::response(&mut head, asked, &connection.inbound).map_err(Stop::bad_response)?;
    // An intermediary speaks its own version (RFC 9110, 6.2).
    head.version = Version::HTTP_11;
    let body = match tunnel {
        Some(endpoint) => {
            connection.becomes_tunnel(tcp::upgraded(&worker.shared, edge, client, endpoint));
            None
        }
        None => Some(Passing { body, cut_after }),
    };
    Ok(Response::from_parts(head, body))
}

/// A body that may pass, whole or up to where an instrument cuts it.
struct Passing {
    body: PooledBody,
    cut_after: Option<u64>,
}

/// Refuses what nobody declared, or only tells of it where the manifest wants that.
fn authorize(
    edge: &Edge,
    connection: &Connection,
    found: &Found<'_>,
    head: &Parts,
    record: &Record,
) -> Result<(), Stop> {
    let why = match &connection.borrowed {
        Some(borrowed) => Stop::borrowed(edge, borrowed),
        None if found.allowed => return Ok(()),
        None => Stop::undeclared(edge, head.method.as_str(), head.uri.path()),
    };
    match edge.authorization {
        Authorization::Enforce => Err(why),
        Authorization::Audit => {
            record.undeclared();
            Ok(())
        }
    }
}

/// What the rules of the traffic make of a request.
fn steer<'a>(edge: &'a Edge, head: &Parts) -> Course<'a> {
    if edge.rules.is_empty() {
        return Course::default();
    }
    let (method, path) = (&head.method, head.uri.path());
    edge.rules.course(&edge.caller, method, path, &head.headers, &mut fastrand::Rng::new())
}

/// Faults on purpose, and redirects: what needs no endpoint. No fault takes longer than the
/// request has, as no real one does.
async fn fault(course: &Course<'_>, left: Option<Duration>) -> Result<(), Stop> {
    if let Some(delay) = course.delay {
        tokio::time::sleep(left.map_or(delay, |left| delay.min(left))).await;
    }
    match (course.abort, course.redirect) {
        (Some(status), _) => Err(Stop::aborted(status, course.rule)),
        (None, Some(redirect)) => Err(Stop::redirect(redirect)),
        (None, None) => Ok(()),
    }
}

/// The version of a request that no rule routes.
fn split<'a>(edge: &'a Edge, headers: &HeaderMap) -> Option<&'a Name> {
    let split = edge.split.as_ref()?;
    let key = split.sticky().and_then(|by| key(by, headers));
    split.choose(key, &mut fastrand::Rng::new())
}

/// The key of consistent hashing, where the edge asks for it and the request has it.
fn hash(edge: &Edge, headers: &HeaderMap) -> Option<u64> {
    match &edge.calls.balance {
        Balance::Hash(by) => key(by, headers),
        Balance::LeastRequest | Balance::RoundRobin => None,
    }
}

fn key(by: &HashBy, headers: &HeaderMap) -> Option<u64> {
    match by {
        HashBy::Header(name) => headers.get(name).map(|value| key_hash(value.as_bytes())),
        HashBy::Cookie(name) => {
            let mut pairs = headers
                .get_all(header::COOKIE)
                .iter()
                .filter_map(|value| value.to_str().ok())
                .flat_map(|cookies| cookies.split(';'))
                .filter_map(|pair| pair.trim().split_once('='));
            pairs.find(|(own, _)| own == name).map(|(_, value)| key_hash(value.as_bytes()))
        }
    }
}

/// The deadline that came with a request, or that of its operation, whichever is first. That
/// of the edge is its policy's, unless the request is delayed before it gets there.
fn deadline(
    edge: &Edge,
    headers: &HeaderMap,
    arrived: Instant,
    found: &Found<'_>,
    course: &Course<'_>,
) -> Option<Deadline> {
    let value = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let received = value(&form::GRPC_TIMEOUT)
        .and_then(deadline_header::parse_grpc_timeout)
        .or_else(|| value(&form::EXPECTED_TIMEOUT).and_then(deadline_header::parse_timeout_ms));
    let own = found.policy.and_then(|policy| policy.timeout);
    let edge = course.delay.map(|_| edge.calls.timeout);
    let left = [received, own, edge].into_iter().flatten().min()?;
    Some(deadline_header::received(left, arrived))
}

fn options(found: &Found<'_>, reuse: Reuse) -> CallOptions {
    let priority = found.policy.and_then(|policy| policy.priority).unwrap_or_default();
    let options = CallOptions::new().priority(policy::priority(priority));
    // The policy may be of a newer configuration than the request.
    if reuse == Reuse::Never { options.once() } else { options }
}

fn reuse(edge: &Edge, is_repeatable: bool, course: &Course<'_>) -> Reuse {
    let retry = &edge.calls.retry;
    let sends_again = is_repeatable && retry.on.iter().any(|on| *on != RetryOn::Connect);
    match course.mirror {
        None if retry.attempts <= 1 => Reuse::Never,
        None if !sends_again => Reuse::Unsent,
        _ => Reuse::Always,
    }
}

/// Whether a request may run twice: its operation says so, or its method, or its client.
fn is_repeatable(head: &Parts, found: &Found<'_>) -> bool {
    let declared = found.policy.and_then(|policy| policy.idempotent);
    declared.unwrap_or_else(|| {
        policy::is_idempotent(&head.method) || head.headers.contains_key("idempotency-key")
    })
}
