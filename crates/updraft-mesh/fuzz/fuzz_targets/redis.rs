//! Redis's messages: however the stream is cut, they are the same and so is what is wrong, and
//! little waits for them.

#![no_main]

use libfuzzer_sys::fuzz_target;
use updraft_mesh::instrument::redis::{Framer, Side};
use updraft_mesh_fuzz::{cut, sow};

/// What `step` says it needs at most.
const WAITING_MAX: usize = 600;

/// Whole messages, with how much of each may be looked at, and what is wrong.
type Seen = (Vec<(Vec<u8>, usize)>, Option<&'static str>);

fuzz_target!(
    init: sow(seeds()),
    |data: &[u8]| {
        let Some((way, data)) = data.split_first() else { return };
        let (pieces, stream) = cut(data);
        let whole = read(*way, &[stream]);
        assert_eq!(read(*way, &pieces), whole);
        let length: usize = whole.0.iter().map(|(message, _)| message.len()).sum();
        assert!(length <= stream.len());
    }
);

fn read(way: u8, pieces: &[&[u8]]) -> Seen {
    let mut framer = Framer::new(if way & 1 == 0 { Side::Client } else { Side::Server });
    let (mut messages, mut current, mut window) = (Vec::new(), Vec::new(), 0);
    let mut buffer = Vec::new();
    for piece in pieces {
        buffer.extend_from_slice(piece);
        loop {
            let frame = match framer.step(&buffer) {
                Ok(Some(frame)) => frame,
                Ok(None) => break,
                Err(malformed) => return (messages, Some(malformed.reason)),
            };
            assert!((1..=buffer.len()).contains(&frame.length));
            assert_eq!(frame.begins.is_some(), current.is_empty());
            if let Some(begins) = frame.begins {
                assert!(begins <= frame.length);
                window = begins;
            }
            current.extend(buffer.drain(..frame.length));
            if frame.ends {
                messages.push((std::mem::take(&mut current), window));
            }
        }
        assert!(buffer.len() < WAITING_MAX, "{} bytes wait", buffer.len());
    }
    (messages, None)
}

fn seeds() -> Vec<Vec<u8>> {
    let command = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$5\r\nv\r\nal\r\n";
    let replies = b"+OK\r\n-ERR no\r\n:12\r\n$-1\r\n*2\r\n$1\r\na\r\n*1\r\n_\r\n";
    let third = b"%1\r\n+k\r\n,1.5\r\n|1\r\n+ttl\r\n:1\r\n~1\r\n#t\r\n>2\r\n+message\r\n=7\r\ntxt:abc\r\n(12\r\n";
    vec![
        [&b"\0\0\0\0\0"[..], command, b"PING\r\nGET k\n\r\n", command].concat(),
        [&b"\0\x01\x02\0\x09"[..], command, command].concat(),
        [&b"\x01\0\0\0\0"[..], replies, third].concat(),
        [&b"\x01\x03\x01\0\x05"[..], third, replies].concat(),
    ]
}
