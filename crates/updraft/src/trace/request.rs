//! The span of a request, by the semantic conventions of OpenTelemetry for HTTP servers. The
//! raw path and the query are no part of it: anybody can choose them, and they carry secrets.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::OnceLock;

use http::{Method, Request, Version};
use tracing::callsite::{Callsite, Identifier};
use tracing::field::{FieldSet, Value};
use tracing::metadata::Kind;
use tracing::subscriber::Interest;
use tracing::{Dispatch, Level, Metadata, Span};
use updraft_trace::{Hop, RequestId, TraceContext};

use super::layer::{Entry, Sampler, enter, recorded, unrecorded, with_random};
use super::on_demand::OnDemand;
use super::record::SpanKind;
use super::{ENTRY, Outgoing};

/// The place of one request in its trace, and its span, once there is one: at once where it is
/// recorded, else when something asks for it ([`OnDemand`]).
#[derive(Debug)]
pub(crate) struct RequestSpan {
    /// None where somebody else's subscriber has no traces.
    entry: Option<Entry>,
    span: OnceLock<Span>,
    is_recorded: bool,
    /// The span of the caller, when its trace is sampled.
    sampled_caller: Option<TraceContext>,
}

impl RequestSpan {
    /// Goes on with the trace of the caller, or starts one.
    /// `traced` says whether the request has a `traceparent`.
    pub(crate) fn begin<B>(
        request: &Request<B>,
        traced: bool,
        id: &RequestId,
        client: Option<IpAddr>,
    ) -> Self {
        let headers = request.headers();
        let mut sampled_caller = None;
        let mut place = |sampler: Sampler| {
            let hop = with_random(|rng| match traced {
                true => Hop::of(headers, sampler.share(), rng),
                false => Hop::first(sampler.share(), rng),
            });
            let context = match hop.parent {
                Some(caller) => {
                    let of_caller = TraceContext { span_id: caller, ..hop.context };
                    sampled_caller = Some(of_caller).filter(|caller| caller.is_sampled());
                    sampler.on_parent(hop.context)
                }
                None => hop.context,
            };
            let state = hop.state(headers);
            Entry { context, parent: hop.parent, state, kind: SpanKind::Server }
        };
        let placed = OnDemand::current(|ours| Some((place(ours.sampler()), ours.exports())));
        let (mut entry, is_due) = match placed {
            Some((entry, exports)) => {
                let is_recorded = exports && entry.context.is_sampled();
                (Some(entry), !is_recorded)
            }
            None => (None, false),
        };
        let mut is_recorded = false;
        let span = OnceLock::new();
        if !is_due {
            let made = span.get_or_init(|| of_request(id));
            is_recorded =
                enter(made, |sampler| entry.get_or_insert_with(|| place(sampler)).clone());
        }
        let own = Self { entry, span, is_recorded, sampled_caller };
        own.begin_record(request, id, client);
        own
    }

    fn begin_record<B>(&self, request: &Request<B>, id: &RequestId, client: Option<IpAddr>) {
        let Some(span) = self.span.get().filter(|_| self.is_recorded) else { return };
        let known = known(request.method());
        recorded(span, |record| {
            record.name = Cow::Borrowed(known.unwrap_or("HTTP"));
            record.set("http.request.method", known.unwrap_or("_OTHER"));
            record.set("url.scheme", "http");
            record.set("network.protocol.version", version(request.version()));
            record.set("request.id", id.as_str().to_owned());
            if let Some(client) = client {
                record.set("client.address", client.to_string());
            }
        });
    }

    /// Whether it has no span yet and would get one.
    pub(crate) fn is_due(&self) -> bool {
        self.span.get().is_none() && self.entry.is_some()
    }

    /// Makes the span of a request that is not recorded. Where a subscriber is at work on an
    /// event, the macros find none.
    pub(crate) fn make(&self, id: &RequestId, dispatch: &Dispatch) {
        let Some(entry) = &self.entry else { return };
        let span = self.span.get_or_init(|| late(id, dispatch));
        enter(span, |_sampler| entry.clone());
    }

    /// Its trace, and the span in it that it is.
    pub(crate) fn context(&self) -> Option<TraceContext> {
        Some(self.entry.as_ref()?.context)
    }

    /// The span of the caller, when its trace is sampled.
    pub(crate) fn sampled_caller(&self) -> Option<TraceContext> {
        self.sampled_caller
    }

    /// What goes on of its trace.
    pub(super) fn outgoing(&self) -> Option<Outgoing> {
        let Entry { context, state, .. } = self.entry.as_ref()?;
        Some(Outgoing { context: *context, state: state.clone() })
    }

    /// Enters the span on this thread, if there is one.
    pub(crate) fn enter(&self) {
        if let Some(span) = self.span.get() {
            span.with_subscriber(|(id, dispatch)| dispatch.enter(id));
        }
    }

    /// Leaves what was entered.
    pub(crate) fn exit(&self) {
        if let Some(span) = self.span.get() {
            span.with_subscriber(|(id, dispatch)| dispatch.exit(id));
        }
    }

    /// The span, where there is one.
    #[cfg(test)]
    pub(crate) fn made(&self) -> Option<&Span> {
        self.span.get()
    }

    /// It came over a connection of TLS.
    pub(crate) fn secured(&self) {
        if let Some(span) = self.span.get().filter(|_| self.is_recorded) {
            recorded(span, |record| record.set("url.scheme", "https"));
        }
    }

    /// Exports nothing of it: a probe of the platform is no request of anybody.
    pub(crate) fn forget(&mut self) {
        if std::mem::take(&mut self.is_recorded)
            && let Some(span) = self.span.get()
        {
            unrecorded(span);
        }
    }

    /// It ends here, with this status, or none when the client went away before that. `route` is
    /// the template of the path.
    pub(crate) fn ended(&self, method: &Method, route: Option<&str>, status: Option<u16>) {
        let Some(span) = self.span.get().filter(|_| self.is_recorded) else { return };
        recorded(span, |record| {
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

fn of_request(id: &RequestId) -> Span {
    let id = id.as_str();
    tracing::info_span!(target: ENTRY, parent: None, "request", request_id = id)
}

/// What [`of_request`] makes, of a subscriber that is told.
fn late(id: &RequestId, dispatch: &Dispatch) -> Span {
    let id = id.as_str();
    let fields = LATE.fields();
    match fields.field("request_id") {
        Some(field) => {
            let values = [(&field, Some(&id as &dyn Value))];
            Span::new_root_with(&LATE, &fields.value_set(&values), dispatch)
        }
        None => Span::none(),
    }
}

/// Where [`late`] makes its spans.
struct Late;

static LATE: Metadata<'static> = Metadata::new(
    "request",
    ENTRY,
    Level::INFO,
    Some(file!()),
    Some(line!()),
    Some(module_path!()),
    FieldSet::new(&["request_id"], Identifier(&Late)),
    Kind::SPAN,
);

impl Callsite for Late {
    // All layers of ours want these spans.
    fn set_interest(&self, _: Interest) {}

    fn metadata(&self) -> &Metadata<'_> {
        &LATE
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
