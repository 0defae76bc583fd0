//! The answer to a request that is for no edge: nothing is public there, or nobody declared the
//! call. No edge can count it or tell of it, so that is done here.

use std::time::Instant;

use http::{Request, Response, Version};
use http_body::Body as _;
use updraft_system::Name;
use updraft_system::mesh::Protocol;

use super::body::ResponseBody;
use super::record::unix_nanos;
use super::refusal::Stop;
use crate::connection::Connection;
use crate::gate::{self, Kind};
use crate::observe::{AccessRecord, Hop, Outcome, RequestId, Unrouted};
use crate::operations;
use crate::shared::Shared;

/// Refuses a request, counts it and tells of it. `ends` are caller and callee; those that come
/// in from outside have none.
pub(crate) fn unrouted<B>(
    shared: &Shared,
    connection: &Connection,
    ends: Option<&(Name, Name)>,
    why: Unrouted,
    request: &Request<B>,
) -> Response<ResponseBody> {
    let (began, unix_nanos) = (Instant::now(), unix_nanos());
    shared.registry.unrouted(why);
    let (headers, path) = (request.headers(), request.uri().path());
    let stop = match (why, ends) {
        (Unrouted::NoEdge, Some((from, to))) => Stop::no_edge(from, to),
        (Unrouted::Withdrawn | Unrouted::NoEdge, _) => Stop::withdrawn(),
        (Unrouted::NoRoute, _) => Stop::no_route(path),
    };
    let mut random = fastrand::Rng::new();
    let inside = connection.inbound.kind() != Kind::Ingress;
    let made = || RequestId::new(unix_nanos / 1_000_000, &mut random);
    let request_id = RequestId::kept(headers, inside).unwrap_or_else(made);
    let (outcome, grpc) = (stop.outcome, gate::is_grpc(headers));
    let response = stop.response(request.version(), Some(request_id.as_str()), grpc);
    let telemetry = shared.telemetry.load();
    let Some(log) = &telemetry.log else { return response };
    log.write(&AccessRecord {
        unix_nanos,
        trace: Hop::of(headers, shared.sampling, &mut random).context,
        request_id: request_id.as_str(),
        from: &ends.map_or_else(Name::ingress, |(from, _)| from.clone()),
        to: ends.map(|(_, to)| to),
        operation: operations::OTHER,
        method: request.method().as_str(),
        path,
        status: Some(response.status().as_u16()),
        duration: began.elapsed(),
        request_bytes: 0,
        response_bytes: response.body().size_hint().lower(),
        attempts: 0,
        endpoint: None,
        refused: match outcome {
            Outcome::Refused(refused) => Some(refused),
            _ => None,
        },
        protocol: match request.version() {
            Version::HTTP_2 if grpc => Protocol::Grpc,
            Version::HTTP_2 => Protocol::H2c,
            _ => Protocol::Http1,
        },
    });
    response
}
