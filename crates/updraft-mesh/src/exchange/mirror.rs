//! Copies of requests for another version, whose answers nobody reads.

use std::sync::Arc;

use http::{HeaderMap, Request};
use http_body_util::BodyExt as _;
use updraft_system::Name;

use super::attempt::Attempting;
use super::form;
use crate::balance::{Outcome, Want};
use crate::replay::ReplayBody;

/// Sends a copy on its way. One whose body was too long to keep, or that comes when too many
/// are under way already, is not made: the request itself never waits for its copy.
pub(super) fn copy(attempting: &Attempting<'_>, version: &Name) {
    let (worker, edge) = (attempting.worker, attempting.edge);
    let Some(body) = attempting.body.whole() else {
        return worker.shared.registry.mirror_dropped();
    };
    let now = worker.shared.now();
    let want = Want { version: Some(version), ..Want::any(now) };
    let Ok(pick) = edge.balancer.choose(&want, &mut fastrand::Rng::new()) else {
        return worker.shared.registry.mirror_dropped();
    };
    let Some(target) = edge.targets.load().of(pick.endpoint(), false).cloned() else { return };
    let mut request = Request::new(ReplayBody::of(body));
    *request.method_mut() = attempting.head.method.clone();
    *request.headers_mut() = attempting.fields(HeaderMap::clone);
    form::aim(&mut request, &attempting.head, target.protocol());
    let pool = Arc::clone(&worker.pool);
    let limit = edge.calls.timeout;
    let clock = worker.shared.clock.clone();
    worker.mirror(async move {
        let answered = tokio::time::timeout(limit, async {
            let response = pool.send(&target, request).await.ok()?;
            // Read to its end, so that the connection can be used again.
            let mut body = response.into_body();
            while let Some(frame) = body.frame().await {
                frame.ok()?;
            }
            Some(())
        });
        let outcome = match answered.await {
            Ok(Some(())) => Outcome::Success,
            _ => Outcome::Failure,
        };
        pick.finish(outcome, clock.now());
    });
}
