//! WebSocket: spoken, bounded, told to go, and closed to strangers' pages.

use std::io::Read as _;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::support::Process;
use crate::wire::{Wire, tcp};

const TEXT: u8 = 1;
const CLOSE: u8 = 8;

fn upgrade(address: &str, headers: &[(&str, &str)]) -> (u16, Wire<TcpStream>) {
    let mut connection = tcp(address);
    let mut all = vec![
        ("connection", "upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    all.extend_from_slice(headers);
    let mut head = "GET /ws HTTP/1.1\r\nhost: test\r\n".to_owned();
    for (name, value) in all {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    connection.send(head + "\r\n").unwrap();
    let answer = connection.head().unwrap();
    if answer.status == 101 {
        // The key of the example in RFC 6455, section 1.3.
        assert_eq!(answer.header("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    }
    (answer.status, connection)
}

/// Sends one frame, masked with zeros as a client must (RFC 6455, section 5.3).
fn send(connection: &mut Wire<TcpStream>, opcode: u8, payload: &[u8]) {
    let mut frame = vec![0x80 | opcode];
    match u8::try_from(payload.len()) {
        Ok(length @ 0..=125) => frame.push(0x80 | length),
        _ => {
            frame.push(0x80 | 126);
            frame.extend(u16::try_from(payload.len()).unwrap().to_be_bytes());
        }
    }
    frame.extend([0; 4]);
    frame.extend(payload);
    connection.send(frame).unwrap();
}

/// The next frame, which is a short one.
fn receive(connection: &mut Wire<TcpStream>) -> (u8, Vec<u8>) {
    let mut head = [0; 2];
    connection.0.read_exact(&mut head).unwrap();
    let mut payload = vec![0; usize::from(head[1])];
    connection.0.read_exact(&mut payload).unwrap();
    (head[0] & 0x0f, payload)
}

#[test]
fn messages_are_echoed_and_a_message_that_is_too_large_ends_it() {
    let (_process, address) = Process::web(&[("MAX_BODY_BYTES", "1000")]);
    let (status, mut connection) = upgrade(&address, &[]);
    assert_eq!(status, 101);
    send(&mut connection, TEXT, b"hello");
    assert_eq!(receive(&mut connection), (TEXT, b"hello".to_vec()));
    send(&mut connection, TEXT, &[b'x'; 1001]);
    assert!(!connection.rest().starts_with(&[0x80 | TEXT]), "it is not echoed");
}

#[test]
fn in_a_drain_it_is_told_that_the_process_goes_away_and_does_not_hold_it_up() {
    let (process, address) = Process::web(&[("SHUTDOWN_GRACE", "20s")]);
    let (_, mut polite) = upgrade(&address, &[]);
    let (_, mut deaf) = upgrade(&address, &[]);
    for connection in [&mut polite, &mut deaf] {
        send(connection, TEXT, b"hello");
        receive(connection);
    }
    let began = Instant::now();
    process.signal(Signal::TERM);
    let (opcode, payload) = receive(&mut polite);
    assert_eq!((opcode, &payload[..2]), (CLOSE, &1001_u16.to_be_bytes()[..]));
    send(&mut polite, CLOSE, &payload[..2]);
    assert_eq!(polite.rest(), b"");
    let (status, _) = process.end();
    assert_eq!(status.code(), Some(0));
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    assert_eq!(receive(&mut deaf).0, CLOSE);
}

#[test]
fn pages_of_other_origins_may_connect_only_when_they_are_listed() {
    let (_process, address) = Process::web(&[("CORS_ORIGINS", "https://shop.example")]);
    for (origin, status) in [
        ("https://shop.example", 101),
        ("http://test", 101),
        ("https://evil.example", 403),
        ("http://test.evil.example", 403),
        ("null", 403),
    ] {
        assert_eq!(upgrade(&address, &[("origin", origin)]).0, status, "{origin}");
    }
}

#[test]
fn it_keeps_its_place_among_the_connections() {
    let (_process, address) = Process::web(&[("MAX_CONNECTIONS", "1")]);
    let (_, mut first) = upgrade(&address, &[]);
    send(&mut first, TEXT, b"hello");
    receive(&mut first);
    let mut second = tcp(&address);
    second.send("GET / HTTP/1.1\r\nhost: test\r\n\r\n").unwrap();
    second.0.get_ref().set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    assert!(second.head().is_err());
    drop(first);
    second.0.get_ref().set_read_timeout(Some(crate::support::PATIENCE)).unwrap();
    assert_eq!(second.answer().unwrap().status, 200);
}
