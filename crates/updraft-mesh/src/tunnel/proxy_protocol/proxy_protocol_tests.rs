//! Laws of the PROXY header: tables of what is right and wrong, and properties.

use std::net::{IpAddr, SocketAddr};

use proptest::prelude::{Just, Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest};
use tokio::io::AsyncReadExt;

use super::v2::{SIGNATURE, crc32c};
use super::{HeaderError, Proxied, read_header};

/// Reads from bytes; also says how many bytes are left.
fn read(mut bytes: &[u8]) -> (Result<Option<Proxied>, HeaderError>, usize) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("runtime");
    let header = runtime.block_on(read_header(&mut bytes));
    (header, bytes.len())
}

fn text(line: &str) -> Option<Option<Proxied>> {
    read(line.as_bytes()).0.ok()
}

fn addresses(source: &str, destination: &str) -> Option<Option<Proxied>> {
    let parse = |text: &str| text.parse().expect("address");
    Some(Some(Proxied { source: parse(source), destination: parse(destination) }))
}

#[test]
fn lines_of_version_1_are_read_strictly() {
    let right = [
        (
            "PROXY TCP4 255.255.255.255 1.2.3.4 65535 0\r\n",
            addresses("255.255.255.255:65535", "1.2.3.4:0"),
        ),
        ("PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n", addresses("0.0.0.0:0", "0.0.0.0:0")),
        ("PROXY TCP6 :: :: 0 0\r\n", addresses("[::]:0", "[::]:0")),
        ("PROXY TCP6 ::1 fe80::2 80 443\r\n", addresses("[::1]:80", "[fe80::2]:443")),
        ("PROXY UNKNOWN\r\n", Some(None)),
        ("PROXY UNKNOWN ffff::1 any thing 1 2\r\n", Some(None)),
    ];
    for (line, expected) in right {
        assert_eq!(text(line), expected, "{line:?}");
        // Not one byte too many, whatever follows.
        for after in ["", "x", "\r\n", "GET / HTTP/1.1\r\n\r\n"] {
            assert_eq!(read(format!("{line}{after}").as_bytes()).1, after.len(), "{line:?}");
        }
    }
    let wrong = [
        "",
        "PROXY",
        "PROXY \r\n",
        "proxy TCP4 1.1.1.1 2.2.2.2 1 2\r\n",
        "PROXY TCP4 1.1.1.1 2.2.2.2 1 2\n",
        "PROXY TCP4 1.1.1.1 2.2.2.2 1 2\r",
        "PROXY TCP4 1.1.1.1  2.2.2.2 1 2\r\n",
        "PROXY TCP4 1.1.1.1 2.2.2.2 1 2 \r\n",
        "PROXY TCP4 01.1.1.1 2.2.2.2 1 2\r\n",
        "PROXY TCP4 1.1.1.1 2.2.2.2 01 2\r\n",
        "PROXY TCP4 1.1.1.1 2.2.2.2 +1 2\r\n",
        "PROXY TCP4 1.1.1.1 2.2.2.2 65536 2\r\n",
        "PROXY TCP4 1.1.1.1 2.2.2.2 1\r\n",
        "PROXY TCP4 ::1 ::2 1 2 3 4 5 6\r\n",
        "PROXY TCP6 1.1.1.1 2.2.2.2 1 2\r\n",
        "PROXY TCP6 fe80::1%lo fe80::2 1 2\r\n",
        "PROXY UDP4 1.1.1.1 2.2.2.2 1 2\r\n",
        "PROXY UNKNOWNX\r\n",
        "GET / HTTP/1.1\r\n\r\n",
    ];
    for line in wrong {
        assert_eq!(text(line), None, "{line:?}");
    }
    let line = |length: usize| format!("PROXY UNKNOWN{}\r\n", " ".repeat(length - 15));
    assert_eq!(text(&line(107)), Some(None));
    assert_eq!(text(&line(108)), None);
}

#[tokio::test]
async fn something_else_is_refused_with_its_first_bytes() {
    for start in ["G", "PROXX", "\r\n\r\nX", "\x16\x03\x01"] {
        let (mut client, mut server) = tokio::io::duplex(64);
        tokio::io::AsyncWriteExt::write_all(&mut client, start.as_bytes()).await.expect("write");
        // The client stays open and silent.
        let header = read_header(&mut server).await;
        assert!(matches!(header, Err(HeaderError::Malformed(_))), "{start:?}: {header:?}");
    }
}

fn version_2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let length = u16::try_from(rest.len()).expect("short").to_be_bytes();
    [&SIGNATURE[..], &[command, family], &length, rest].concat()
}

fn encoded(proxied: Proxied, extensions: &[u8]) -> Vec<u8> {
    let octets = |ip: IpAddr| match ip {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    };
    let Proxied { source, destination } = proxied;
    let mut rest = octets(source.ip());
    rest.extend(octets(destination.ip()));
    rest.extend(source.port().to_be_bytes());
    rest.extend(destination.port().to_be_bytes());
    rest.extend(extensions);
    version_2(0x21, if source.is_ipv4() { 0x11 } else { 0x21 }, &rest)
}

