//! Which resources are behind a gateway, and what their address is through it.
//!
//! A resource is behind a gateway when its address is one plain IP address (or `localhost`)
//! and port. What is reached by TLS and by name goes past the gateway: the name is part of
//! what its certificate proves, and another address would break that.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use url::{Host, Url};

use crate::resource::ResourceUrl;

/// Schemes of servers with their usual port.
const SCHEMES: &[(&str, u16)] = &[
    ("http", 80),
    ("postgres", 5432),
    ("postgresql", 5432),
    ("redis", 6379),
    ("nats", 4222),
    ("smtp", 25),
];

/// Values of PostgreSQL's `sslmode` that check the server's name.
const NAMED: &[&str] = &["verify-ca", "verify-full"];

/// Where the server of a resource listens; `None`: it goes past the gateway.
pub(crate) fn endpoint(url: &ResourceUrl) -> Option<SocketAddr> {
    let url = Url::parse(url.expose()).ok()?;
    let (_, usual) = SCHEMES.iter().find(|(scheme, _)| *scheme == url.scheme())?;
    let named = url.query_pairs().any(|(key, value)| key == "sslmode" && NAMED.contains(&&*value));
    let ip = match url.host()? {
        Host::Ipv4(ip) => IpAddr::V4(ip),
        Host::Ipv6(ip) => IpAddr::V6(ip),
        // Hosts of schemes that are not the web's are opaque text.
        Host::Domain("localhost") => IpAddr::V4(Ipv4Addr::LOCALHOST),
        Host::Domain(text) => text.trim_matches(['[', ']']).parse().ok()?,
    };
    (!named).then(|| SocketAddr::new(ip, url.port().unwrap_or(*usual)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> ResourceUrl {
        ResourceUrl::parse(text).unwrap()
    }

    #[test]
    fn plain_addresses_are_behind_a_gateway_and_others_are_not() {
        for (text, expected) in [
            ("postgresql://app:x@127.0.0.1:5433/shop", Some("127.0.0.1:5433")),
            ("postgres://app@localhost/shop", Some("127.0.0.1:5432")),
            ("postgres://app@[::1]:5433/shop", Some("[::1]:5433")),
            ("redis://:p@10.0.0.7", Some("10.0.0.7:6379")),
            ("nats://t@127.0.0.1:4222", Some("127.0.0.1:4222")),
            ("postgres://db.example/shop?sslmode=require", None),
            ("postgres://10.0.0.7/shop?sslmode=verify-full", None),
            ("rediss://10.0.0.7", None),
            ("sqlite:///a/b.sqlite3", None),
            ("memory:", None),
        ] {
            let expected = expected.map(|address| address.parse().unwrap());
            assert_eq!(endpoint(&url(text)), expected, "{text}");
        }
    }

    #[test]
    fn only_host_and_port_change() {
        for (text, expected) in [
            (
                "postgresql://app:x@10.1.1.1:5433/shop?a=b",
                "postgresql://app:x@127.0.0.1:9/shop?a=b",
            ),
            ("redis://:p@w@10.0.0.7", "redis://:p@w@127.0.0.1:9"),
            ("nats://127.0.0.1:4222", "nats://127.0.0.1:9"),
            ("postgres://u@[::1]:1/db#x", "postgres://u@127.0.0.1:9/db#x"),
        ] {
            assert_eq!(url(text).through(9).expose(), expected, "{text}");
        }
    }
}
