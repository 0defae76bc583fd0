//! What the control API answers about the wire: reports, taps, traffic, certificates.

use http_body_util::{Either, Full};
use hyper::body::Incoming;
use hyper::{Method, Request, Response, StatusCode};
use updraft_engine::CommandError;
use updraft_system::Name;
use updraft_system::mesh::{IdentityRequest, RotateAnswer, RotateRequest, Share, Traffic};
use url::form_urlencoded;

use super::{
    Answer, Body, Refusal, Routes, body, body_or_default, done, json, name, stream, with_type,
};
use crate::control::line_stream::LineStream;
use crate::names;

/// The Prometheus text format.
const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Which live requests are wanted: the query of `GET /v1/mesh/tap`.
#[derive(Debug)]
struct TapQuery {
    from: Option<Name>,
    to: Option<Name>,
    share: Share,
}

/// A query that cannot be understood.
#[derive(Debug, thiserror::Error)]
enum InvalidTapQuery {
    #[error("`{0}` is not a name")]
    Name(String, #[source] updraft_system::InvalidName),
    #[error(transparent)]
    Share(#[from] updraft_system::mesh::InvalidShare),
    #[error("no parameter `{0}`; there are from, to and share")]
    Unknown(String),
}

impl Routes {
    /// The answer to a request below `/v1/mesh`.
    pub(super) async fn mesh(self, segments: &[&str], request: Request<Incoming>) -> Answer {
        let engine = &self.engine;
        let expected = match (segments, request.method()) {
            (["edges"], &Method::GET) => return json(&engine.edges()),
            (["metrics"], &Method::GET) => return Ok(metrics(engine.wire_metrics())),
            (["config"], &Method::GET) => {
                let config = engine.wire_config();
                return json(&config.ok_or(CommandError::NotNow("stopping"))?);
            }
            (["tap"], &Method::GET) => return self.tap(request.uri().query()),
            (["traffic"], &Method::GET) => return json(&engine.traffic()),
            (["traffic", service], &Method::PUT) => {
                return self.set_traffic(&name(service)?, body(request).await?);
            }
            (["traffic", service], &Method::DELETE) => {
                return self.set_traffic(&name(service)?, None);
            }
            (["identity"], &Method::GET) => return json(&engine.identities()),
            (["identity"], &Method::POST) => {
                let request: IdentityRequest = body(request).await?;
                return json(&engine.issue(&request)?);
            }
            (["bundle"], &Method::GET) => return json(&engine.bundle()),
            (["rotate"], &Method::POST) => return self.rotate(request).await,
            (["edges" | "metrics" | "config" | "tap" | "traffic" | "bundle"], _) => "GET",
            (["traffic", _], _) => "PUT, DELETE",
            (["identity"], _) => "GET, POST",
            (["rotate"], _) => "POST",
            _ => return Err(Refusal::no_route(request.uri().path())),
        };
        Err(Refusal::wrong_method(expected))
    }

    fn tap(self, query: Option<&str>) -> Answer {
        let query = TapQuery::parse(query.unwrap_or_default())
            .map_err(|error| Refusal::bad_request(&error))?;
        let system = &self.engine.system();
        let outside = Name::ingress();
        if let Some(from) = query.from.as_ref().filter(|from| **from != outside) {
            names::service(system, from)?;
        }
        if let Some(to) = &query.to {
            names::callee(system, to)?;
        }
        let slot = self.slot()?;
        let mut taps = self.engine.tap(query.from.as_ref(), query.to.as_ref(), query.share)?;
        let engine = self.engine;
        Ok(stream(LineStream::new(slot, async move |lines| {
            let mut stopped = std::pin::pin!(engine.stopped());
            loop {
                tokio::select! {
                    Some(tapped) = taps.next() => lines.send(&tapped).await,
                    _ = &mut stopped => break,
                    else => break,
                }
            }
        })))
    }

    fn set_traffic(self, service: &Name, traffic: Option<Traffic>) -> Answer {
        names::service(&self.engine.system(), service)?;
        self.engine.set_traffic(service, traffic)?;
        Ok(done())
    }

    async fn rotate(self, request: Request<Incoming>) -> Answer {
        let RotateRequest { service, root } = body_or_default(request).await?;
        if let Some(service) = &service {
            names::service(&self.engine.system(), service)?;
        }
        let root_begun = root.then(|| self.engine.rotate_root()).transpose()?;
        // A rotation of the root gets every service a new certificate when its time comes.
        if !root || service.is_some() {
            self.engine.rotate(service.as_ref())?;
        }
        json(&RotateAnswer { root_begun })
    }
}

impl TapQuery {
    fn parse(query: &str) -> Result<Self, InvalidTapQuery> {
        let mut parsed = Self { from: None, to: None, share: Share::percent(100) };
        for (key, value) in form_urlencoded::parse(query.as_bytes()) {
            let name =
                || value.parse().map_err(|error| InvalidTapQuery::Name(value.to_string(), error));
            match &*key {
                "from" => parsed.from = Some(name()?),
                "to" => parsed.to = Some(name()?),
                "share" => parsed.share = value.parse()?,
                _ => return Err(InvalidTapQuery::Unknown(key.into_owned())),
            }
        }
        Ok(parsed)
    }
}

fn metrics(text: String) -> Response<Body> {
    with_type(StatusCode::OK, METRICS, Either::Left(Full::new(text.into())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tap_takes_all_unless_it_is_told_otherwise() {
        let all = TapQuery::parse("").unwrap();
        assert_eq!((all.from, all.to, all.share), (None, None, Share::percent(100)));
        let one = TapQuery::parse("from=cart&to=db&share=0.5%25").unwrap();
        assert_eq!(one.from.unwrap().as_str(), "cart");
        assert_eq!(one.to.unwrap().as_str(), "db");
        assert_eq!(one.share.to_string(), "0.5%");
        for (query, word) in [("from=Cart", "`Cart`"), ("share=2", "`2`"), ("of=x", "`of`")] {
            let said = TapQuery::parse(query).unwrap_err().to_string();
            assert!(said.contains(word), "{said}");
        }
    }
}
