//! What the environment says of the HTTP side of a process: where it listens, and every bound
//! that holds there. All of it is read and checked before anything listens.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::time::Duration;

use super::admission::{Cap, Rate};
use super::cors::{Cors, Origins};
use super::listener::{Listen, SocketMode};
use super::proxies::{ForwardedHeader, Networks, Proxies};
#[cfg(feature = "tls")]
use super::tls::TlsSettings;
use crate::config::{Config, Invalid, Variable};

/// Connections held at once, unless `MAX_CONNECTIONS` says otherwise.
const CONNECTIONS: NonZeroU32 = NonZeroU32::new(1024).expect("it is above 0");

/// The largest request body, unless `MAX_BODY_BYTES` says otherwise.
const BODY_BYTES: NonZeroU32 = NonZeroU32::new(1024 * 1024).expect("it is above 0");

/// The largest request header, unless `MAX_HEADER_BYTES` says otherwise.
const HEADER_BYTES: HeaderBytes = HeaderBytes(32 * 1024);

/// The variables of a socket that systemd hands over, see `sd_listen_fds(3)`.
const LISTEN_PID: &str = "LISTEN_PID";
const LISTEN_FDS: &str = "LISTEN_FDS";

/// How the HTTP side of a process is set up.
#[derive(Clone, Debug)]
pub(crate) struct WebSettings {
    /// Where it listens; nowhere when there is no address.
    pub(super) listen: Option<Listen>,
    pub(super) limits: Limits,
    pub(super) proxies: Proxies,
    pub(super) cors: Option<Cors>,
    /// Whether answers may be compressed.
    pub(super) compression: bool,
    /// Whether answers get the headers that keep browsers from doing harm.
    pub(super) security_headers: bool,
    #[cfg(feature = "tls")]
    pub(super) tls: Option<TlsSettings>,
}

/// The bounds of connections and requests.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Connections held at once; further ones wait in the kernel's queue.
    pub(super) connections: NonZeroU32,
    /// The largest request body in bytes, as it comes and as it is when unpacked.
    pub(super) body_bytes: NonZeroU32,
    /// The largest request header in bytes.
    pub(super) header_bytes: u32,
    /// From the first byte of a request to the end of its header; also from the opening of a
    /// connection to its first request, the TLS handshake included.
    pub(super) header_time: Duration,
    /// How long all waiting for the bytes of one body may take, before the time that they
    /// earn by coming.
    pub(super) body_time: Duration,
    /// How long a client may take none of the bytes of an answer.
    pub(super) write_time: Duration,
    /// How long a connection may be idle. Longer than clients and gateways commonly keep
    /// theirs, so that they close first and no request meets a closing connection.
    pub(super) idle_time: Duration,
    /// From the end of a request's header to the beginning of its answer; `None` for ever.
    pub(super) request_time: Option<Duration>,
    /// Requests that are worked on at once.
    pub(super) requests: Cap,
    /// What one client may ask.
    pub(super) rate: Option<Rate>,
}

impl WebSettings {
    /// Reads all of it. A process that does not answer users needs no address.
    ///
    /// # Errors
    ///
    /// [`Invalid`] when any of it is wrong; the report of `config` says what.
    pub(crate) fn read(config: &mut Config, wanted: Wanted) -> Result<Self, Invalid> {
        let listen = listen(config, wanted);
        let limits = limits(config);
        let proxies = proxies(config);
        let cors = cors(config);
        let compression = config.or("COMPRESSION", true, "whether answers are compressed (gzip)");
        let about = "whether answers carry the headers that keep browsers from doing harm";
        let security_headers = config.or("SECURITY_HEADERS", true, about);
        #[cfg(feature = "tls")]
        let tls = TlsSettings::read(config);
        Ok(Self {
            listen: listen?,
            limits: limits?,
            proxies: proxies?,
            cors: cors?,
            compression: compression?,
            security_headers: security_headers?,
            #[cfg(feature = "tls")]
            tls: tls?,
        })
    }
}

/// Whether a process listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// It must.
    Yes,
    /// It may, for its health.
    IfAsked,
    /// It does not.
    No,
}

fn listen(config: &mut Config, wanted: Wanted) -> Result<Option<Listen>, Invalid> {
    if wanted == Wanted::No {
        return Ok(None);
    }
    let about = "a socket to listen on instead of HOST and PORT";
    let listen = config.optional::<Listen>("LISTEN", about);
    let mode = config.or("LISTEN_MODE", SocketMode::DEFAULT, "who may connect to a Unix socket");
    let handed = handed_over(config);
    let localhost = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let host = config.or("HOST", localhost, "the address to listen on");
    let about = "the TCP port to listen on";
    let elsewhere = !matches!(handed, Ok(false))
        || listen.is_err()
        || listen.as_ref().is_ok_and(Option::is_some);
    let port = match wanted {
        Wanted::Yes if !elsewhere => config.require("PORT", about).map(Some),
        _ => config.optional("PORT", about),
    };
    let (listen, mode, handed) = (listen?, mode?, handed?);
    let (host, port): (IpAddr, Option<u16>) = (host?, port?);
    Ok(match listen {
        Some(Listen::Unix { path, .. }) => Some(Listen::Unix { path, mode }),
        Some(listen) => Some(listen),
        None if handed => Some(Listen::HandedOver),
        None => port.map(|port| Listen::Tcp(SocketAddr::new(host, port))),
    })
}

