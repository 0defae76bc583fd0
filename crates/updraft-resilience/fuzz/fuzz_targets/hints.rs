//! Hints of servers: no text makes a parser panic, and the present date changes only dates.

#![no_main]

use libfuzzer_sys::fuzz_target;
use updraft_resilience::retry::hint::{Pushback, parse_grpc_pushback, parse_retry_after};

fuzz_target!(|input: (&str, u64)| {
    let (text, now) = input;
    let dated = parse_retry_after(text, Some(now));
    if let Some(plain) = parse_retry_after(text, None) {
        assert_eq!(dated, Some(plain));
    }
    if let Pushback::After(wait) = parse_grpc_pushback(text) {
        assert_eq!(parse_grpc_pushback(&wait.as_millis().to_string()), Pushback::After(wait));
    }
});
