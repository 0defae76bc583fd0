//! `generic`: what every server of HTTP/2 does.

use super::{Case, PAYLOAD, Want, case, ignored};
use crate::support::frame::{
    CANCEL, END_HEADERS, END_STREAM, PADDED, WHOLE, WITH_PRIORITY, block, continuation, data,
    dependency, frame, get, goaway, headers, integer, literal, ping, post, priority, request,
    reset, settings, window_update,
};

pub(super) fn cases() -> Vec<Case> {
    [streams(), frames(), priorities(), exchanges(), compression()].into_iter().flatten().collect()
}

fn answered(name: &'static str, bytes: impl IntoIterator<Item = Vec<u8>>) -> Case {
    case(name, bytes, Want::Headers(1))
}

fn streams() -> Vec<Case> {
    vec![
        ignored("generic/1/1 a connection preface", []),
        answered(
            "generic/2/1 PRIORITY on an idle stream",
            [priority(1, 0, false, 255), headers(1, WHOLE, &get())],
        ),
        answered(
            "generic/2/2 WINDOW_UPDATE on a half-closed stream",
            [headers(1, WHOLE, &get()), window_update(1, 1)],
        ),
        answered(
            "generic/2/3 PRIORITY on a half-closed stream",
            [headers(1, WHOLE, &get()), priority(1, 0, false, 255)],
        ),
        ignored(
            "generic/2/4 RST_STREAM on a half-closed stream",
            [headers(1, WHOLE, &get()), reset(1, CANCEL)],
        ),
        case(
            "generic/2/5 PRIORITY on a closed stream",
            [headers(1, WHOLE, &get())],
            Want::Pong(PAYLOAD),
        )
        .after(Want::End(1), [priority(1, 0, false, 255), ping(0, &PAYLOAD)]),
    ]
}

fn frames() -> Vec<Case> {
    let padded = [vec![3], post(), vec![0; 3]].concat();
    let prioritized = [dependency(0, false, 255), get()].concat();
    let (first, rest) = (request("GET", &[]), block(&[("x-one", "1")]));
    vec![
        answered(
            "generic/3.1/1 one DATA frame",
            [headers(1, END_HEADERS, &post()), data(1, END_STREAM, b"test")],
        ),
        answered(
            "generic/3.1/2 many DATA frames",
            [
                headers(1, END_HEADERS, &post()),
                data(1, 0, b"test"),
                data(1, 0, b"test"),
                data(1, END_STREAM, b"test"),
            ],
        ),
        answered(
            "generic/3.1/3 a DATA frame with padding",
            [headers(1, END_HEADERS, &post()), data(1, END_STREAM | PADDED, b"\x04test\0\0\0\0")],
        ),
        answered("generic/3.2/1 a HEADERS frame", [headers(1, WHOLE, &get())]),
        answered(
            "generic/3.2/2 a HEADERS frame with padding",
            [headers(1, WHOLE | PADDED, &padded)],
        ),
        answered(
            "generic/3.2/3 a HEADERS frame with priority",
            [headers(1, WHOLE | WITH_PRIORITY, &prioritized)],
        ),
        ignored("generic/3.4/1 RST_STREAM", [headers(1, END_HEADERS, &post()), reset(1, CANCEL)]),
        case("generic/3.5/1 SETTINGS", [settings(&[])], Want::SettingsAck),
        case("generic/3.7/1 PING", [ping(0, &PAYLOAD)], Want::Pong(PAYLOAD)),
        case("generic/3.8/1 GOAWAY", [goaway(0, 0), ping(0, &PAYLOAD)], Want::PongOrEnd(PAYLOAD)),
        ignored("generic/3.9/1 WINDOW_UPDATE of the connection", [window_update(0, 1)]),
        answered(
            "generic/3.9/2 WINDOW_UPDATE of a stream",
            [headers(1, WHOLE, &get()), window_update(1, 1)],
        ),
        answered(
            "generic/3.10/1 a CONTINUATION frame",
            [headers(1, END_STREAM, &first), continuation(1, END_HEADERS, &rest)],
        ),
        answered(
            "generic/3.10/2 many CONTINUATION frames",
            [
                headers(1, END_STREAM, &first),
                continuation(1, 0, &rest),
                continuation(1, END_HEADERS, &rest),
            ],
        ),
    ]
}

