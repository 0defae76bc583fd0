//! Whom a request is counted for, whatever its headers claim.

use super::*;

fn client(trusted: &str, header: &str, peer: &str, values: &[&str]) -> String {
    let trusted =
        if trusted.is_empty() { Ok(Networks::default()) } else { Networks::parse(trusted) };
    let header = ForwardedHeader::parse(header).unwrap();
    let name = match header {
        ForwardedHeader::XForwardedFor => "x-forwarded-for",
        ForwardedHeader::Forwarded => "forwarded",
    };
    let mut headers = HeaderMap::new();
    for value in values {
        headers.append(name, value.parse().unwrap());
    }
    let peer = (peer != "unix").then(|| SocketAddr::new(peer.parse().unwrap(), 9));
    let client = Proxies::new(trusted.unwrap(), header).client(peer, &headers);
    client.map_or("nobody".to_owned(), |client| client.to_string())
}

#[test]
fn only_what_trusted_proxies_have_added_counts() {
    let cases = [
        // Nobody is trusted: the header is a stranger's claim.
        ("", "192.0.2.1", &["203.0.113.9"][..], "192.0.2.1"),
        ("10.0.0.0/8", "192.0.2.1", &["203.0.113.9"], "192.0.2.1"),
        ("10.0.0.0/8", "10.1.2.3", &["203.0.113.9"], "203.0.113.9"),
        // The client wrote the first entry itself.
        ("10.0.0.0/8", "10.1.2.3", &["127.0.0.1, 203.0.113.9"], "203.0.113.9"),
        ("10.0.0.0/8", "10.1.2.3", &["127.0.0.1", "203.0.113.9"], "203.0.113.9"),
        // Two proxies in a row.
        ("10.0.0.0/8", "10.1.2.3", &["203.0.113.9, 10.9.9.9"], "203.0.113.9"),
        ("10.0.0.0/8", "10.1.2.3", &["10.8.8.8, 10.9.9.9"], "10.8.8.8"),
        ("10.0.0.0/8", "10.1.2.3", &[], "10.1.2.3"),
        ("10.0.0.0/8", "10.1.2.3", &["garbage"], "10.1.2.3"),
        ("10.0.0.0/8", "10.1.2.3", &["203.0.113.9, garbage"], "10.1.2.3"),
        ("10.0.0.0/8", "10.1.2.3", &["203.0.113.9:4711"], "203.0.113.9"),
        // An address of IPv4 that a socket of IPv6 shows.
        ("10.0.0.0/8", "::ffff:10.1.2.3", &["203.0.113.9"], "203.0.113.9"),
        ("2001:db8::/32", "2001:db8::1", &["[2001:dead::7]:80"], "2001:dead::7"),
        ("2001:db8::/32", "2001:db9::1", &["203.0.113.9"], "2001:db9::1"),
        ("unix", "unix", &["203.0.113.9"], "203.0.113.9"),
        ("10.0.0.0/8", "unix", &["203.0.113.9"], "nobody"),
        ("0.0.0.0/0", "192.0.2.1", &["203.0.113.9"], "203.0.113.9"),
    ];
    for (trusted, peer, values, expected) in cases {
        let found = client(trusted, "x-forwarded-for", peer, values);
        assert_eq!(found, expected, "{trusted} {peer} {values:?}");
    }
}

#[test]
fn the_standard_header_is_read_where_it_is_asked_for() {
    let cases = [
        (&["for=203.0.113.9;proto=https"][..], "203.0.113.9"),
        (&["For=\"[2001:db8::1]:80\";by=x"], "2001:db8::1"),
        (&["for=127.0.0.1, proto=http;for=203.0.113.9"], "203.0.113.9"),
        (&["for=unknown"], "10.1.2.3"),
        (&["proto=https"], "10.1.2.3"),
    ];
    for (values, expected) in cases {
        assert_eq!(client("10.0.0.0/8", "forwarded", "10.1.2.3", values), expected, "{values:?}");
    }
}

#[test]
fn a_network_is_shown_as_it_is_read() {
    for text in ["10.0.0.0/8", "192.0.2.7/32", "2001:db8::/32", "0.0.0.0/0", "::/0"] {
        assert_eq!(Networks::parse(text).unwrap().show(), text);
    }
    for wrong in ["10.0.0.0/33", "10.0.0/8", "::/129", "10.0.0.0/-1", "", "a,b", "10.0.0.0/8,"] {
        assert!(Networks::parse(wrong).is_err(), "{wrong}");
    }
}
