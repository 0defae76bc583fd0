//! The contract for whoever asks the running service: `/openapi.json`, and a page for people
//! that loads nothing from elsewhere, so that it works in a network without the world.

use std::ops::RangeInclusive;
use std::sync::Arc;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};

use crate::api::Api;
use crate::app::{App, Ctx};
use crate::release::Release;

/// What the page may load and do: its own parts, and calls to its own service.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'";

const PAGE: &str = include_str!("pages/page.html");
const STYLE: &str = include_str!("pages/page.css");
const SCRIPT: &str = include_str!("pages/page.js");

/// A text that does not change while the process runs.
#[derive(Clone, Debug)]
struct Fixed {
    body: Bytes,
    media: &'static str,
    etag: HeaderValue,
}

impl Fixed {
    fn new(body: Bytes, media: &'static str) -> Self {
        let hash = blake3::hash(&body).to_hex();
        let short = hash.get(..16).unwrap_or_default();
        let etag = HeaderValue::try_from(format!("\"{short}\""));
        Self { body, media, etag: etag.unwrap_or(HeaderValue::from_static("\"\"")) }
    }

    /// The text, or 304 to whoever has it.
    fn answer(&self, headers: &HeaderMap) -> Response {
        let known = headers.get_all(header::IF_NONE_MATCH).iter().any(|known| {
            let known = known.to_str().unwrap_or_default().split(',').map(str::trim);
            let own = self.etag.to_str().unwrap_or_default();
            known.into_iter().any(|it| it == "*" || it.trim_start_matches("W/") == own)
        });
        let mut response = match known {
            true => StatusCode::NOT_MODIFIED.into_response(),
            false => Response::new(Body::from(self.body.clone())),
        };
        let all = response.headers_mut();
        all.insert(header::ETAG, self.etag.clone());
        all.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        all.insert(header::CONTENT_TYPE, HeaderValue::from_static(self.media));
        all.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
        all.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        all.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        response
    }
}

/// The pages, with their paths.
pub(crate) fn pages<A: App>(
    api: &Api<A>,
    release: &Release,
    versions: Option<RangeInclusive<u32>>,
) -> Vec<(String, MethodRouter<Ctx<A>>)> {
    let contract = |version| {
        let text = api.contract(release, version).text();
        Fixed::new(Bytes::from(text), "application/json")
    };
    let page = page(versions.clone());
    let mut pages = vec![
        ("/openapi.json".to_owned(), fixed(contract(None))),
        ("/docs".to_owned(), fixed(Fixed::new(page, "text/html; charset=utf-8"))),
        ("/docs/page.css".to_owned(), fixed(of(STYLE, "text/css; charset=utf-8"))),
        ("/docs/page.js".to_owned(), fixed(of(SCRIPT, "text/javascript; charset=utf-8"))),
    ];
    let of_versions = versions
        .into_iter()
        .flatten()
        .map(|version| (format!("/v{version}/openapi.json"), fixed(contract(Some(version)))));
    pages.extend(of_versions);
    pages
}

/// The page, which is told where the contracts are.
fn page(versions: Option<RangeInclusive<u32>>) -> Bytes {
    let places: Vec<_> = match versions {
        Some(all) => all.rev().map(|version| format!("/v{version}/openapi.json")).collect(),
        None => vec!["/openapi.json".to_owned()],
    };
    Bytes::from(PAGE.replace("{{contracts}}", &places.join(" ")))
}

fn of(text: &'static str, media: &'static str) -> Fixed {
    Fixed::new(Bytes::from_static(text.as_bytes()), media)
}

fn fixed<S: Clone + Send + Sync + 'static>(fixed: Fixed) -> MethodRouter<S> {
    let fixed = Arc::new(fixed);
    get(move |headers: HeaderMap| {
        let fixed = Arc::clone(&fixed);
        async move { fixed.answer(&headers) }
    })
}
