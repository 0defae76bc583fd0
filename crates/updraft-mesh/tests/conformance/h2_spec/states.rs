//! `http2/3.5` to `http2/5.5`: the preface, frames as such, and what a stream takes in which
//! of its states.

use super::generic::unknown;
use super::{Case, PAYLOAD, Want, case, ignored};
use crate::support::frame::{
    CANCEL, COMPRESSION_ERROR, END_HEADERS, END_STREAM, FRAME_BYTES, FRAME_SIZE_ERROR,
    INITIAL_WINDOW_SIZE, PING, PROTOCOL_ERROR, REFUSED_STREAM, STREAM_CLOSED, WHOLE, WITH_PRIORITY,
    block, continuation, data, dependency, frame, get, headers, literal, ping, post, priority,
    reset, settings, window_update,
};

/// Streams that the gateway lets be open at once, by default.
const STREAMS: u32 = 128;

pub(super) fn cases() -> Vec<Case> {
    [framing(), idle(), half_closed(), closed(), numbers(), errors()]
        .into_iter()
        .flatten()
        .collect()
}

fn broken(name: &'static str, bytes: impl IntoIterator<Item = Vec<u8>>) -> Case {
    case(name, bytes, Want::Connection(&[PROTOCOL_ERROR]))
}

fn framing() -> Vec<Case> {
    let mut no_preface =
        broken("3.5/2 an invalid preface", [b"INVALID CONNECTION PREFACE\r\n\r\n".to_vec()]);
    no_preface.shakes_hands = false;
    let long = vec![0; FRAME_BYTES + 1];
    let many: Vec<u8> = [get(), literal("x-long", &"x".repeat(FRAME_BYTES))].concat();
    vec![
        case("3.5/1 a connection preface", [settings(&[])], Want::SettingsAck),
        no_preface,
        ignored("4.1/1 a frame of an unknown type", [unknown(0)]),
        case(
            "4.1/2 a frame with an unknown flag",
            [ping(0x16 & !1, &PAYLOAD)],
            Want::Pong(PAYLOAD),
        ),
        case(
            "4.1/3 a frame with the reserved bit",
            [frame(PING, 0, 1 << 31, &PAYLOAD)],
            Want::Pong(PAYLOAD),
        ),
        case(
            "4.2/1 a DATA frame of 16384 bytes",
            [headers(1, END_HEADERS, &post()), data(1, END_STREAM, &long[1..])],
            Want::Headers(1),
        ),
        case(
            "4.2/2 a DATA frame beyond the maximum",
            [headers(1, END_HEADERS, &post()), data(1, END_STREAM, &long)],
            Want::Stream(&[FRAME_SIZE_ERROR]),
        ),
        case(
            "4.2/3 a HEADERS frame beyond the maximum",
            [headers(1, WHOLE, &many)],
            Want::Connection(&[FRAME_SIZE_ERROR]),
        ),
        case(
            "4.3/1 an incomplete field block",
            [headers(1, WHOLE, b"\x40")],
            Want::Connection(&[COMPRESSION_ERROR]),
        ),
        broken(
            "4.3/2 PRIORITY within a field block",
            [
                headers(1, END_STREAM, &get()),
                priority(1, 0, false, 255),
                continuation(1, END_HEADERS, &block(&[("x-one", "1")])),
            ],
        ),
        broken(
            "4.3/3 HEADERS of another stream within a field block",
            [
                headers(1, END_STREAM, &get()),
                headers(3, WHOLE, &get()),
                continuation(1, END_HEADERS, &block(&[("x-one", "1")])),
            ],
        ),
    ]
}

fn idle() -> Vec<Case> {
    vec![
        broken("5.1/1 DATA on an idle stream", [data(1, END_STREAM, b"test")]),
        broken("5.1/2 RST_STREAM on an idle stream", [reset(1, CANCEL)]),
        broken("5.1/3 WINDOW_UPDATE on an idle stream", [window_update(1, 100)]),
        broken("5.1/4 CONTINUATION on an idle stream", [continuation(1, END_HEADERS, &get())]),
    ]
}

