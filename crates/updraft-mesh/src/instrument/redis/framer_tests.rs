//! The framer against a parser that has all bytes at once.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// Gives the bytes in parts of these sizes, as a relay does: the messages, whole, and what is
/// left of the last one.
fn messages(
    framer: &mut Framer,
    bytes: &[u8],
    parts: &[usize],
) -> Result<(Vec<Vec<u8>>, Vec<u8>), Malformed> {
    let (mut messages, mut current) = (Vec::new(), Vec::new());
    let (mut buffer, mut given, mut parts) = (Vec::new(), 0, parts.iter().cycle());
    while given < bytes.len() {
        let part = parts.next().copied().unwrap_or(1).clamp(1, bytes.len() - given);
        buffer.extend_from_slice(&bytes[given..given + part]);
        given += part;
        while let Some(frame) = framer.step(&buffer)? {
            assert!((1..=buffer.len()).contains(&frame.length));
            assert_eq!(frame.begins.is_some(), current.is_empty());
            current.extend(buffer.drain(..frame.length));
            if frame.ends {
                messages.push(std::mem::take(&mut current));
            }
        }
        assert!(buffer.len() < 600, "{} bytes wait", buffer.len());
        assert!(framer.levels.len() <= DEPTH_MAX);
    }
    current.extend(buffer);
    Ok((messages, current))
}

/// The end of the value that begins at `at`, by recursion; `None` when it is not all there.
fn reference(bytes: &[u8], at: usize) -> Option<usize> {
    let line_end = at + bytes.get(at..)?.windows(2).position(|two| two == b"\r\n")? + 2;
    let number =
        || std::str::from_utf8(&bytes[at + 1..line_end - 2]).unwrap().parse::<i64>().unwrap();
    let elements = |count: i64| (0..count).try_fold(line_end, |at, _| reference(bytes, at));
    match bytes[at] {
        b'$' | b'=' | b'!' => {
            let length = usize::try_from(number()).ok();
            let end = length.map_or(line_end, |length| line_end + length + 2);
            (end <= bytes.len()).then_some(end)
        }
        b'*' | b'~' | b'>' => elements(number()),
        b'%' => elements(number() * 2),
        b'|' => reference(bytes, elements(number() * 2)?),
        _ => Some(line_end),
    }
}

fn split(bytes: &[u8]) -> Vec<Vec<u8>> {
    let (mut at, mut all) = (0, Vec::new());
    while at < bytes.len() {
        let Some(end) = reference(bytes, at) else { break };
        all.push(bytes[at..end].to_vec());
        at = end;
    }
    all
}

fn string(kind: char, body: &[u8]) -> Vec<u8> {
    [format!("{kind}{}\r\n", body.len()).as_bytes(), body, b"\r\n"].concat()
}

fn value() -> impl Strategy<Value = Vec<u8>> {
    let line = ("[-+:,#_(]", "[ -~]{0,30}")
        .prop_map(|(kind, line)| format!("{kind}{line}\r\n").into_bytes());
    let small = (proptest::sample::select(vec!['$', '=', '!']), vec(any::<u8>(), 0..20))
        .prop_map(|(kind, body)| string(kind, &body));
    let large = vec(any::<u8>(), 400..1500).prop_map(|body| string('$', &body));
    let null = proptest::sample::select(vec![
        b"$-1\r\n".to_vec(),
        b"*-1\r\n".to_vec(),
        b"*0\r\n".to_vec(),
        b"$0\r\n\r\n".to_vec(),
    ]);
    prop_oneof![4 => line, 4 => small, 1 => large, 1 => null].prop_recursive(5, 60, 6, |inner| {
        let several = vec(inner.clone(), 0..6);
        let pairs = vec((inner.clone(), inner.clone()), 0..4);
        prop_oneof![
            (proptest::sample::select(vec!['*', '~', '>']), several).prop_map(|(kind, all)| {
                [format!("{kind}{}\r\n", all.len()).into_bytes(), all.concat()].concat()
            }),
            pairs.clone().prop_map(|all| map('%', &all)),
            (pairs, inner).prop_map(|(all, value)| [map('|', &all), value].concat()),
        ]
    })
}

fn map(kind: char, pairs: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
    let body: Vec<u8> = pairs.iter().flat_map(|(key, value)| [&key[..], value].concat()).collect();
    [format!("{kind}{}\r\n", pairs.len()).into_bytes(), body].concat()
}

