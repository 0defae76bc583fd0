//! `http2/6.5`: SETTINGS.

use super::{Case, Want, case, ignored};
use crate::support::frame::{
    ACK, ENABLE_PUSH, FLOW_CONTROL_ERROR, FRAME_SIZE_ERROR, INITIAL_WINDOW_SIZE,
    MAX_CONCURRENT_STREAMS, MAX_FRAME_SIZE, PROTOCOL_ERROR, SETTINGS, WHOLE, frame, get, headers,
    settings,
};

pub(super) fn cases() -> Vec<Case> {
    let value = |id, value| settings(&[(id, value)]);
    let entry = &settings(&[(MAX_CONCURRENT_STREAMS, 100)])[9..];
    let twice = [(INITIAL_WINDOW_SIZE, 100), (INITIAL_WINDOW_SIZE, 1)];
    let broken = Want::Connection(&[PROTOCOL_ERROR]);
    let missized = Want::Connection(&[FRAME_SIZE_ERROR]);
    vec![
        case("6.5/1 ACK with a payload", [frame(SETTINGS, ACK, 0, &[0])], missized.clone()),
        case("6.5/2 SETTINGS on a stream", [frame(SETTINGS, 0, 1, entry)], broken.clone()),
        case("6.5/3 SETTINGS of a wrong size", [frame(SETTINGS, 0, 0, &entry[..3])], missized),
        case("6.5.2/1 ENABLE_PUSH of 2", [value(ENABLE_PUSH, 2)], broken.clone()),
        case(
            "6.5.2/2 INITIAL_WINDOW_SIZE beyond its maximum",
            [value(INITIAL_WINDOW_SIZE, 1 << 31)],
            Want::Connection(&[FLOW_CONTROL_ERROR]),
        ),
        case("6.5.2/3 MAX_FRAME_SIZE too small", [value(MAX_FRAME_SIZE, 16_383)], broken.clone()),
        case("6.5.2/4 MAX_FRAME_SIZE too large", [value(MAX_FRAME_SIZE, 1 << 24)], broken),
        ignored("6.5.2/5 an unknown setting", [value(0xff, 1)]),
        case(
            "6.5.3/1 the last of two values counts",
            [settings(&twice), headers(1, WHOLE, &get())],
            Want::Data(1, 1),
        ),
        case("6.5.3/2 SETTINGS are acknowledged", [settings(&[])], Want::SettingsAck),
    ]
}
