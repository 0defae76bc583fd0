//! The PROXY header: however it is cut, it says the same, what it says can be written again, and
//! not one byte behind it is taken.

#![no_main]

use std::net::SocketAddr;

use libfuzzer_sys::fuzz_target;
use updraft_mesh::fuzzing::read_proxy_header;
use updraft_mesh_fuzz::{cut, sow};

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

fuzz_target!(
    init: sow(seeds()),
    |data: &[u8]| {
        let (pieces, stream) = cut(data);
        let read = read_proxy_header(&[stream]);
        assert_eq!(read_proxy_header(&pieces), read);
        let Ok(header) = read else { return };
        let (text, behind) = stream.split_at(header.bytes);
        assert_eq!(read_proxy_header(&[text]), Ok(header.clone()));
        assert_eq!(read_proxy_header(&[text, b"x", behind]), Ok(header.clone()));
        assert!(read_proxy_header(&[&text[..text.len() - 1]]).is_err());
        if text.starts_with(SIGNATURE) {
            let length = usize::from(u16::from_be_bytes([text[14], text[15]]));
            assert_eq!(text.len(), SIGNATURE.len() + 4 + length);
            if let Some((source, destination)) = header.ends {
                assert!(text[16..].starts_with(&octets(source, destination)));
            }
            return;
        }
        assert!(text.len() <= 107 && text.ends_with(b"\r\n"));
        assert_eq!(text.iter().filter(|byte| **byte == b'\n').count(), 1);
        match header.ends {
            None => assert!(text.starts_with(b"PROXY UNKNOWN")),
            Some((source @ SocketAddr::V4(_), destination)) => {
                let line = format!(
                    "PROXY TCP4 {} {} {} {}\r\n",
                    source.ip(),
                    destination.ip(),
                    source.port(),
                    destination.port()
                );
                assert_eq!(line.as_bytes(), text);
            }
            // An address of version 6 has many spellings.
            Some(_) => assert!(text.starts_with(b"PROXY TCP6 ")),
        }
    }
);

fn octets(source: SocketAddr, destination: SocketAddr) -> Vec<u8> {
    let ip = |address: SocketAddr| match address {
        SocketAddr::V4(address) => address.ip().octets().to_vec(),
        SocketAddr::V6(address) => address.ip().octets().to_vec(),
    };
    let ports = [source.port().to_be_bytes(), destination.port().to_be_bytes()].concat();
    [ip(source), ip(destination), ports].concat()
}

fn seeds() -> Vec<Vec<u8>> {
    let binary = |fixed: &[u8; 4], rest: &[u8]| [SIGNATURE, fixed, rest, b"GET /"].concat();
    let mut all = vec![
        b"PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\nGET /".to_vec(),
        b"PROXY TCP6 2001:db8::1 ::1 1 65535\r\n".to_vec(),
        b"PROXY UNKNOWN\r\n".to_vec(),
        b"PROXY UNKNOWN ffff::1 any 1 2\r\n".to_vec(),
        binary(b"\x21\x11\0\x0c", &[1, 2, 3, 4, 5, 6, 7, 8, 0, 80, 1, 187]),
        binary(b"\x21\x21\0\x24", &[7; 36]),
        binary(b"\x20\0\0\0", b""),
        binary(b"\x21\x11\0\x10", &[1, 2, 3, 4, 5, 6, 7, 8, 0, 80, 1, 187, 4, 0, 1, 9]),
        binary(b"\x21\x31\0\xd8", &[0; 216]),
    ];
    for seed in &mut all {
        seed.splice(..0, [0, 5, 1, 12]);
    }
    all
}