fn priorities() -> Vec<Case> {
    vec![
        answered(
            "generic/3.3/1 PRIORITY of weight 1",
            [headers(1, WHOLE, &get()), priority(1, 0, false, 0)],
        ),
        answered(
            "generic/3.3/2 PRIORITY of weight 256",
            [headers(1, WHOLE, &get()), priority(1, 0, false, 255)],
        ),
        answered(
            "generic/3.3/3 PRIORITY with a dependency",
            [headers(1, WHOLE, &get()), priority(1, 3, false, 255)],
        ),
        answered(
            "generic/3.3/4 PRIORITY with an exclusive dependency",
            [headers(1, WHOLE, &get()), priority(1, 3, true, 255)],
        ),
        answered(
            "generic/3.3/5 PRIORITY on a later stream, then HEADERS on an earlier one",
            [priority(3, 0, false, 255), headers(1, WHOLE, &get())],
        ),
    ]
}

fn exchanges() -> Vec<Case> {
    let trailers = block(&[("x-trailer", "1")]);
    vec![
        answered("generic/4/1 GET", [headers(1, WHOLE, &get())]),
        answered("generic/4/2 HEAD", [headers(1, WHOLE, &request("HEAD", &[]))]),
        answered(
            "generic/4/3 POST",
            [headers(1, END_HEADERS, &post()), data(1, END_STREAM, b"test")],
        ),
        answered(
            "generic/4/4 POST with trailers",
            [
                headers(1, END_HEADERS, &request("POST", &[("trailer", "x-trailer")])),
                data(1, 0, b"test"),
                headers(1, WHOLE, &trailers),
            ],
        ),
    ]
}

/// A field in the form that the first byte says; names of 15 bits come from the static table.
fn field(first: &[u8], value: &[u8]) -> Vec<u8> {
    [get(), first.to_vec(), value.to_vec()].concat()
}

fn compression() -> Vec<Case> {
    // `user-agent` is number 58 of the static table.
    let indexed = |first, bits| integer(first, bits, 58);
    let plain: &[u8] = b"\x0ccustom-value";
    // RFC 7541, C.6.1 and C.4.3.
    let huffman: &[u8] = b"\x89\x25\xa8\x49\xe9\x5b\xb8\xe8\xb4\xbf";
    let new = |first: u8| [vec![first], b"\x0acustom-key".to_vec()].concat();
    let coded =
        |first: u8| [vec![first], b"\x88\x25\xa8\x49\xe9\x5b\xa9\x7d\x7f".to_vec()].concat();
    let answered = |name, block: Vec<u8>| case(name, [headers(1, WHOLE, &block)], Want::Headers(1));
    let size = |sizes: &[usize]| {
        let updates = sizes.iter().flat_map(|size| integer(0x20, 5, *size));
        [updates.collect(), get()].concat()
    };
    vec![
        // :method GET, :scheme http, :path /, and the literal authority.
        answered(
            "generic/5/1 an indexed field",
            [b"\x82\x86\x84".to_vec(), literal(":authority", "pricing")].concat(),
        ),
        answered("generic/5/2 indexing, indexed name", field(&indexed(0x40, 6), plain)),
        answered("generic/5/3 indexing, indexed name, Huffman", field(&indexed(0x40, 6), huffman)),
        answered("generic/5/4 indexing, new name", field(&new(0x40), plain)),
        answered("generic/5/5 indexing, new name, Huffman", field(&coded(0x40), huffman)),
        answered("generic/5/6 no indexing, indexed name", field(&indexed(0, 4), plain)),
        answered("generic/5/7 no indexing, indexed name, Huffman", field(&indexed(0, 4), huffman)),
        answered("generic/5/8 no indexing, new name", field(&new(0), plain)),
        answered("generic/5/9 no indexing, new name, Huffman", field(&coded(0), huffman)),
        answered("generic/5/10 never indexed, indexed name", field(&indexed(0x10, 4), plain)),
        answered(
            "generic/5/11 never indexed, indexed name, Huffman",
            field(&indexed(0x10, 4), huffman),
        ),
        answered("generic/5/12 never indexed, new name", field(&new(0x10), plain)),
        answered("generic/5/13 never indexed, new name, Huffman", field(&coded(0x10), huffman)),
        answered("generic/5/14 a size update", size(&[128])),
        answered("generic/5/15 many size updates", size(&[128, 4096])),
    ]
}

/// A frame of a kind that nobody knows.
pub(super) fn unknown(stream: u32) -> Vec<u8> {
    frame(0x16, 0, stream, b"unknown")
}
