//! PostgreSQL's messages: however the stream is cut, they are the same and so is what is wrong,
//! and little waits for them.

#![no_main]

use libfuzzer_sys::fuzz_target;
use updraft_mesh::instrument::postgres::{Framer, Side, Tag};
use updraft_mesh_fuzz::{cut, sow};

/// What `step` says it needs at most.
const WAITING_MAX: usize = 600;

/// Messages by their tag, length and what may be looked at, bytes that are told apart no more,
/// whether one is under way, and what is wrong.
type Seen = (Vec<(Tag, u64, Vec<u8>)>, usize, bool, Option<&'static str>);

fuzz_target!(
    init: sow(seeds()),
    |data: &[u8]| {
        let Some((way, data)) = data.split_first() else { return };
        let (pieces, stream) = cut(data);
        assert_eq!(read(*way, &pieces), read(*way, &[stream]));
    }
);

fn read(way: u8, pieces: &[&[u8]]) -> Seen {
    let mut framer = Framer::new(if way & 1 == 0 { Side::Frontend } else { Side::Backend });
    if way & 2 == 2 && way & 1 == 1 {
        framer.expect_answer();
    }
    let (mut messages, mut raw, mut left, mut buffer) = (Vec::new(), 0, 0, Vec::new());
    for piece in pieces {
        buffer.extend_from_slice(piece);
        loop {
            let frame = match framer.step(&buffer) {
                Ok(Some(frame)) => frame,
                Ok(None) if framer.is_negotiating() => {
                    framer.answered(way & 4 == 4);
                    if buffer.is_empty() { break } else { continue }
                }
                Ok(None) => break,
                Err(malformed) => return (messages, raw, left > 0, Some(malformed.reason)),
            };
            assert!((1..=buffer.len()).contains(&frame.length));
            if let Some(start) = frame.begins {
                assert_eq!(left, 0, "a message begins inside of another one");
                left = start.total;
                if start.tag == Tag::Raw {
                    raw += frame.length;
                } else {
                    messages.push((start.tag, start.total, buffer[start.body].to_vec()));
                }
            }
            left -= u64::try_from(frame.length).unwrap_or(u64::MAX);
            assert_eq!((frame.ends, framer.is_inside()), (left == 0, left > 0));
            buffer.drain(..frame.length);
        }
        assert!(buffer.len() < WAITING_MAX, "{} bytes wait", buffer.len());
    }
    (messages, raw, left > 0, None)
}

fn seeds() -> Vec<Vec<u8>> {
    let startup = b"\0\0\0\x17\0\x03\0\0user\0a\0database\0b\0\0";
    let ssl = b"\0\0\0\x08\x04\xd2\x16\x2f";
    let query = b"Q\0\0\0\x0dselect 1\0";
    let answer = b"C\0\0\0\x0dSELECT 1\0Z\0\0\0\x05I";
    let error = b"E\0\0\0\x10SERROR\0C42601\0\0Z\0\0\0\x05E";
    vec![
        [&b"\0\0\0\0\0"[..], startup, query].concat(),
        [&b"\0\x03\x05\0\x01"[..], ssl, startup, query].concat(),
        [&b"\x04\0\0\0\0"[..], ssl, b"\x16\x03\x01"].concat(),
        [&b"\0\0\0\0\0"[..], b"\0\0\0\x10\x04\xd2\x16\x2e\0\0\0\x01\0\0\0\x02"].concat(),
        [&b"\x01\x02\0\x07\x01"[..], answer, error].concat(),
        [&b"\x03\0\0\0\0N"[..], answer].concat(),
        [&b"\x03\0\0\0\0S"[..], answer].concat(),
    ]
}
