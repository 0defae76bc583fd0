//! The span of a request, by the semantic conventions of OpenTelemetry for HTTP servers. The
//! raw path and the query are no part of it: anybody can choose them, and they carry secrets.

use std::borrow::Cow;
use std::net::IpAddr;

use http::{Method, Request, Version};
use tracing::Span;
use updraft_trace::Hop;

use super::ENTRY;
use super::layer::{Entry, enter, recorded, unrecorded, with_random};
use super::record::SpanKind;

/// The span of one request.
#[derive(Clone, Debug)]
pub(crate) struct RequestSpan {
    span: Span,
    is_recorded: bool,
}

impl RequestSpan {
    /// Goes on with the trace of the caller, or starts one.
    pub(crate) fn begin<B>(request: &Request<B>, id: &str, client: Option<IpAddr>) -> Self {
        let span = tracing::info_span!(target: ENTRY, parent: None, "request", request_id = id);
        let headers = request.headers();
        let is_recorded = enter(&span, |sampler| {
            let hop = with_random(|rng| Hop::of(headers, sampler.share(), rng));
            let context = match hop.parent {
                Some(_) => sampler.on_parent(hop.context),
                None => hop.context,
            };
            let state = hop.state(headers);
            Entry { context, parent: hop.parent, state, kind: SpanKind::Server }
        });
        if is_recorded {
            let known = known(request.method());
            recorded(&span, |record| {
                record.name = Cow::Borrowed(known.unwrap_or("HTTP"));
                record.set("http.request.method", known.unwrap_or("_OTHER"));
                record.set("url.scheme", "http");
                record.set("network.protocol.version", version(request.version()));
                record.set("request.id", id.to_owned());
                if let Some(client) = client {
                    record.set("client.address", client.to_string());
                }
            });
        }
        Self { span, is_recorded }
    }

    /// The span, for what is done inside of it.
    pub(crate) fn span(&self) -> &Span {
        &self.span
    }

    /// It came over a connection of TLS.
    pub(crate) fn secured(&self) {
        if self.is_recorded {
            recorded(&self.span, |record| record.set("url.scheme", "https"));
        }
    }

    /// Exports nothing of it: a probe of the platform is no request of anybody.
    pub(crate) fn forget(&mut self) {
        if std::mem::take(&mut self.is_recorded) {
            unrecorded(&self.span);
        }
    }

    /// It ends here, with this status, or none when the client went away before that. `route` is
    /// the template of the path.
    pub(crate) fn ended(&self, method: &Method, route: Option<&str>, status: Option<u16>) {
        if !self.is_recorded {
            return;
        }
        recorded(&self.span, |record| {
            let name = known(method).unwrap_or("HTTP");
            if let Some(route) = route {
                record.name = Cow::Owned(format!("{name} {route}"));
                record.set("http.route", route.to_owned());
            }
            match status {
                Some(status) => record.set("http.response.status_code", i64::from(status)),
                None => record.set("error.type", "client_disconnected"),
            }
            // What the client did wrong is no fault of the server.
            if let Some(status @ 500..) = status {
                record.set("error.type", status.to_string());
                record.fail("");
            }
            record.end_nanos = Some(record.now());
        });
    }
}

/// Methods that are told; others could be any word that somebody made up.
pub(super) fn known(method: &Method) -> Option<&'static str> {
    const KNOWN: [&str; 10] =
        ["CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE"];
    KNOWN.into_iter().find(|known| *known == method.as_str())
}

fn version(version: Version) -> &'static str {
    match version {
        Version::HTTP_10 => "1.0",
        Version::HTTP_2 => "2",
        _ => "1.1",
    }
}
