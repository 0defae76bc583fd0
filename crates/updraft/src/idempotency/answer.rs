//! An answer as it is kept: status, the headers that are the handler's own, and the body.

use axum::body::{Body, Bytes};
use axum::response::Response;
use futures_util::StreamExt as _;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};

use crate::api::OwnPlace;
use crate::http::Unread;

/// The longest body that is kept, in bytes.
pub(super) const BODY_MOST: usize = 1024 * 1024;

/// The longest head that is kept, in bytes of names and values.
const HEAD_MOST: usize = 16 * 1024;

/// Says that an answer was given before.
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// Headers that are of one exchange or connection, or are secrets between the two that made
/// it: they are not kept.
const OF_ONE_EXCHANGE: [HeaderName; 13] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::DATE,
    HeaderName::from_static("keep-alive"),
    header::PROXY_AUTHENTICATE,
    header::RETRY_AFTER,
    header::SET_COOKIE,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::VIA,
    header::WWW_AUTHENTICATE,
];

/// An answer as it is kept.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) head: Head,
    pub(super) body: Bytes,
}

/// Everything but the body.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Head {
    status: u16,
    headers: Vec<(String, String)>,
    /// Its place is one of this API, without a version.
    own_place: bool,
    /// It was longer than what is kept.
    cut: bool,
}

/// Whether the same request would get the same answer at any later time. A request that no
/// handler has seen gets another one when it is mended, a fault may be over by then, and so
/// may what kept the caller out or asked him to come again.
pub(super) fn is_final(response: &Response) -> bool {
    let status = response.status();
    !status.is_server_error()
        && response.extensions().get::<Unread>().is_none()
        && !response.headers().contains_key(header::RETRY_AFTER)
        && !matches!(
            status,
            StatusCode::UNAUTHORIZED
                | StatusCode::FORBIDDEN
                | StatusCode::REQUEST_TIMEOUT
                | StatusCode::TOO_EARLY
                | StatusCode::TOO_MANY_REQUESTS
        )
}

/// The headers to keep; `None`: they are too long, or no text.
fn kept(headers: &HeaderMap) -> Option<Vec<(String, String)>> {
    let own = headers.iter().filter(|(name, _)| !OF_ONE_EXCHANGE.contains(name));
    let mut length = 0;
    let text = |(name, value): (&HeaderName, &HeaderValue)| {
        let value = value.to_str().ok()?;
        length += name.as_str().len() + value.len();
        (length <= HEAD_MOST).then(|| (name.as_str().to_owned(), value.to_owned()))
    };
    own.map(text).collect()
}

impl Answer {
    /// The answer to keep, and the response to give. `None`: it broke off.
    pub(super) async fn taken(response: Response) -> (Option<Self>, Response) {
        let (parts, body) = response.into_parts();
        let headers = kept(&parts.headers);
        let mut head = Head {
            status: parts.status.as_u16(),
            cut: headers.is_none(),
            headers: headers.unwrap_or_default(),
            own_place: parts.extensions.get::<OwnPlace>().is_some(),
        };
        let mut stream = body.into_data_stream();
        let mut read = Vec::new();
        while let Some(chunk) = stream.next().await {
            match chunk {
                Ok(chunk) => read.extend_from_slice(&chunk),
                Err(error) => {
                    let broken = [Ok(Bytes::from(read)), Err(error)];
                    let body = Body::from_stream(futures_util::stream::iter(broken));
                    return (None, Response::from_parts(parts, body));
                }
            }
            if BODY_MOST < read.len() {
                head.cut = true;
                let before = futures_util::stream::iter([Ok(Bytes::from(read))]);
                let body = Body::from_stream(before.chain(stream));
                let answer = Self { head, body: Bytes::new() };
                return (Some(answer), Response::from_parts(parts, body));
            }
        }
        let body = Bytes::from(read);
        let response = Response::from_parts(parts, Body::from(body.clone()));
        (Some(Self { head, body }), response)
    }

    /// The answer again. `None`: it was too long to be kept.
    pub(super) fn again(self) -> Option<Response> {
        if self.head.cut {
            return None;
        }
        let mut response = Response::new(Body::from(self.body));
        *response.status_mut() = StatusCode::from_u16(self.head.status).ok()?;
        let headers = response.headers_mut();
        for (name, value) in self.head.headers {
            headers.append(HeaderName::try_from(name).ok()?, HeaderValue::try_from(value).ok()?);
        }
        headers.insert(REPLAYED, HeaderValue::from_static("true"));
        if self.head.own_place {
            response.extensions_mut().insert(OwnPlace);
        }
        Some(response)
    }
}