fn command() -> impl Strategy<Value = Vec<u8>> {
    let word = prop_oneof![vec(any::<u8>(), 0..12), vec(any::<u8>(), 500..900)];
    let strings = vec(word, 1..6).prop_map(|words| {
        let body: Vec<u8> = words.iter().flat_map(|word| string('$', word)).collect();
        [format!("*{}\r\n", words.len()).into_bytes(), body].concat()
    });
    let inline = "[A-Za-z ]{0,30}\r?\n".prop_map(String::into_bytes);
    let empty = Just(b"*0\r\n".to_vec());
    prop_oneof![4 => strings, 2 => inline, 1 => empty]
}

proptest! {
    #[test]
    fn any_split_gives_the_same_replies(
        replies in vec(value(), 0..8),
        parts in vec(1_usize..700, 1..20),
    ) {
        let bytes = replies.concat();
        let (seen, rest) = messages(&mut Framer::new(Side::Server), &bytes, &parts).unwrap();
        prop_assert!(rest.is_empty());
        prop_assert_eq!(&seen, &replies);
        prop_assert_eq!(seen, split(&bytes));
    }

    #[test]
    fn any_split_gives_the_same_commands(
        commands in vec(command(), 0..12),
        parts in vec(1_usize..700, 1..20),
    ) {
        let (seen, rest) =
            messages(&mut Framer::new(Side::Client), &commands.concat(), &parts).unwrap();
        prop_assert!(rest.is_empty());
        prop_assert_eq!(seen, commands);
    }

    #[test]
    fn arbitrary_bytes_give_frames_or_an_error(
        bytes in prop_oneof![
            vec(any::<u8>(), 0..2000),
            vec(proptest::sample::select(b"*$+-:|%>_#,012\r\n a".to_vec()), 0..2000),
        ],
        parts in vec(1_usize..700, 1..20),
        server in any::<bool>(),
    ) {
        let side = if server { Side::Server } else { Side::Client };
        let result = messages(&mut Framer::new(side), &bytes, &parts);
        let at_once = messages(&mut Framer::new(side), &bytes, &[usize::MAX]);
        match (&result, &at_once) {
            (Ok((seen, rest)), Ok(other)) => {
                prop_assert_eq!((seen, rest), (&other.0, &other.1));
                prop_assert_eq!([seen.concat(), rest.clone()].concat(), bytes);
            }
            // One that is at the end of its bytes may still wait for more of the same look.
            (result, at_once) => prop_assert_eq!(result.is_err(), at_once.is_err()),
        }
    }
}

#[test]
fn a_long_string_is_never_collected() {
    let mut framer = Framer::new(Side::Server);
    let head = b"$100000000\r\n";
    let first = [&head[..], &[b'x'; 1000]].concat();
    let frame = framer.step(&first).unwrap().unwrap();
    assert_eq!((frame.length, frame.ends), (512, false));
    let (part, mut left) = ([b'x'; 8192], 100_000_002 + head.len() - frame.length);
    while left > 2 {
        let frame = framer.step(&part[..(left - 2).min(part.len())]).unwrap().unwrap();
        left -= frame.length;
        assert!(!frame.ends);
    }
    assert!(framer.step(b"\r\n").unwrap().unwrap().ends);
}

#[test]
fn impossible_replies_are_refused() {
    let deep = "*1\r\n".repeat(DEPTH_MAX + 1);
    for bytes in [
        "?\r\n",
        "$x\r\n",
        "$\r\n",
        "$-2\r\n",
        "%-1\r\n",
        "$4294967297\r\n",
        "*2147483648\r\n",
        "+a\n",
        "$1\r\nabc\r\n",
        "$12345678901\r\n",
        "$1\n",
        "$?\r\n",
        &deep,
    ] {
        assert!(Framer::new(Side::Server).step(bytes.as_bytes()).is_err(), "{bytes:?}");
    }
    // A CR in the midst of a line is not its end, even where the bytes were split behind it.
    let mut framer = Framer::new(Side::Server);
    let line = format!("+{}\r", "x".repeat(LOOK_MAX - 2));
    assert_eq!(framer.step(line.as_bytes()).unwrap().unwrap().length, LOOK_MAX);
    assert!(framer.step(b"y\n").is_err());
    let line = "x".repeat(70_000);
    for bytes in ["*1\r\n:1\r\n", "*1\r\n$-1\r\n", "*-2\r\n"] {
        assert!(Framer::new(Side::Client).step(bytes.as_bytes()).is_err(), "{bytes:?}");
    }
    let mut framer = Framer::new(Side::Client);
    let first = framer.step(line.as_bytes()).unwrap().unwrap();
    assert!(framer.step(&line.as_bytes()[first.length..]).is_err());
}
