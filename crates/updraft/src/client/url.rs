//! Where a service is: one or several addresses of the same.

use url::Url;

use crate::attachment::Location;
use crate::config::Variable;

/// Addresses that one variable may name.
const PLACES_MOST: usize = 16;

/// Where another service is, such as `http://host:port`: one URL, or several of the same
/// service with commas between them.
///
/// | scheme | speaks |
/// |---|---|
/// | `http` | HTTP/1.1 |
/// | `h2c` | HTTP/2 without encryption, known beforehand (RFC 9113 §3.3) |
/// | `https` | HTTP/2 or HTTP/1.1, as agreed by ALPN; needs the feature `tls` |
/// | `unix` | HTTP/1.1 through the socket of this path, such as `unix:/run/orders.sock` |
///
/// A path is put before that of each call. Users, passwords, queries and fragments are refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceUrl {
    pub(super) places: Vec<Place>,
}

/// One URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) protocol: Protocol,
    /// The name or address of the host; the path of a socket.
    pub(super) host: String,
    pub(super) port: u16,
    /// The path, without a slash at its end.
    pub(super) base: String,
}

/// How it is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Http,
    H2c,
    Https,
    Unix,
}

impl Protocol {
    pub(super) fn scheme(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::H2c => "h2c",
            Self::Https => "https",
            Self::Unix => "unix",
        }
    }
}

impl Place {
    fn parse(text: &str) -> Result<Self, String> {
        let wrong = |what: &str| Err(what.to_owned());
        if let Some(path) = text.strip_prefix("unix:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            return match path.starts_with('/') && !path.contains('\0') {
                true => Ok(Self {
                    protocol: Protocol::Unix,
                    host: path.to_owned(),
                    port: 0,
                    base: String::new(),
                }),
                false => wrong("names a socket that is no absolute path"),
            };
        }
        // `Url` knows the hosts of `http`, and treats `h2c` as something else.
        let (text, is_h2c) = match text.strip_prefix("h2c://") {
            Some(rest) => (format!("http://{rest}"), true),
            None => (text.to_owned(), false),
        };
        let url = Url::parse(&text).map_err(|_not_url| "is not a URL".to_owned())?;
        let protocol = match url.scheme() {
            "http" if is_h2c => Protocol::H2c,
            "http" => Protocol::Http,
            "https" if cfg!(feature = "tls") => Protocol::Https,
            "https" => {
                return wrong("is https: build the service with the feature `tls` of updraft");
            }
            _ => return wrong("is not an http URL"),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return wrong("holds a user name or password, which are not sent");
        }
        if url.query().is_some() || url.fragment().is_some() {
            return wrong("has a query or fragment");
        }
        let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
            return wrong("names no host");
        };
        if port == 0 {
            return wrong("has port 0, where nobody can be reached");
        }
        let base = url.path().trim_end_matches('/').to_owned();
        Ok(Self { protocol, host: host.to_owned(), port, base })
    }

    /// Host and port as a URI has them.
    pub(super) fn authority(&self) -> String {
        let usual = match self.protocol {
            Protocol::Unix => return "localhost".to_owned(),
            Protocol::Http | Protocol::H2c => 80,
            Protocol::Https => 443,
        };
        if self.port == usual { self.host.clone() } else { format!("{}:{}", self.host, self.port) }
    }

    /// The URL, without its scheme.
    fn rest(&self) -> String {
        match self.protocol {
            Protocol::Unix => self.host.clone(),
            _ => format!("//{}{}", self.authority(), self.base),
        }
    }
}

impl Variable for ServiceUrl {
    const EXPECTED: &'static str =
        "the URL of a service, such as http://127.0.0.1:8080, or several with commas between them";
    const EXAMPLE: &'static str = "http://127.0.0.1:8080";

    fn parse(text: &str) -> Result<Self, String> {
        let texts: Vec<_> = text.split(',').map(str::trim).collect();
        if PLACES_MOST < texts.len() {
            return Err(format!("has more than {PLACES_MOST} URLs"));
        }
        let places = texts.into_iter().map(Place::parse).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { places })
    }

    fn show(&self) -> String {
        let shown = |place: &Place| format!("{}:{}", place.protocol.scheme(), place.rest());
        self.places.iter().map(shown).collect::<Vec<_>>().join(",")
    }
}

impl ServiceUrl {
    pub(super) fn location(&self) -> Location {
        let shown = self.show();
        let kind = self.places.first().map_or("http", |place| place.protocol.scheme());
        let place = shown.strip_prefix(kind).and_then(|rest| rest.strip_prefix(':'));
        Location::new(kind, place.unwrap_or_default())
    }

    /// What stands for a service whose variable says nothing.
    pub(super) fn nowhere() -> Self {
        Self { places: Vec::new() }
    }

    /// Whether any of it is encrypted.
    #[cfg(feature = "tls")]
    pub(super) fn is_encrypted(&self) -> bool {
        self.places.iter().any(|place| place.protocol == Protocol::Https)
    }
}

#[cfg(test)]
#[path = "url_tests.rs"]
mod tests;
