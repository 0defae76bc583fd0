//! Trace context: what is read is written back, a span goes on from the one before, and no state
//! passes that is not a list of members.

#![no_main]

use http::{HeaderMap, HeaderName, HeaderValue};
use libfuzzer_sys::fuzz_target;
use updraft_mesh::fuzzing::{go_on, parse_traceparent};
use updraft_mesh_fuzz::sow;

const PARENT: HeaderName = HeaderName::from_static("traceparent");
const STATE: HeaderName = HeaderName::from_static("tracestate");

fuzz_target!(
    init: sow([
        b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\nrojo=1,congo=t61rcWkgMzE\n".to_vec(),
        b"cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-ff-more\na@b=1 ,\t\nc/d=2".to_vec(),
    ]),
    |data: &[u8]| {
        let mut lines = data.split(|byte| *byte == b'\n');
        let parent = lines.next().unwrap_or_default();
        let parsed = parse_traceparent(parent);
        if let Some(trace) = &parsed {
            assert_eq!(parse_traceparent(&trace.text), parsed);
            // But for flags that nobody knows, which are zero.
            assert!(!parent.starts_with(b"00") || trace.text[..53] == parent[..53]);
            assert_eq!(trace.flags & !0x03, 0);
            assert!(trace.trace_id.bytes().any(|digit| digit != b'0'));
            assert!(trace.span_id.bytes().any(|digit| digit != b'0'));
        }
        let mut headers = HeaderMap::new();
        let Ok(value) = HeaderValue::from_bytes(parent) else { return };
        headers.insert(PARENT, value);
        for state in lines.filter_map(|line| HeaderValue::from_bytes(line).ok()) {
            headers.append(STATE, state);
        }
        let came: Vec<HeaderValue> = headers.get_all(STATE).iter().cloned().collect();
        let (here, before) = go_on(&mut headers);
        assert_eq!(before, parsed.as_ref().map(|trace| trace.span_id.clone()));
        assert!(parsed.is_none_or(|trace| trace.trace_id == here.trace_id));
        assert_eq!(headers.get_all(PARENT).iter().collect::<Vec<_>>(), [&here.text[..]]);
        let kept: Vec<HeaderValue> = headers.get_all(STATE).iter().cloned().collect();
        assert!(kept.is_empty() || (before.is_some() && kept == came));
        assert!(is_list(&kept), "{kept:?}");
        assert!(before.is_none() || !kept.is_empty() || came.is_empty() || !is_list(&came));

        let (next, from) = go_on(&mut headers);
        assert_eq!((next.trace_id, next.flags, from), (here.trace_id, here.flags, Some(here.span_id)));
        assert_eq!(headers.get_all(STATE).iter().collect::<Vec<_>>(), kept);
    }
);

/// W3C Trace Context level 2, 3.3.1, read once more.
fn is_list(fields: &[HeaderValue]) -> bool {
    let key = |text: &str| {
        let begins = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        text.starts_with(begins)
            && text.len() <= 256
            && text.chars().all(|c| begins(c) || "_-*/@".contains(c))
    };
    let value = |text: &str| {
        (1..=256).contains(&text.len())
            && text.chars().all(|c| (' '..='~').contains(&c) && !",=".contains(c))
    };
    let mut count = 0;
    fields.iter().all(|field| {
        let Ok(text) = std::str::from_utf8(field.as_bytes()) else { return false };
        text.split(',').map(|it| it.trim_matches([' ', '\t'])).filter(|it| !it.is_empty()).all(|it| {
            count += 1;
            it.split_once('=').is_some_and(|(name, text)| key(name) && value(text)) && count <= 32
        })
    })
}
