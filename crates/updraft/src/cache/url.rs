//! Where a cache is and how it is used: `memory:` or `redis://host:port/0`, with parameters.

use std::num::NonZeroU32;
use std::time::Duration;

use url::Url;

use crate::attachment::{Location, Parameters};
use crate::config::Variable;

const MAX_BYTES: u64 = 64 << 20;
const MAX_VALUE_BYTES: u64 = 1 << 20;
const TIMEOUT: Duration = Duration::from_millis(500);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
const CONCURRENCY: NonZeroU32 = NonZeroU32::new(256).expect("it is above 0");
const STALE_FOR: Duration = Duration::from_secs(300);

/// The longest prefix.
const PREFIX_BYTES: usize = 128;

/// Where a cache is, and how it is used.
///
/// ```
/// use updraft::{CacheUrl, Variable as _};
///
/// CacheUrl::parse("memory:?max_bytes=16MiB").unwrap();
/// CacheUrl::parse("redis://:secret@cache.example:6379/0?prefix=shop&timeout=250ms").unwrap();
/// CacheUrl::parse("redis://cache.example/?ttl=5").unwrap_err();
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct CacheUrl {
    pub(super) place: Place,
    /// `None`: the name of the service.
    pub(super) prefix: Option<String>,
    pub(super) max_value_bytes: u64,
    pub(super) stale_for: Duration,
}

#[derive(Clone, PartialEq, Eq)]
pub(super) enum Place {
    Memory { max_bytes: u64 },
    Redis(RedisPlace),
}

/// A server, and how long it may take.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct RedisPlace {
    /// With user and password, without our parameters.
    pub(super) url: Url,
    pub(super) timeout: Duration,
    pub(super) connect_timeout: Duration,
    pub(super) concurrency: NonZeroU32,
}

/// Shows no user and no password.
impl std::fmt::Debug for CacheUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("CacheUrl").field(&self.location().to_string()).finish()
    }
}

impl CacheUrl {
    pub(super) fn location(&self) -> Location {
        match &self.place {
            Place::Memory { .. } => Location::new("memory", ""),
            Place::Redis(place) if place.is_tls() => Location::of_url("rediss", &place.url),
            Place::Redis(place) => Location::of_url("redis", &place.url),
        }
    }

    /// Whether each process has one of its own.
    pub(super) fn is_local(&self) -> bool {
        matches!(self.place, Place::Memory { .. })
    }
}

impl RedisPlace {
    pub(super) fn is_tls(&self) -> bool {
        self.url.scheme().ends_with('s') && self.url.scheme() != "redis"
    }
}

impl Variable for CacheUrl {
    const EXPECTED: &'static str = "the URL of a cache: memory: for one in this process, or \
        redis://:PASSWORD@HOST:6379/0 (rediss: with TLS), with prefix=NAME, timeout=500ms or \
        max_bytes=64MiB behind a ? if they should differ";

    fn parse(text: &str) -> Result<Self, String> {
        let mut url = Url::parse(text).map_err(|_not_url| "is not a URL".to_owned())?;
        let mut parameters = Parameters::take(&mut url);
        let place = match url.scheme() {
            "memory" => memory(&url, &mut parameters)?,
            "redis" | "valkey" => redis(url, &mut parameters)?,
            "rediss" | "valkeys" if cfg!(feature = "tls") => redis(url, &mut parameters)?,
            "rediss" | "valkeys" => {
                return Err("needs the features `redis` and `tls` of updraft".to_owned());
            }
            _ => return Err("has a scheme that no cache has".to_owned()),
        };
        let prefix = parameters.text("prefix");
        if prefix.as_ref().is_some_and(|prefix| !is_prefix(prefix)) {
            return Err(format!(
                "has a `prefix` that is not of 1 to {PREFIX_BYTES} letters, digits, `-`, `_`, `.`"
            ));
        }
        let max_value_bytes = parameters.bytes("max_value_bytes")?.unwrap_or(MAX_VALUE_BYTES);
        let stale_for = parameters.span("stale_for")?.unwrap_or(STALE_FOR);
        parameters.end("a cache")?;
        Ok(Self { place, prefix, max_value_bytes, stale_for })
    }

    fn show(&self) -> String {
        self.location().to_string()
    }
}

fn memory(url: &Url, parameters: &mut Parameters) -> Result<Place, String> {
    if url.has_host() || !matches!(url.path(), "" | "/") {
        return Err("has something behind `memory:` that is no parameter".to_owned());
    }
    Ok(Place::Memory { max_bytes: parameters.bytes("max_bytes")?.unwrap_or(MAX_BYTES) })
}

fn redis(url: Url, parameters: &mut Parameters) -> Result<Place, String> {
    if cfg!(not(feature = "redis")) {
        return Err("needs the feature `redis` of updraft".to_owned());
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err("does not name a host".to_owned());
    }
    let database = url.path().trim_start_matches('/');
    if !database.is_empty() && database.parse::<u16>().is_err() {
        return Err("has a path that is not the number of a database".to_owned());
    }
    if url.fragment().is_some() {
        return Err("has a fragment, and a cache takes none".to_owned());
    }
    let concurrency = parameters.positive("concurrency")?.and_then(NonZeroU32::new);
    Ok(Place::Redis(RedisPlace {
        url,
        timeout: parameters.span("timeout")?.unwrap_or(TIMEOUT),
        connect_timeout: parameters.span("connect_timeout")?.unwrap_or(CONNECT_TIMEOUT),
        concurrency: concurrency.unwrap_or(CONCURRENCY),
    }))
}

fn is_prefix(text: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    (1..=PREFIX_BYTES).contains(&text.len()) && text.chars().all(is_part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_cache_is_refused_and_never_repeated() {
        for wrong in [
            "",
            "canary",
            "memory:canary",
            "memory://canary/",
            "memory:?canary=1",
            "memory:?timeout=1s",
            "memory:?max_bytes=0",
            "memory:?prefix=can%20ary",
            "memory:?stale_for=canary",
            "memcached://canary",
            "redis:///canary",
            "redis://user:canary@host/canary",
            "redis://user:canary@host/0?canary=canary",
            "redis://user:canary@host/0?timeout=0s",
            "redis://user:canary@host/0?max_bytes=5",
            "redis://user:canary@host/0?concurrency=0",
            "redis://user:canary@host/0#canary",
        ] {
            let error = CacheUrl::parse(wrong).unwrap_err();
            assert!(!error.contains("canary"), "{wrong}: {error}");
        }
    }

    #[cfg(feature = "redis")]
    #[test]
    fn no_way_of_showing_a_url_shows_its_secrets() {
        let url = CacheUrl::parse("redis://canary:canary@host:7000/3?timeout=1s").unwrap();
        for text in [url.show(), format!("{url:?}"), url.location().to_string()] {
            assert!(text.contains("redis://host:7000/3") && !text.contains("canary"), "{text}");
        }
    }
}
