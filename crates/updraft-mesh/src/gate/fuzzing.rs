//! The gate as the fuzz targets see it.

mod http1;

use http::HeaderMap;
use http::{request, response};

use super::request::Asked;
use super::{Inbound, InboundConfig, Kind, Pseudonym, Rule, Side, path};

pub use http1::{Read, Request, Scanned, Served, read_whole, scan, serve};

/// Who a message comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    /// The outside.
    Outside,
    /// A service beside the gateway.
    Beside,
    /// Another gateway.
    Gateway,
}

/// A connection as the gateway of this name sees it.
fn inbound(sender: Sender, gateway: &str) -> Option<Inbound> {
    let kind = match sender {
        Sender::Outside => Kind::Ingress,
        Sender::Beside => Kind::Edge,
        Sender::Gateway => Kind::Mesh,
    };
    Some(Inbound::new(&InboundConfig {
        kind,
        peer: std::net::IpAddr::from([192, 0, 2, 7]),
        secure: kind == Kind::Mesh,
        allows_upgrade: true,
        methods: &[],
        caller: (kind != Kind::Ingress).then_some("cart"),
        spiffe: (kind == Kind::Mesh).then_some("spiffe://shop/cart"),
        default_host: "pricing",
        pseudonym: &Pseudonym::new(gateway)?,
    }))
}

/// Puts a request through the gate of this gateway: whether it is HEAD, and whether it may
/// become a WebSocket.
///
/// # Errors
///
/// The name of the rule that it breaks.
pub fn request(
    parts: &mut request::Parts,
    sender: Sender,
    gateway: &str,
) -> Result<(bool, bool), &'static str> {
    let inbound = inbound(sender, gateway).ok_or("no gateway")?;
    let asked = super::request(parts, &inbound).map_err(|refusal| refusal.rule.name())?;
    Ok((asked.head, asked.upgrade))
}

/// The same for the answer to a request that was HEAD, or asked for a WebSocket.
///
/// # Errors
///
/// The name of the rule that it breaks.
pub fn response(
    parts: &mut response::Parts,
    (head, upgrade): (bool, bool),
    sender: Sender,
    gateway: &str,
) -> Result<(), &'static str> {
    let inbound = inbound(sender, gateway).ok_or("no gateway")?;
    let asked = Asked { head, upgrade };
    super::response(parts, asked, &inbound).map_err(|refusal| refusal.rule.name())
}

/// Leaves of the trailers what may pass behind a request, an answer or an answer of gRPC (`None`,
/// `Some(false)` and `Some(true)`), and says how many it took.
pub fn trailers(trailers: &mut HeaderMap, answer: Option<bool>) -> usize {
    let side = match answer {
        None => Side::Request,
        Some(false) => Side::Response,
        Some(true) => Side::Grpc,
    };
    super::trailers(trailers, side)
}

/// Whether a path passes.
///
/// # Errors
///
/// The name of the rule that it breaks.
pub fn check_path(path: &[u8]) -> Result<(), &'static str> {
    path::check(path).map_err(Rule::name)
}
