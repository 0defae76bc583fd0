//! Whose word about the address of a client is taken. Anybody can write `X-Forwarded-For`, so
//! only what a trusted proxy has added to it counts, read from its end.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use http::{HeaderMap, HeaderName, header};

use crate::config::Variable;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The proxies in front of this service.
#[derive(Clone, Debug, Default)]
pub(crate) struct Proxies {
    trusted: Networks,
    header: ForwardedHeader,
}

/// Networks of trusted peers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Networks {
    networks: Vec<Network>,
    /// Whether whoever connects to the Unix socket is trusted.
    unix: bool,
}

/// A network in CIDR notation (RFC 4632): the addresses that begin like this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Network {
    bits: u128,
    mask: u128,
}

/// Where a proxy writes down whom it speaks for. Only one is read: a proxy that maintains one
/// of them lets the other through as the client wrote it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum ForwardedHeader {
    /// The one that everybody knows.
    #[default]
    XForwardedFor,
    /// RFC 7239.
    Forwarded,
}

impl Variable for Networks {
    const EXPECTED: &'static str =
        "networks with commas between them, such as 10.0.0.0/8,::1 or unix";

    fn parse(text: &str) -> Result<Self, String> {
        let mut networks = Self::default();
        for part in text.split(',').map(str::trim) {
            if part == "unix" {
                networks.unix = true;
            } else {
                let network = Network::parse(part).ok_or("has a part that is no network")?;
                networks.networks.push(network);
            }
        }
        Ok(networks)
    }

    fn show(&self) -> String {
        let networks = self.networks.iter().map(Network::show);
        networks.chain(self.unix.then(|| "unix".to_owned())).collect::<Vec<_>>().join(",")
    }
}

impl Variable for ForwardedHeader {
    const EXPECTED: &'static str = "`x-forwarded-for` or `forwarded`";

    fn parse(text: &str) -> Result<Self, String> {
        match text.to_ascii_lowercase().as_str() {
            "x-forwarded-for" => Ok(Self::XForwardedFor),
            "forwarded" => Ok(Self::Forwarded),
            _ => Err("is neither of the two headers".to_owned()),
        }
    }

    fn show(&self) -> String {
        match self {
            Self::XForwardedFor => "x-forwarded-for".to_owned(),
            Self::Forwarded => "forwarded".to_owned(),
        }
    }
}

impl Network {
    fn parse(text: &str) -> Option<Self> {
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length.parse::<u32>().ok()?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        // IPv4 lives in the last 32 bits, as an address of IPv6 that is mapped.
        let (longest, before) = if address.is_ipv4() { (32, 96) } else { (128, 0) };
        let length = length.unwrap_or(longest);
        if longest < length {
            return None;
        }
        let mask = u128::MAX.checked_shl(longest - length).unwrap_or(0);
        let mask = if before == 0 { mask } else { mask | (u128::MAX << 32) };
        Some(Self { bits: bits(address) & mask, mask })
    }

    fn holds(&self, address: IpAddr) -> bool {
        bits(address) & self.mask == self.bits
    }

    fn show(&self) -> String {
        let address = Ipv6Addr::from_bits(self.bits);
        match address.to_ipv4_mapped() {
            Some(v4) => format!("{v4}/{}", self.mask.count_ones().saturating_sub(96)),
            None => format!("{address}/{}", self.mask.count_ones()),
        }
    }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

impl Proxies {
    pub(super) fn new(trusted: Networks, header: ForwardedHeader) -> Self {
        Self { trusted, header }
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.trusted.networks.iter().any(|network| network.holds(address))
    }

    /// The address of the client: the peer, or whom trusted proxies speak for. `None` when it
    /// came by a Unix socket and nobody trusted says more.
    pub(super) fn client(&self, peer: Option<SocketAddr>, headers: &HeaderMap) -> Option<IpAddr> {
        let peer = peer.map(|peer| peer.ip().to_canonical());
        let trusted = peer.map_or(self.trusted.unix, |peer| self.trusts(peer));
        if !trusted {
            return peer;
        }
        let name = match self.header {
            ForwardedHeader::XForwardedFor => X_FORWARDED_FOR,
            ForwardedHeader::Forwarded => header::FORWARDED,
        };
        let mut client = peer;
        // The last entry was added by our peer, the one before it by the proxy before it.
        for value in headers.get_all(name).iter().rev() {
            let Ok(value) = value.to_str() else { return client };
            for entry in value.rsplit(',') {
                let address = match self.header {
                    ForwardedHeader::XForwardedFor => address(entry.trim()),
                    ForwardedHeader::Forwarded => forwarded_for(entry),
                };
                // What a trusted proxy did not understand ends what can be known.
                let Some(address) = address else { return client };
                client = Some(address);
                if !self.trusts(address) {
                    return client;
                }
            }
        }
        client
    }
}

/// The `for` of one element of `Forwarded`, see RFC 7239, section 4. A comma inside of a
/// quoted text is none that a node has.
fn forwarded_for(element: &str) -> Option<IpAddr> {
    let node = element.split(';').find_map(|pair| {
        let (name, node) = pair.trim().split_once('=')?;
        name.eq_ignore_ascii_case("for").then_some(node)
    })?;
    address(node.trim().trim_matches('"'))
}

/// An address, with or without a port and brackets.
fn address(text: &str) -> Option<IpAddr> {
    let bracketed = text.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    let plain = || text.parse::<IpAddr>().ok();
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    let address = match bracketed {
        Some((inner, _port)) => inner.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        None => plain().or_else(with_port),
    };
    address.map(|address| address.to_canonical())
}

#[cfg(test)]
#[path = "proxies_tests.rs"]
mod tests;
