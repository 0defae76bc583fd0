//! Timeouts in headers: no text makes a parser panic, and what is read is written back as no
//! more time than it was.

#![no_main]

use libfuzzer_sys::fuzz_target;
use updraft_resilience::deadline::header;

fuzz_target!(|text: &str| {
    if let Some(left) = header::parse_grpc_timeout(text) {
        let again = header::parse_grpc_timeout(&header::format_grpc_timeout(left));
        assert!(again.is_some_and(|again| again <= left));
    }
    if let Some(left) = header::parse_timeout_ms(text) {
        assert_eq!(header::parse_timeout_ms(&header::format_timeout_ms(left)), Some(left));
    }
});
