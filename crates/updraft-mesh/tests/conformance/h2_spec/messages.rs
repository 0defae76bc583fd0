//! `http2/7` and `http2/8`: errors, and requests as RFC 9113 wants them.

use super::{Case, PAYLOAD, Want, case, ignored};
use crate::support::frame::{
    END_HEADERS, END_STREAM, PROTOCOL_ERROR, PUSH_PROMISE, WHOLE, block, data, frame, get, goaway,
    headers, ping, post, request, reset,
};

pub(super) fn cases() -> Vec<Case> {
    [errors(), heads(), pseudo(), bodies()].into_iter().flatten().collect()
}

fn malformed(name: &'static str, bytes: impl IntoIterator<Item = Vec<u8>>) -> Case {
    case(name, bytes, Want::Stream(&[PROTOCOL_ERROR]))
}

fn errors() -> Vec<Case> {
    vec![
        case(
            "7/1 GOAWAY with an unknown error",
            [goaway(0, 0xff), ping(0, &PAYLOAD)],
            Want::PongOrEnd(PAYLOAD),
        ),
        ignored(
            "7/2 RST_STREAM with an unknown error",
            [headers(1, END_HEADERS, &post()), reset(1, 0xff)],
        ),
    ]
}

fn heads() -> Vec<Case> {
    let with = |name: &str, value: &str| headers(1, WHOLE, &request("GET", &[(name, value)]));
    let late = [
        (":method", "GET"),
        (":scheme", "http"),
        (":authority", "pricing"),
        ("x-one", "1"),
        (":path", "/"),
    ];
    vec![
        malformed(
            "8.1/1 a second HEADERS frame that does not end the stream",
            [
                headers(1, END_HEADERS, &post()),
                headers(1, END_HEADERS, &block(&[("x-one", "1")])),
                data(1, END_STREAM, b"test"),
            ],
        ),
        malformed("8.1.2/1 a name with capitals", [with("X-Test", "ok")]),
        malformed("8.1.2.1/1 an unknown pseudo-header", [with(":test", "ok")]),
        malformed("8.1.2.1/2 a pseudo-header of answers", [with(":status", "200")]),
        malformed(
            "8.1.2.1/3 a pseudo-header in trailers",
            [
                headers(1, END_HEADERS, &request("POST", &[("trailer", "x-test")])),
                data(1, 0, b"test"),
                headers(1, WHOLE, &block(&[(":method", "200")])),
            ],
        ),
        malformed("8.1.2.1/4 a pseudo-header behind a field", [headers(1, WHOLE, &block(&late))]),
        malformed("8.1.2.2/1 a field of the connection", [with("connection", "keep-alive")]),
        malformed("8.1.2.2/2 TE of anything but trailers", [with("te", "trailers, deflate")]),
    ]
}

fn pseudo() -> Vec<Case> {
    let all = [(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "pricing")];
    let without = |name: &str| {
        let left: Vec<_> = all.into_iter().filter(|(own, _)| *own != name).collect();
        headers(1, WHOLE, &block(&left))
    };
    let twice = |name: &str| {
        let more: Vec<_> = all.into_iter().filter(|(own, _)| *own == name).collect();
        headers(1, WHOLE, &[block(&more), get()].concat())
    };
    let empty = [(":method", "GET"), (":scheme", "http"), (":path", ""), (":authority", "pricing")];
    vec![
        malformed("8.1.2.3/1 an empty :path", [headers(1, WHOLE, &block(&empty))]),
        malformed("8.1.2.3/2 no :method", [without(":method")]),
        malformed("8.1.2.3/3 no :scheme", [without(":scheme")]),
        malformed("8.1.2.3/4 no :path", [without(":path")]),
        malformed("8.1.2.3/5 two of :method", [twice(":method")]),
        malformed("8.1.2.3/6 two of :scheme", [twice(":scheme")]),
        malformed("8.1.2.3/7 two of :path", [twice(":path")]),
    ]
}

fn bodies() -> Vec<Case> {
    let head = || headers(1, END_HEADERS, &request("POST", &[("content-length", "1")]));
    vec![
        malformed(
            "8.1.2.6/1 a length unlike that of the DATA frame",
            [head(), data(1, END_STREAM, b"test")],
        ),
        malformed(
            "8.1.2.6/2 a length unlike that of the DATA frames",
            [head(), data(1, 0, b"te"), data(1, END_STREAM, b"st")],
        ),
        case(
            "8.2/1 a client's PUSH_PROMISE",
            [frame(PUSH_PROMISE, END_HEADERS, 1, &[vec![0, 0, 0, 2], get()].concat())],
            Want::Connection(&[PROTOCOL_ERROR]),
        ),
    ]
}