fn half_closed() -> Vec<Case> {
    // The answer waits for its window, so that the stream stays half-closed.
    let open = || [settings(&[(INITIAL_WINDOW_SIZE, 0)]), headers(1, WHOLE, &get())].concat();
    let either = Want::Stream(&[STREAM_CLOSED, PROTOCOL_ERROR]);
    vec![
        case(
            "5.1/5 DATA on a half-closed stream",
            [open(), data(1, END_STREAM, b"test")],
            Want::Stream(&[STREAM_CLOSED]),
        ),
        case(
            "5.1/6 HEADERS on a half-closed stream",
            [open(), headers(1, WHOLE, &get())],
            Want::Stream(&[STREAM_CLOSED]),
        ),
        case(
            "5.1/7 CONTINUATION on a half-closed stream",
            [open(), continuation(1, END_HEADERS, &get())],
            either,
        ),
    ]
}

fn closed() -> Vec<Case> {
    let gone = || [headers(1, END_HEADERS, &post()), reset(1, CANCEL)].concat();
    let both = Want::Stream(&[STREAM_CLOSED, PROTOCOL_ERROR]);
    let served = |name, bytes: Vec<u8>, want: Want| {
        case(name, [headers(1, WHOLE, &get())], want).after(Want::End(1), [bytes])
    };
    vec![
        case(
            "5.1/8 DATA on a stream that was reset",
            [gone(), data(1, END_STREAM, b"test")],
            Want::Stream(&[STREAM_CLOSED]),
        ),
        case(
            "5.1/9 HEADERS on a stream that was reset",
            [gone(), headers(1, WHOLE, &get())],
            Want::Stream(&[STREAM_CLOSED]),
        ),
        case(
            "5.1/10 CONTINUATION on a stream that was reset",
            [gone(), continuation(1, END_HEADERS, &get())],
            both.clone(),
        ),
        served(
            "5.1/11 DATA on a closed stream",
            data(1, END_STREAM, b"test"),
            Want::Stream(&[STREAM_CLOSED]),
        ),
        served(
            "5.1/12 HEADERS on a closed stream",
            headers(1, WHOLE, &get()),
            Want::Connection(&[STREAM_CLOSED]),
        ),
        served(
            "5.1/13 CONTINUATION on a closed stream",
            continuation(1, END_HEADERS, &get()),
            Want::Connection(&[STREAM_CLOSED, PROTOCOL_ERROR]),
        ),
    ]
}

fn numbers() -> Vec<Case> {
    let many = (0..=STREAMS).map(|at| headers(1 + 2 * at, WHOLE, &get()));
    vec![
        broken("5.1.1/1 a stream of an even number", [headers(2, WHOLE, &get())]),
        broken(
            "5.1.1/2 a stream of a smaller number",
            [headers(5, WHOLE, &get()), headers(3, WHOLE, &get())],
        ),
        case(
            "5.1.2/1 more streams than are allowed",
            std::iter::once(settings(&[(INITIAL_WINDOW_SIZE, 0)])).chain(many),
            Want::Stream(&[PROTOCOL_ERROR, REFUSED_STREAM]),
        ),
        case(
            "5.3.1/1 HEADERS that depend on themselves",
            [headers(1, WHOLE | WITH_PRIORITY, &[dependency(1, false, 255), get()].concat())],
            Want::Stream(&[PROTOCOL_ERROR]),
        ),
        case(
            "5.3.1/2 PRIORITY that depends on itself",
            [priority(2, 2, false, 255)],
            Want::Stream(&[PROTOCOL_ERROR]),
        ),
    ]
}

fn errors() -> Vec<Case> {
    let ping = || frame(PING, 0, 3, &PAYLOAD);
    vec![
        case("5.4.1/1 a connection error ends the connection", [ping()], Want::Over),
        case("5.4.1/2 a connection error is told", [ping()], Want::Goaway),
        ignored("5.5/1 a frame of an extension", [unknown(0)]),
        broken(
            "5.5/2 a frame of an extension within a field block",
            [
                headers(1, END_STREAM, &get()),
                unknown(1),
                continuation(1, END_HEADERS, &block(&[("x-one", "1")])),
            ],
        ),
    ]
}
