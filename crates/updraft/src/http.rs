//! What a handler needs of HTTP: what it reads of a request, and what it answers. Each of
//! these types is also documentation: the contract of an operation is made of them.

pub(crate) mod body;
pub(crate) mod mismatch;
pub(crate) mod parameters;
mod raw;
mod refusal;
pub(crate) mod text;
mod valid;

pub use ::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
pub use axum::Router;
pub use axum::body::{Body, Bytes};
pub use axum::extract::{Request, State};
pub use axum::response::sse::Event as SseEvent;
pub use axum::response::{Html, IntoResponse, Redirect, Response};
pub use axum::routing::{any, delete, get, patch, post, put};

pub use body::Json;
pub use parameters::{Headers, Path, Query};
pub use raw::{Raw, RawBody};
pub use refusal::Refusal;
pub(crate) use refusal::Unread;
pub use valid::Valid;

#[cfg(feature = "ws")]
pub use crate::web::{CloseFrame, Message, WebSocket, WebSocketError, WebSocketUpgrade};
pub use crate::web::{Peer, PeerIdentity, Sse};

pub use crate::api::{Accepted, Created, NoContent};
