//! The client of registries against a real one (Debian's `docker-registry`) behind a proxy that
//! does harm, against skopeo, and against servers that mean harm.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod hostile;
mod identity;
mod images;
mod keeper;
mod proxy;
mod pull;
mod push;
mod referrers;
mod server;
mod tls;
