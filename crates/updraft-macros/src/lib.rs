//! The attributes of `updraft-resilience`: a policy written above the function that it
//! guards. Use them from there; its module `attributes` has examples of each.
//!
//! What is written is checked while compiling, and every mistake is reported at once, at its
//! place.

mod backoff;
mod breaker;
mod bulkhead;
mod call;
mod expand;
mod fields;
mod findings;
mod function;
mod guard;
mod layer;
mod nearest;
mod retry;
mod timeout;
mod value;

use proc_macro::TokenStream;

use crate::layer::Kind;

/// Refuses calls for a while when too many have failed.
///
/// | field | meaning | when it is not given |
/// |---|---|---|
/// | `failure_threshold = 5` | so many failures in a row open the circuit | one of this and `failure_rate` is needed; both may be there |
/// | `failure_rate = 0.5` | this share of failures opens it: more than 0, at most 1 | |
/// | `window = "10s"` or `window = 100` | the calls of this time (100 ms to 24 h), or so many calls (1 to 65536), of which the rate is taken | 10 s |
/// | `min_calls = 20` | with fewer calls in the window the rate says nothing | 20, or all calls of a smaller window |
/// | `recovery_timeout = "60s"` | how long it stays open, each time; at least 1 ms | 5 s, doubled each time up to 60 s |
/// | `half_open_calls = 3` | so many probes at once then, which must all succeed: 1 to 500 | 1 |
/// | `name = "orders"` | the name of the policy | the path of the function |
/// | `clock = …` | an expression that is a `Clock`, such as one that tests can turn | the system's |
///
/// As `@circuit(failure_threshold=5, recovery_timeout=60)` of Python's `circuitbreaker`, with
/// the field names of that package where it has them.
#[proc_macro_attribute]
pub fn circuit_breaker(fields: TokenStream, item: TokenStream) -> TokenStream {
    expand::expand(Kind::CircuitBreaker, fields.into(), item.into()).into()
}

/// Runs the function again when it fails; its arguments are cloned for each attempt.
///
/// | field | meaning | when it is not given |
/// |---|---|---|
/// | `attempts = 3` | the most attempts of one call, the first included; at least 1 | 3 |
/// | `wait = …` | the wait before each further attempt, see below | exponential from 100 ms to 10 s |
/// | `jitter = "full"` | how waits are spread: `full`, `equal`, `decorrelated` or `none` | `full`, and `none` for constant waits |
/// | `elapsed = "30s"` | no attempt begins so long after the first, or later | no such bound |
/// | `budget = false` | whether all calls of the function share a budget of retries (20 % of the calls and 10 each second) | `true` |
/// | `name = "orders"` | the name of the policy | the path of the function |
/// | `clock = …` | an expression that is a `Clock`, such as one that tests can turn | the system's |
///
/// Waits are one of
///
/// * `constant("1s")`;
/// * `linear(first = "1s", step = "500ms", max = "10s")`, where `max` may be left out and is
///   an hour then;
/// * `exponential(min = "2s", max = "10s", multiplier = 1, factor = 2)`: never shorter than
///   `min`, never longer than `max`. `factor`, 2 when it is not given, is what each wait is of
///   the one before. `multiplier` has the meaning that it has in tenacity: it is the first
///   wait in seconds before `min` and `max` bound it, so that the waits without jitter are
///   `max(min, min(max, multiplier · factor^(n−1)))` — here 2, 2, 4, 8, 10, 10 … seconds.
///   Without it the first wait is `min`, which is what is meant most often;
/// * `fibonacci(unit = "1s", max = "30s")`, where `max` may be left out and is an hour then.
#[proc_macro_attribute]
pub fn retry(fields: TokenStream, item: TokenStream) -> TokenStream {
    expand::expand(Kind::Retry, fields.into(), item.into()).into()
}

/// Bounds how many calls run at once.
///
/// | field | meaning | when it is not given |
/// |---|---|---|
/// | `max = 32` | so many at once: 1 to 2147483647 | it is needed |
/// | `queue = 64` | so many may wait for a place | 0: nobody waits |
/// | `max_wait = "1s"` | the longest that one may wait | 1 s |
/// | `name = "orders"` | the name of the policy | the path of the function |
/// | `clock = …` | an expression that is a `Clock`, such as one that tests can turn | the system's |
#[proc_macro_attribute]
pub fn bulkhead(fields: TokenStream, item: TokenStream) -> TokenStream {
    expand::expand(Kind::Bulkhead, fields.into(), item.into()).into()
}

/// Bounds how long the function may take: `#[timeout("2s")]`.
///
/// | field | meaning | when it is not given |
/// |---|---|---|
/// | `attempt = "2s"`, or the time alone | the longest that one attempt may take | one of this and `total` is needed; both may be there |
/// | `total = "5s"` | the longest that the call may take | |
/// | `name = "orders"` | the name of the policy | the path of the function |
/// | `clock = …` | an expression that is a `Clock`, such as one that tests can turn | the system's |
///
/// An async function is cut off. A function that blocks cannot be: it is told its time by
/// `updraft_resilience::deadline::current`, and its outcome counts whenever it comes.
#[proc_macro_attribute]
pub fn timeout(fields: TokenStream, item: TokenStream) -> TokenStream {
    expand::expand(Kind::Timeout, fields.into(), item.into()).into()
}

/// Runs the function through a policy that is there: `#[guard(policy = self.orders)]`.
///
/// | field | meaning | when it is not given |
/// |---|---|---|
/// | `policy = …` | an expression that is a policy, or derefs to one, where the function is: a field, a static | it is needed |
/// | `once` | this call may run once at most: no retries, no hedges, and no argument is cloned | the policy decides, and arguments are cloned for each attempt |
/// | `priority = …` | an expression that is a `Priority`; it may use the arguments | normal |
#[proc_macro_attribute]
pub fn guard(fields: TokenStream, item: TokenStream) -> TokenStream {
    expand::expand(Kind::Guard, fields.into(), item.into()).into()
}