/// Whether a supervisor has left a listening socket for this very process. Variables that
/// were meant for its parent say nothing.
fn handed_over(config: &mut Config) -> Result<bool, Invalid> {
    let pid = config.optional::<NonZeroU32>(LISTEN_PID, "set by systemd: whom sockets are for");
    let count = config.optional::<NonZeroU32>(LISTEN_FDS, "set by systemd: how many sockets");
    let ours = pid?.is_some_and(|pid| pid.get() == std::process::id());
    Ok(ours && count?.is_some())
}

fn limits(config: &mut Config) -> Result<Limits, Invalid> {
    let connections =
        config.or("MAX_CONNECTIONS", CONNECTIONS, "how many connections are held at once");
    let body_bytes = config.or("MAX_BODY_BYTES", BODY_BYTES, "the largest request body");
    let header_bytes = config.or("MAX_HEADER_BYTES", HEADER_BYTES, "the largest request header");
    let mut time = |variable, seconds, about| {
        let default = Duration::from_secs(seconds);
        config.or::<Duration>(variable, default, about)
    };
    let header_time = time("HEADER_TIMEOUT", 10, "how long the header of a request may take");
    let body_time = time("BODY_TIMEOUT", 30, "how long waiting for a request body may take");
    let write_time = time("WRITE_TIMEOUT", 30, "how long a client may take none of an answer");
    let idle_time = time("IDLE_TIMEOUT", 75, "how long a connection may be idle");
    let about = "how long the work on a request may take; 0s for ever";
    let request_time = time("REQUEST_TIMEOUT", 30, about);
    let about = "how many requests are worked on at once";
    let requests = config.or("MAX_REQUESTS", Cap::DEFAULT, about);
    let rate = config.optional("RATE_LIMIT", "how much one client may ask");
    let header_bytes: HeaderBytes = header_bytes?;
    Ok(Limits {
        connections: connections?,
        body_bytes: body_bytes?,
        header_bytes: header_bytes.0,
        header_time: header_time?,
        body_time: body_time?,
        write_time: write_time?,
        idle_time: idle_time?,
        request_time: request_time.map(|time| (!time.is_zero()).then_some(time))?,
        requests: requests?,
        rate: rate?,
    })
}

fn proxies(config: &mut Config) -> Result<Proxies, Invalid> {
    let about = "the proxies whose word about the client's address is taken";
    let trusted = config.optional::<Networks>("TRUSTED_PROXIES", about);
    let about = "in which header the trusted proxies name the client";
    let header = config.or("FORWARDED_HEADER", ForwardedHeader::XForwardedFor, about);
    Ok(Proxies::new(trusted?.unwrap_or_default(), header?))
}

fn cors(config: &mut Config) -> Result<Option<Cors>, Invalid> {
    let origins_about = "the origins whose pages may call this service";
    let origins = config.optional::<Origins>("CORS_ORIGINS", origins_about);
    let about = "whether those pages may send cookies and credentials";
    let credentials = config.or("CORS_CREDENTIALS", false, about);
    let (origins, credentials) = (origins?, credentials?);
    match origins {
        Some(Origins::Any) if credentials => {
            let wrong = "allows every origin together with CORS_CREDENTIALS: every page in the \
                         world could act as its visitor";
            Err(config.problem::<Origins>("CORS_ORIGINS", origins_about, wrong.to_owned()))
        }
        origins => Ok(origins.map(|origins| Cors::new(origins, credentials))),
    }
}

/// A number of bytes that a header can be bounded by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct HeaderBytes(u32);

impl Variable for HeaderBytes {
    const EXPECTED: &'static str = "a whole number from 8192 to 1048576, such as 32768";

    fn parse(text: &str) -> Result<Self, String> {
        let number: u32 = text.parse().map_err(|_no_number| "is not a whole number".to_owned())?;
        // Less is no buffer for hyper; more is no header.
        match number {
            8192..=1_048_576 => Ok(Self(number)),
            _ => Err("is out of range".to_owned()),
        }
    }

    fn show(&self) -> String {
        self.0.to_string()
    }
}

#[cfg(test)]
#[path = "settings_tests.rs"]
mod tests;