#[test]
fn headers_of_version_2_are_read_strictly() {
    let four = [1, 2, 3, 4, 5, 6, 7, 8, 0, 80, 1, 187];
    let expected = addresses("1.2.3.4:80", "5.6.7.8:443");
    assert_eq!(read(&version_2(0x21, 0x11, &four)).0.ok(), expected);
    let with = |more: &[u8]| version_2(0x21, 0x11, &[&four[..], more].concat());
    assert_eq!(read(&with(&[4, 0, 2, 9, 9, 1, 0, 0])).0.ok(), expected);
    for wrong in [
        version_2(0x11, 0x11, &four),
        version_2(0x22, 0x11, &four),
        version_2(0x21, 0x12, &four),
        version_2(0x21, 0x41, &four),
        version_2(0x21, 0x11, &four[..11]),
        version_2(0x21, 0x21, &four),
        version_2(0x21, 0x31, &[0; 215]),
        with(&[4]),
        with(&[4, 0]),
        with(&[4, 0, 2, 9]),
        with(&[3, 0, 4, 1, 2, 3, 4]),
        with(&[3, 0, 2, 1, 2]),
        version_2(0x21, 0x11, &[0; 4097]),
    ] {
        assert!(matches!(read(&wrong).0, Err(HeaderError::Malformed(_))), "{wrong:?}");
    }
    for silent in [
        version_2(0x20, 0x11, &four),
        version_2(0x20, 0x00, &[]),
        version_2(0x21, 0x00, &[1, 2, 3]),
        version_2(0x21, 0x31, &[0; 216]),
    ] {
        assert_eq!(read(&silent).0.ok(), Some(None), "{silent:?}");
    }
}

#[test]
fn the_checksum_is_that_of_the_standard() {
    // The check value of CRC-32C.
    assert_eq!(crc32c(b"123456789".iter()), 0xe306_9283);
}

fn endpoints() -> impl Strategy<Value = Proxied> {
    let four = any::<([u8; 4], u16, [u8; 4], u16)>().prop_map(|(a, p, b, q)| Proxied {
        source: SocketAddr::from((a, p)),
        destination: SocketAddr::from((b, q)),
    });
    let six = any::<([u8; 16], u16, [u8; 16], u16)>().prop_map(|(a, p, b, q)| Proxied {
        source: SocketAddr::from((a, p)),
        destination: SocketAddr::from((b, q)),
    });
    prop_oneof![four, six]
}

proptest! {
    #[test]
    fn what_is_written_in_version_1_is_read(proxied in endpoints(), after in any::<Vec<u8>>()) {
        let Proxied { source, destination } = proxied;
        let kind = if source.is_ipv4() { "TCP4" } else { "TCP6" };
        let line = format!(
            "PROXY {kind} {} {} {} {}\r\n",
            source.ip(), destination.ip(), source.port(), destination.port()
        );
        let (header, left) = read(&[line.as_bytes(), &after].concat());
        prop_assert_eq!(header.ok(), Some(Some(proxied)));
        prop_assert_eq!(left, after.len());
    }

    #[test]
    fn what_is_written_in_version_2_is_read(
        proxied in endpoints(),
        before in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..40)),
        summed in any::<bool>(),
        after in any::<Vec<u8>>(),
    ) {
        let mut extensions = Vec::new();
        for value in before.iter().chain(&before) {
            extensions.extend([0xe0, 0, u8::try_from(value.len()).expect("short")]);
            extensions.extend(value);
        }
        let mut header = if summed {
            encoded(proxied, &[&[3, 0, 4, 0, 0, 0, 0], &extensions[..]].concat())
        } else {
            encoded(proxied, &extensions)
        };
        if summed {
            let sum = crc32c(header.iter()).to_be_bytes();
            let at = header.len() - extensions.len() - 4;
            header[at..at + 4].copy_from_slice(&sum);
        }
        let (read_back, left) = read(&[&header[..], &after].concat());
        prop_assert_eq!(read_back.ok(), Some(Some(proxied)));
        prop_assert_eq!(left, after.len());
        if summed {
            // Any other header than the one that was summed is refused.
            let last = header.len() - extensions.len() - 5 - 3;
            header[last] ^= 1;
            prop_assert!(read(&header).0.is_err());
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(
        start in prop_oneof![
            Just(Vec::new()),
            Just(b"PROXY TCP4 ".to_vec()),
            Just(b"PROXY ".to_vec()),
            Just(SIGNATURE.to_vec()),
            Just([&SIGNATURE[..], &[0x21, 0x11, 0]].concat()),
        ],
        bytes in any::<Vec<u8>>(),
    ) {
        let all = [start, bytes].concat();
        let (header, left) = read(&all);
        if header.is_ok() {
            // What was taken is the header: it reads the same alone, and no shorter one does.
            let taken = all.len() - left;
            prop_assert_eq!(read(&all[..taken]).0.ok(), header.ok());
            prop_assert!(read(&all[..taken - 1]).0.is_err());
        }
    }
}

/// Bytes that come one by one are read like those that come together.
#[tokio::test]
async fn the_size_of_reads_changes_nothing() {
    let proxied = addresses("1.2.3.4:80", "5.6.7.8:443").flatten().expect("addresses");
    for header in [b"PROXY TCP4 1.2.3.4 5.6.7.8 80 443\r\n".to_vec(), encoded(proxied, &[])] {
        let (mut client, mut server) = tokio::io::duplex(1);
        let sent = [&header[..], b"rest"].concat();
        let writing = tokio::spawn(async move {
            tokio::io::AsyncWriteExt::write_all(&mut client, &sent).await.expect("write");
        });
        assert_eq!(read_header(&mut server).await.expect("header"), Some(proxied));
        let mut rest = String::new();
        server.read_to_string(&mut rest).await.expect("rest");
        assert_eq!(rest, "rest");
        writing.await.expect("written");
    }
}
