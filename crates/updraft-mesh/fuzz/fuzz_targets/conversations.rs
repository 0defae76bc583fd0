//! Both sides of PostgreSQL and Redis: which answer belongs to which request does not depend on how
//! a turn was cut.

#![no_main]

use libfuzzer_sys::fuzz_target;
use updraft_mesh::fuzzing::converse;
use updraft_mesh::instrument::stream::Protocol;
use updraft_mesh_fuzz::sow;

fuzz_target!(
    init: sow(seeds()),
    |data: &[u8]| {
        let Some((way, data)) = data.split_first() else { return };
        let protocol = if way & 1 == 0 { Protocol::Postgres } else { Protocol::Redis };
        let (mut turns, mut rest) = (Vec::new(), data);
        while let [head, after @ ..] = rest {
            let (turn, left) = after.split_at(usize::from(head & 0x7f).min(after.len()));
            turns.push((head & 0x80 == 0, turn));
            rest = left;
        }
        assert_eq!(converse(protocol, &turns, true), converse(protocol, &turns, false));
    }
);

/// Turns with their heads, from those of the client and of the server.
fn told(way: u8, turns: &[(u8, &[u8])]) -> Vec<u8> {
    let mut all = vec![way];
    for (side, turn) in turns {
        for part in turn.chunks(127) {
            all.push(side | u8::try_from(part.len()).unwrap_or_default());
            all.extend_from_slice(part);
        }
    }
    all
}

fn seeds() -> Vec<Vec<u8>> {
    const CLIENT: u8 = 0;
    const SERVER: u8 = 0x80;
    let startup = &b"\0\0\0\x17\0\x03\0\0user\0a\0database\0b\0\0"[..];
    let ready = &b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I"[..];
    let extended = &b"P\0\0\0\x10s\0select 1\0\0\0B\0\0\0\x0d\0s\0\0\0\0\0\0\0E\0\0\0\x09\0\0\0\0\0S\0\0\0\x04"[..];
    let done = &b"1\0\0\0\x042\0\0\0\x04C\0\0\0\x0dSELECT 1\0Z\0\0\0\x05I"[..];
    let ssl = &b"\0\0\0\x08\x04\xd2\x16\x2f"[..];
    let query = &b"Q\0\0\0\x0dselect 1\0"[..];
    let failed = &b"E\0\0\0\x10SERROR\0C42601\0\0Z\0\0\0\x05E"[..];
    let set = &b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\nGET k\r\n"[..];
    let subscribe = &b"*2\r\n$9\r\nSUBSCRIBE\r\n$1\r\nc\r\n"[..];
    let pushed = &b"*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\nm\r\n"[..];
    let quiet = &b"CLIENT REPLY SKIP\r\nPING\r\nMULTI\r\nEXEC\r\nMONITOR\r\nRESET\r\n"[..];
    vec![
        told(0, &[(CLIENT, startup), (SERVER, ready), (CLIENT, extended), (SERVER, done)]),
        told(0, &[(CLIENT, ssl), (CLIENT, startup), (SERVER, b"N"), (SERVER, ready), (CLIENT, query), (SERVER, failed)]),
        told(0, &[(CLIENT, ssl), (SERVER, b"S"), (CLIENT, b"\x16\x03\x01")]),
        told(1, &[(CLIENT, set), (SERVER, b"+OK\r\n$1\r\nv\r\n"), (CLIENT, subscribe), (SERVER, pushed)]),
        told(1, &[(CLIENT, quiet), (SERVER, b"+OK\r\n*0\r\n+OK\r\n+1 [0] \"GET\"\r\n+RESET\r\n")]),
    ]
}
