//! The framer against a reader that has the whole conversation at once.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// What is seen of a message: its tag, its length and what may be looked at of its body.
type Seen = (Tag, u64, Vec<u8>);

/// Gives the bytes in parts of these sizes, as a relay does, and puts the pieces together.
fn frames(framer: &mut Framer, bytes: &[u8], parts: &[usize]) -> Result<Vec<Seen>, Malformed> {
    let mut seen: Vec<Seen> = Vec::new();
    let (mut buffer, mut given, mut parts) = (Vec::new(), 0, parts.iter().cycle());
    let mut inside = 0;
    while given < bytes.len() {
        let part = parts.next().copied().unwrap_or(1).clamp(1, bytes.len() - given);
        buffer.extend_from_slice(&bytes[given..given + part]);
        given += part;
        while let Some(frame) = framer.step(&buffer)? {
            assert!((1..=buffer.len()).contains(&frame.length));
            if let Some(start) = frame.begins {
                assert_eq!(inside, 0, "a message begins inside of another one");
                inside = start.total;
                seen.push((start.tag, start.total, buffer[start.body].to_vec()));
            }
            inside -= frame.length as u64;
            assert_eq!(frame.ends, inside == 0);
            buffer.drain(..frame.length);
        }
        assert!(buffer.len() < 600 || framer.is_negotiating(), "{} bytes wait", buffer.len());
    }
    Ok(seen)
}

/// All at once, by the letter of the documentation.
fn reference(side: Side, mut bytes: &[u8]) -> Vec<Seen> {
    let mut seen = Vec::new();
    while bytes.len() >= 5 {
        let total = u32::from_be_bytes(bytes[1..5].try_into().unwrap()) as usize + 1;
        if bytes.len() < total.min(512) {
            break;
        }
        let letters: &[u8] = if side == Side::Frontend { b"QPBEC" } else { b"CEZ" };
        let looked_at = letters.contains(&bytes[0]);
        let body = if looked_at { bytes[5..total.min(512)].to_vec() } else { Vec::new() };
        seen.push((Tag::Typed(bytes[0]), total as u64, body));
        bytes = &bytes[total.min(bytes.len())..];
    }
    seen
}

fn typed_message(letter: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap();
    [&[letter][..], &length.to_be_bytes(), body].concat()
}

fn packet(code: u32, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 8).unwrap();
    [&length.to_be_bytes()[..], &code.to_be_bytes(), body].concat()
}

fn startup() -> Vec<u8> {
    packet(3 << 16, b"user\0pg\0\0")
}

fn conversation() -> impl Strategy<Value = Vec<u8>> {
    let letter = proptest::sample::select(b"QPBECDHSFXcdfpRKZTADNWGI123stvVn".to_vec());
    let body = prop_oneof![vec(any::<u8>(), 0..40), vec(any::<u8>(), 480..1400)];
    vec((letter, body), 0..12)
        .prop_map(|messages| messages.iter().flat_map(|(l, b)| typed_message(*l, b)).collect())
}

proptest! {
    #[test]
    fn any_split_gives_the_same_messages(
        bytes in conversation(),
        parts in vec(1_usize..700, 1..20),
    ) {
        let seen = frames(&mut Framer::new(Side::Backend), &bytes, &parts).unwrap();
        prop_assert_eq!(seen, reference(Side::Backend, &bytes));

        let mut frontend = Framer::new(Side::Frontend);
        let opening = startup();
        let all = [opening.clone(), bytes.clone()].concat();
        let seen = frames(&mut frontend, &all, &parts).unwrap();
        prop_assert_eq!(&seen[0], &(Tag::Startup, opening.len() as u64, Vec::new()));
        prop_assert_eq!(&seen[1..], reference(Side::Frontend, &bytes));
    }

    #[test]
    fn arbitrary_bytes_give_frames_or_an_error(
        bytes in vec(any::<u8>(), 0..3000),
        parts in vec(1_usize..700, 1..20),
        backend in any::<bool>(),
        answering in any::<bool>(),
    ) {
        let mut framer = Framer::new(if backend { Side::Backend } else { Side::Frontend });
        if answering && backend {
            framer.expect_answer();
        }
        let result = frames(&mut framer, &bytes, &parts);
        let other = Framer::new(if backend { Side::Backend } else { Side::Frontend });
        let mut other = other;
        if answering && backend {
            other.expect_answer();
        }
        // Whether it is an error does not depend on how the bytes came.
        prop_assert_eq!(result.is_err(), frames(&mut other, &bytes, &[usize::MAX]).is_err());
    }
}

#[test]
fn a_message_is_never_collected() {
    let mut framer = Framer::new(Side::Backend);
    let mut head = typed_message(b'D', b"");
    head[1..5].copy_from_slice(&100_000_004_u32.to_be_bytes());
    let first = framer.step(&head).unwrap().unwrap();
    assert_eq!((first.length, first.ends), (5, false));
    let (row, mut left) = ([0_u8; 8192], 100_000_000_usize);
    while left > 0 {
        let frame = framer.step(&row[..left.min(row.len())]).unwrap().unwrap();
        assert_eq!(frame.length, left.min(row.len()));
        left -= frame.length;
        assert_eq!(frame.ends, left == 0);
    }
    assert!(!framer.is_inside());
}

#[test]
fn encryption_is_negotiated_in_any_order() {
    let mut client = Framer::new(Side::Frontend);
    let mut server = Framer::new(Side::Backend);
    for (code, tag) in [(GSS_REQUEST, Tag::GssRequest), (SSL_REQUEST, Tag::SslRequest)] {
        let request = [packet(code, b""), startup()].concat();
        let frame = client.step(&request).unwrap().unwrap();
        assert_eq!(frame.begins.unwrap().tag, tag);
        // What comes too early is not read before the answer is known.
        assert!(client.step(&request[frame.length..]).unwrap().is_none());
        server.expect_answer();
        let answer = server.step(b"N").unwrap().unwrap();
        assert_eq!(answer.begins.unwrap().tag, Tag::Answer(b'N'));
        client.answered(false);
    }
    assert_eq!(client.step(&startup()).unwrap().unwrap().begins.unwrap().tag, Tag::Startup);
}

#[test]
fn after_encryption_nothing_can_be_told_apart() {
    let mut client = Framer::new(Side::Frontend);
    client.step(&packet(SSL_REQUEST, b"")).unwrap().unwrap();
    client.answered(true);
    let frame = client.step(&[0x16, 3, 1, 0, 0, 0, 0, 0, 0, 0]).unwrap().unwrap();
    assert_eq!((frame.length, frame.begins.unwrap().tag), (10, Tag::Raw));

    let mut direct = Framer::new(Side::Frontend);
    let frame = direct.step(&[0x16]).unwrap().unwrap();
    assert_eq!((frame.length, frame.begins.unwrap().tag), (1, Tag::Raw));
}

#[test]
fn impossible_heads_are_refused() {
    for bytes in [
        &b"\0\0\0\x07\0\x03\0\0"[..],
        b"\0\0\x27\x11\0\x03\0\0",
        b"GET / HTTP/1.1\r\n",
        b"\0\0\0\x09\0\x02\0\0\0",
        b"\0\0\0\x09\x04\xd2\x16\x2f\0",
    ] {
        assert!(Framer::new(Side::Frontend).step(bytes).is_err(), "{bytes:?}");
    }
    for bytes in [&b"\0"[..], b"Z\0\0\0\x03", b"D\x40\0\0\0", b"-ERR\r\n"] {
        assert!(Framer::new(Side::Backend).step(bytes).is_err(), "{bytes:?}");
    }
}
