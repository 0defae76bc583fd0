//! The whole gateway, judged from its sockets alone: what RFC 9110, 9112, 9113 and 7541 ask of
//! an intermediary, what other programs make of it, and what it does under those who mean ill.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on says so by panicking"
)]
#![expect(clippy::print_stdout, reason = "tables of what others do, for whoever reads the output")]

mod support;

mod differential;
mod first;
mod h1_exchanges;
mod h1_fields;
mod h1_framing;
mod h2_floods;
mod h2_spec;
mod limits;
mod programs;
mod slow;
mod varnishtest;
