//! The derives and attributes of `updraft` and `updraft-resilience`. Use them from there.
//! What is written is checked while compiling, and every mistake is reported at once.

mod app;
mod backoff;
mod breaker;
mod bulkhead;
mod call;
mod client;
mod expand;
mod fields;
mod findings;
mod function;
mod guard;
mod job;
mod layer;
mod migrations;
mod nearest;
mod operation;
mod problem;
mod record;
mod release;
mod retry;
mod test;
mod timeout;
mod value;
mod variable;

use proc_macro::TokenStream;

use crate::layer::Kind;

#[doc = include_str!("circuit_breaker.md")]
#[proc_macro_attribute]
pub fn circuit_breaker(fields: TokenStream, item: TokenStream) -> TokenStream {
    expand::expand(Kind::CircuitBreaker, fields.into(), item.into()).into()
}

#[doc = include_str!("retry.md")]
#[proc_macro_attribute]
pub fn retry(fields: TokenStream, item: TokenStream) -> TokenStream {
    expand::expand(Kind::Retry, fields.into(), item.into()).into()
}

#[doc = include_str!("bulkhead.md")]
#[proc_macro_attribute]
pub fn bulkhead(fields: TokenStream, item: TokenStream) -> TokenStream {
    expand::expand(Kind::Bulkhead, fields.into(), item.into()).into()
}

#[doc = include_str!("timeout.md")]
#[proc_macro_attribute]
pub fn timeout(fields: TokenStream, item: TokenStream) -> TokenStream {
    expand::expand(Kind::Timeout, fields.into(), item.into()).into()
}

#[doc = include_str!("guard.md")]
#[proc_macro_attribute]
pub fn guard(fields: TokenStream, item: TokenStream) -> TokenStream {
    expand::expand(Kind::Guard, fields.into(), item.into()).into()
}

#[doc = include_str!("app.md")]
#[proc_macro_derive(App, attributes(env))]
pub fn derive_app(input: TokenStream) -> TokenStream {
    app::expand(&syn::parse_macro_input!(input as syn::DeriveInput)).into()
}

#[doc = include_str!("job.md")]
#[proc_macro_derive(Job, attributes(job))]
pub fn derive_job(input: TokenStream) -> TokenStream {
    job::expand(&syn::parse_macro_input!(input as syn::DeriveInput)).into()
}

#[doc = include_str!("record.md")]
#[proc_macro_derive(Record, attributes(column))]
pub fn derive_record(input: TokenStream) -> TokenStream {
    record::expand(&syn::parse_macro_input!(input as syn::DeriveInput)).into()
}

#[doc = include_str!("migrations.md")]
#[proc_macro]
pub fn migrations(input: TokenStream) -> TokenStream {
    migrations::expand(&syn::parse_macro_input!(input as migrations::Parts)).into()
}

#[doc = include_str!("client.md")]
#[proc_macro]
pub fn client(input: TokenStream) -> TokenStream {
    client::expand(&syn::parse_macro_input!(input as client::Module)).into()
}

#[doc = include_str!("variable.md")]
#[proc_macro_derive(Variable, attributes(variable))]
pub fn derive_variable(input: TokenStream) -> TokenStream {
    variable::expand(&syn::parse_macro_input!(input as syn::DeriveInput)).into()
}

#[doc = include_str!("release.md")]
#[proc_macro]
pub fn release(_input: TokenStream) -> TokenStream {
    let of_build = |name: &str| std::env::var(name).unwrap_or_default();
    let folder = std::env::var_os("CARGO_MANIFEST_DIR").map(Into::into);
    release::expand(folder, &of_build("CARGO_PKG_NAME"), &of_build("CARGO_PKG_VERSION")).into()
}

#[doc = include_str!("get.md")]
#[proc_macro_attribute]
pub fn get(fields: TokenStream, item: TokenStream) -> TokenStream {
    operation::expand(operation::Method::Get, fields.into(), item.into()).into()
}

/// As [`get`](macro@get), for `POST`.
#[proc_macro_attribute]
pub fn post(fields: TokenStream, item: TokenStream) -> TokenStream {
    operation::expand(operation::Method::Post, fields.into(), item.into()).into()
}

/// As [`get`](macro@get), for `PUT`.
#[proc_macro_attribute]
pub fn put(fields: TokenStream, item: TokenStream) -> TokenStream {
    operation::expand(operation::Method::Put, fields.into(), item.into()).into()
}

/// As [`get`](macro@get), for `PATCH`.
#[proc_macro_attribute]
pub fn patch(fields: TokenStream, item: TokenStream) -> TokenStream {
    operation::expand(operation::Method::Patch, fields.into(), item.into()).into()
}

/// As [`get`](macro@get), for `DELETE`.
#[proc_macro_attribute]
pub fn delete(fields: TokenStream, item: TokenStream) -> TokenStream {
    operation::expand(operation::Method::Delete, fields.into(), item.into()).into()
}

#[doc = include_str!("problem.md")]
#[proc_macro_derive(Problem, attributes(problem, from))]
pub fn derive_problem(input: TokenStream) -> TokenStream {
    problem::expand(&syn::parse_macro_input!(input as syn::DeriveInput)).into()
}

#[doc = include_str!("test.md")]
#[proc_macro_attribute]
pub fn test(fields: TokenStream, item: TokenStream) -> TokenStream {
    test::expand(fields.into(), item.into()).into()
}
