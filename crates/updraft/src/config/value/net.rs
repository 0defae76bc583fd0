//! Addresses and URLs.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use url::Url;

use super::Variable;

/// A type that the standard library reads from its usual text.
macro_rules! addresses {
    ($($type:ty, $expected:literal, $example:literal, $wrong:literal;)*) => {$(
        impl Variable for $type {
            const EXPECTED: &'static str = $expected;
            const EXAMPLE: &'static str = $example;

            fn parse(text: &str) -> Result<Self, String> {
                text.parse().map_err(|_no_address| $wrong.to_owned())
            }

            fn show(&self) -> String {
                self.to_string()
            }
        }
    )*};
}

addresses! {
    IpAddr, "an IP address such as 127.0.0.1, 0.0.0.0 or ::", "127.0.0.1", "is not an IP address";
    Ipv4Addr, "an IPv4 address such as 127.0.0.1", "127.0.0.1", "is not an IPv4 address";
    Ipv6Addr, "an IPv6 address such as ::1", "::1", "is not an IPv6 address";
    SocketAddr, "an IP address with its port, such as 127.0.0.1:8080 or [::1]:8080",
        "127.0.0.1:8080", "is not an IP address with its port";
}

/// It is shown with its scheme, host, port and path alone.
impl Variable for Url {
    const EXPECTED: &'static str = "a URL such as https://example.com/path";
    const EXAMPLE: &'static str = "https://example.com/path";

    fn parse(text: &str) -> Result<Self, String> {
        Self::parse(text).map_err(|_not_url| "is not a URL".to_owned())
    }

    fn show(&self) -> String {
        let scheme = self.scheme();
        if self.cannot_be_a_base() {
            // What follows may be anything, such as the whole of a `data:` URL.
            return format!("{scheme}:…");
        }
        let host = self.host_str().map(|host| format!("//{host}")).unwrap_or_default();
        let port = self.port().map(|port| format!(":{port}")).unwrap_or_default();
        format!("{scheme}:{host}{port}{}", self.path())
    }
}

/// A text that seems to hold a URL, as it may be shown.
pub(super) fn shown_text(text: &str) -> String {
    Url::parse(text)
        .map_or_else(|_not_url| "[not shown: it holds a URL]".to_owned(), |url| url.show())
}
