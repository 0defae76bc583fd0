//! `http2/6.1` to `http2/6.4` and `http2/6.7` to `http2/6.10`: each type of frame.

use super::{Case, PAYLOAD, Want, case};
use crate::support::frame::{
    ACK, CANCEL, CONTINUATION, END_HEADERS, END_STREAM, FLOW_CONTROL_ERROR, FRAME_SIZE_ERROR,
    GOAWAY, INITIAL_WINDOW_SIZE, PADDED, PING, PRIORITY, PROTOCOL_ERROR, RST_STREAM, STREAM_CLOSED,
    WHOLE, WINDOW_UPDATE, block, continuation, data, dependency, frame, get, headers, ping, post,
    priority, reset, settings, window_update,
};

pub(super) fn cases() -> Vec<Case> {
    [
        data_frames(),
        header_frames(),
        priorities(),
        resets(),
        pings(),
        windows(),
        sizes(),
        continuations(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn broken(name: &'static str, bytes: impl IntoIterator<Item = Vec<u8>>) -> Case {
    case(name, bytes, Want::Connection(&[PROTOCOL_ERROR]))
}

fn missized(name: &'static str, bytes: impl IntoIterator<Item = Vec<u8>>) -> Case {
    case(name, bytes, Want::Connection(&[FRAME_SIZE_ERROR]))
}

fn rest() -> Vec<u8> {
    block(&[("x-one", "1")])
}

fn data_frames() -> Vec<Case> {
    vec![
        broken("6.1/1 DATA on stream 0", [data(0, END_STREAM, b"test")]),
        case(
            "6.1/2 DATA on a stream that is not open",
            [
                settings(&[(INITIAL_WINDOW_SIZE, 0)]),
                headers(1, WHOLE, &get()),
                data(1, END_STREAM, b"test"),
            ],
            Want::Stream(&[STREAM_CLOSED]),
        ),
        broken(
            "6.1/3 DATA with more padding than payload",
            [headers(1, END_HEADERS, &post()), data(1, END_STREAM | PADDED, b"\x06test\0")],
        ),
    ]
}

fn header_frames() -> Vec<Case> {
    let overpadded = [vec![255], get()].concat();
    vec![
        broken(
            "6.2/1 PRIORITY behind HEADERS that go on",
            [
                headers(1, END_STREAM, &get()),
                priority(1, 0, false, 255),
                continuation(1, END_HEADERS, &rest()),
            ],
        ),
        broken(
            "6.2/2 HEADERS of another stream behind HEADERS that go on",
            [
                headers(1, END_STREAM, &get()),
                headers(3, WHOLE, &get()),
                continuation(1, END_HEADERS, &rest()),
            ],
        ),
        broken("6.2/3 HEADERS on stream 0", [headers(0, WHOLE, &get())]),
        broken(
            "6.2/4 HEADERS with more padding than payload",
            [headers(1, WHOLE | PADDED, &overpadded)],
        ),
    ]
}

fn priorities() -> Vec<Case> {
    vec![
        broken("6.3/1 PRIORITY on stream 0", [priority(0, 0, false, 255)]),
        case(
            "6.3/2 PRIORITY of another size than 5",
            [
                headers(1, END_HEADERS, &post()),
                frame(PRIORITY, 0, 1, &dependency(0, false, 1)[..4]),
            ],
            Want::Stream(&[FRAME_SIZE_ERROR]),
        ),
    ]
}

fn resets() -> Vec<Case> {
    vec![
        broken("6.4/1 RST_STREAM on stream 0", [reset(0, CANCEL)]),
        broken("6.4/2 RST_STREAM on an idle stream", [reset(1, CANCEL)]),
        missized(
            "6.4/3 RST_STREAM of another size than 4",
            [headers(1, END_HEADERS, &post()), frame(RST_STREAM, 0, 1, &[0; 3])],
        ),
    ]
}

fn pings() -> Vec<Case> {
    vec![
        case("6.7/1 PING", [ping(0, &PAYLOAD)], Want::Pong(PAYLOAD)),
        case(
            "6.7/2 PING with ACK",
            [ping(ACK, b"invalid!"), ping(0, &PAYLOAD)],
            Want::Pong(PAYLOAD),
        ),
        broken("6.7/3 PING on a stream", [frame(PING, 0, 1, &PAYLOAD)]),
        missized("6.7/4 PING of another size than 8", [ping(0, &PAYLOAD[..6])]),
        broken("6.8/1 GOAWAY on a stream", [frame(GOAWAY, 0, 1, &[0; 8])]),
    ]
}

fn windows() -> Vec<Case> {
    vec![
        broken("6.9/1 WINDOW_UPDATE of 0", [window_update(0, 0)]),
        case(
            "6.9/2 WINDOW_UPDATE of 0 on a stream",
            [headers(1, END_HEADERS, &post()), window_update(1, 0)],
            Want::Stream(&[PROTOCOL_ERROR]),
        ),
        missized(
            "6.9/3 WINDOW_UPDATE of another size than 4",
            [frame(WINDOW_UPDATE, 0, 0, &[0, 0, 1])],
        ),
    ]
}

fn sizes() -> Vec<Case> {
    let window = |size| settings(&[(INITIAL_WINDOW_SIZE, size)]);
    let most = (1 << 31) - 1;
    vec![
        case(
            "6.9.1/1 DATA no larger than the window",
            [window(1), headers(1, WHOLE, &get())],
            Want::Data(1, 1),
        ),
        case(
            "6.9.1/2 the window of the connection beyond its maximum",
            [window_update(0, most), window_update(0, most)],
            Want::Connection(&[FLOW_CONTROL_ERROR]),
        ),
        case(
            "6.9.1/3 the window of a stream beyond its maximum",
            [headers(1, END_HEADERS, &post()), window_update(1, most), window_update(1, most)],
            Want::Stream(&[FLOW_CONTROL_ERROR]),
        ),
        case(
            "6.9.2/1 the window grows behind HEADERS",
            [window(0), headers(1, WHOLE, &get())],
            Want::Data(1, 1),
        )
        .after(Want::Headers(1), [window(1)]),
        case("6.9.2/2 a window below 0", [window(3), headers(1, WHOLE, &get())], Want::Data(1, 1))
            .after(Want::Data(1, 3), [window(2), window_update(1, 2)]),
        case(
            "6.9.2/3 a first window beyond its maximum",
            [window(1 << 31)],
            Want::Connection(&[FLOW_CONTROL_ERROR]),
        ),
    ]
}

fn continuations() -> Vec<Case> {
    vec![
        case(
            "6.10/1 CONTINUATION frames",
            [
                headers(1, END_STREAM, &get()),
                continuation(1, 0, &rest()),
                continuation(1, END_HEADERS, &rest()),
            ],
            Want::Headers(1),
        ),
        broken(
            "6.10/2 CONTINUATION and then something else",
            [
                headers(1, END_STREAM, &get()),
                continuation(1, 0, &rest()),
                data(1, END_STREAM, b"test"),
            ],
        ),
        broken(
            "6.10/3 CONTINUATION on stream 0",
            [headers(1, END_STREAM, &get()), frame(CONTINUATION, END_HEADERS, 0, &rest())],
        ),
        broken(
            "6.10/4 CONTINUATION behind HEADERS that have ended",
            [headers(1, END_HEADERS, &post()), continuation(1, END_HEADERS, &rest())],
        ),
        broken(
            "6.10/5 CONTINUATION behind CONTINUATION that has ended",
            [
                headers(1, 0, &post()),
                continuation(1, END_HEADERS, &rest()),
                continuation(1, END_HEADERS, &rest()),
            ],
        ),
        broken(
            "6.10/6 CONTINUATION behind DATA",
            [
                headers(1, END_HEADERS, &post()),
                data(1, 0, b"test"),
                continuation(1, END_HEADERS, &rest()),
            ],
        ),
    ]
}
