//! What is known of a connection before its first request. Values of fields that are the same
//! for all its requests are made once, here.

use std::net::IpAddr;

use http::{HeaderValue, Version};

use super::text::is_token;

/// Where a connection comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// From outside: nothing that it says about itself is believed.
    Ingress,
    /// From a service beside this gateway: it may tell where its own request came from, but
    /// not who it is.
    Edge,
    /// From another gateway, by mutual TLS.
    Mesh,
}

/// The name of a gateway in `Via` (RFC 9110, 7.6.3), by which it knows a loop.
#[derive(Clone, Debug)]
pub(crate) struct Pseudonym {
    name: HeaderValue,
    /// For messages that were received in HTTP/1.0, 1.1 and 2.
    via: [HeaderValue; 3],
}

impl Pseudonym {
    /// `None` if the name is not a token.
    pub(crate) fn new(name: &str) -> Option<Self> {
        let value = |text: String| HeaderValue::try_from(text).ok();
        let via = |version: &str| value(format!("{version} {name}"));
        if !is_token(name.as_bytes()) {
            return None;
        }
        let via = [via("1.0")?, via("1.1")?, via("2")?];
        Some(Self { name: value(name.to_owned())?, via })
    }

    pub(super) fn name(&self) -> &[u8] {
        self.name.as_bytes()
    }

    /// The member of `Via` for a message that was received in this version.
    pub(super) fn via(&self, version: Version) -> &HeaderValue {
        let [http10, http11, http2] = &self.via;
        match version {
            Version::HTTP_10 => http10,
            Version::HTTP_2 => http2,
            _ => http11,
        }
    }
}

/// What an [`Inbound`] is made of.
#[derive(Clone, Debug)]
pub(crate) struct InboundConfig<'a> {
    /// Where the connection comes from.
    pub(crate) kind: Kind,
    /// The other end.
    pub(crate) peer: IpAddr,
    /// Whether it is a connection with TLS.
    pub(crate) secure: bool,
    /// Whether WebSocket may pass.
    pub(crate) allows_upgrade: bool,
    /// Methods that are declared beside the registered ones, in capital letters.
    pub(crate) methods: &'a [String],
    /// The service that calls; `None` where nobody vouches for it.
    pub(crate) caller: Option<&'a str>,
    /// The SPIFFE id that the peer has proved.
    pub(crate) spiffe: Option<&'a str>,
    /// What Host says for a request of HTTP/1.0 without one: the cluster that is called.
    pub(crate) default_host: &'a str,
    /// This gateway.
    pub(crate) pseudonym: &'a Pseudonym,
}

/// A connection as the gate sees it: one for each connection, for all its requests.
#[derive(Clone, Debug)]
pub(crate) struct Inbound {
    pub(super) kind: Kind,
    pub(super) secure: bool,
    pub(super) allows_upgrade: bool,
    pub(super) methods: Box<[String]>,
    pub(super) pseudonym: Pseudonym,
    pub(super) default_host: HeaderValue,
    /// The member of `X-Forwarded-For`. None for a service on this machine: its address says
    /// nothing, and would hide that of the client.
    pub(super) client: Option<HeaderValue>,
    /// The member of `Forwarded` (RFC 7239) without the host.
    pub(super) forwarded: HeaderValue,
    pub(super) caller: Option<HeaderValue>,
    /// The value of `X-Forwarded-Client-Cert`, in the format of Envoy.
    pub(super) certificate: Option<HeaderValue>,
}

impl Inbound {
    /// Where the connection comes from.
    pub(crate) const fn kind(&self) -> Kind {
        self.kind
    }

    /// Makes the values. A caller, id or host that no field can carry is left out.
    pub(crate) fn new(config: &InboundConfig<'_>) -> Self {
        let value = |text: &str| HeaderValue::try_from(text).ok();
        let peer = config.peer.to_canonical();
        let beside = config.kind == Kind::Edge && peer.is_loopback();
        let node = match (config.kind, config.caller) {
            (Kind::Edge | Kind::Mesh, Some(caller)) if is_obfuscated(caller) => {
                format!("_{caller}")
            }
            _ if peer.is_ipv6() => format!("\"[{peer}]\""),
            _ => peer.to_string(),
        };
        let scheme = if config.secure { "https" } else { "http" };
        let forwarded = format!("for={node};proto={scheme}");
        let certificate = config.spiffe.and_then(|id| value(&format!("URI={id}")));
        Self {
            kind: config.kind,
            secure: config.secure,
            allows_upgrade: config.allows_upgrade,
            methods: config.methods.into(),
            pseudonym: config.pseudonym.clone(),
            default_host: value(config.default_host)
                .unwrap_or(HeaderValue::from_static("localhost")),
            client: if beside { None } else { value(&peer.to_string()) },
            forwarded: value(&forwarded).unwrap_or(HeaderValue::from_static("for=unknown")),
            caller: config.caller.and_then(value),
            certificate,
        }
    }
}

/// `obfnode` of RFC 7239, 6.3, without its underscore.
fn is_obfuscated(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    !name.is_empty() && name.bytes().all(allowed)
}
