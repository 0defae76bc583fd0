//! `hpack`: RFC 7541.

use super::{Case, Want, case};
use crate::support::frame::{COMPRESSION_ERROR, WHOLE, get, headers, integer};

pub(super) fn cases() -> Vec<Case> {
    let behind = |name, bytes: &[u8]| {
        let block = [get(), bytes.to_vec()].concat();
        case(name, [headers(1, WHOLE, &block)], Want::Connection(&[COMPRESSION_ERROR]))
    };
    let before = |name, bytes: &[u8]| {
        let block = [bytes.to_vec(), get()].concat();
        case(name, [headers(1, WHOLE, &block)], Want::Connection(&[COMPRESSION_ERROR]))
    };
    // `x-test` in Huffman's code, as h2spec has it.
    let name = b"\x00\x85\xf2\xb2\x4a\x84\xff";
    let with = |value: &[u8]| [&name[..], value].concat();
    vec![
        behind("hpack/2.3.3/1 an index beyond the tables", &integer(0x80, 7, 70)),
        behind(
            "hpack/2.3.3/2 a literal whose name is beyond the tables",
            &[integer(0x40, 6, 70), b"\x04test".to_vec()].concat(),
        ),
        behind("hpack/4.2/1 a size update behind fields", &integer(0x20, 5, 1)),
        behind("hpack/5.2/1 padding of more than 7 bits", &with(b"\x84\x49\x50\x9f\xff")),
        behind("hpack/5.2/2 padding of zeros", &with(b"\x83\x49\x50\x90")),
        behind("hpack/5.2/3 the code of EOS", &with(b"\x87\x49\x51\xff\xff\xff\xfa\x7f")),
        behind("hpack/6.1/1 the index 0", b"\x80"),
        before("hpack/6.3/1 a size update beyond the setting", &integer(0x20, 5, 4097)),
    ]
}
