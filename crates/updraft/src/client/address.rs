//! The addresses of a service, and which of them the next attempt goes to.

use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use http::Uri;
use http::uri::{Authority, PathAndQuery, Scheme};
use http_body_util::Full;
use hyper_util::client::legacy::Client as HyperClient;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use updraft_resilience::breaker::{Breaker, BreakerConfig, State};
use updraft_resilience::{Clock, Instant, Invalid};

use super::ServiceUrl;
use super::connect::{Connector, Target};
use super::lease::Lease;
use super::metrics::ClientSeries;
use super::resolve::{Found, Names};
use super::settings::Tls;
use super::url::{Place, Protocol};
use crate::BoxError;

/// How long idle connections are kept: shorter than services keep theirs.
const IDLE_TIME: Duration = Duration::from_secs(30);

/// Idle connections that are kept to each address.
const IDLE_MOST: usize = 32;

/// How long an address that could not be reached is the last that is chosen.
const SUSPECT_TIME: Duration = Duration::from_secs(5);

/// One address of a service.
pub(super) struct Address {
    /// Which of the addresses so far it is.
    number: u32,
    /// Which URL it is of.
    pub(super) place: usize,
    pub(super) socket: Option<SocketAddr>,
    scheme: Scheme,
    authority: Authority,
    base: String,
    pub(super) http: HyperClient<Connector, Full<Bytes>>,
    pub(super) breaker: Option<Breaker>,
    /// Attempts that run.
    pub(super) outstanding: AtomicU32,
    /// Connections that are open.
    pub(super) connections: Arc<AtomicI64>,
    /// When it last gave no answer, in nanoseconds of the clock; 0: it gave one since.
    failed_at: AtomicU64,
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Address").field(&self.authority).finish()
    }
}

impl Address {
    /// The URI of a path at this address.
    pub(super) fn uri(&self, path: &PathAndQuery) -> Result<Uri, http::Error> {
        let path = match &*self.base {
            "" => path.clone(),
            base => PathAndQuery::try_from(format!("{base}{path}"))?,
        };
        let mut parts = http::uri::Parts::default();
        parts.scheme = Some(self.scheme.clone());
        parts.authority = Some(self.authority.clone());
        parts.path_and_query = Some(path);
        Ok(Uri::from_parts(parts)?)
    }

    /// What it is called in metrics: never more than host and port.
    pub(super) fn label(&self) -> String {
        match self.socket {
            Some(socket) => socket.to_string(),
            None => "unix".to_owned(),
        }
    }

    pub(super) fn note(&self, failed: bool, now: Instant) {
        self.failed_at.store(if failed { now.as_nanos().max(1) } else { 0 }, Ordering::Relaxed);
    }

    /// Whether it gave no answer when it was last asked, not long ago.
    pub(super) fn is_suspect(&self, now: Instant) -> bool {
        let failed_at = self.failed_at.load(Ordering::Relaxed);
        let since = now.saturating_duration_since(Instant::from_nanos(failed_at));
        0 < failed_at && since < SUSPECT_TIME
    }

    pub(super) fn state(&self, now: Instant) -> State {
        self.breaker.as_ref().map_or(State::Closed, |breaker| breaker.state(now))
    }

    fn bit(&self) -> u64 {
        1 << (self.number % u64::BITS)
    }
}

/// Addresses that a call has had no luck with. An address that shares its place here with
/// another is at worst chosen later than it could be.
#[derive(Debug, Default)]
pub(super) struct Tried(AtomicU64);

impl Tried {
    pub(super) fn add(&self, address: &Address) {
        self.0.fetch_or(address.bit(), Ordering::Relaxed);
    }

    fn has(&self, address: &Address) -> bool {
        self.0.load(Ordering::Relaxed) & address.bit() != 0
    }
}

/// All addresses of a service.
pub(super) struct Addresses {
    url: ServiceUrl,
    breaker: Option<BreakerConfig>,
    tls: Tls,
    clock: Clock,
    series: Arc<ClientSeries>,
    known: RwLock<Arc<[Arc<Address>]>>,
    names: Names,
    made: AtomicU32,
}

impl fmt::Debug for Addresses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Addresses").field(&self.url).finish()
    }
}

impl Addresses {
    /// # Errors
    ///
    /// When there can be no such breaker.
    pub(super) fn new(
        url: ServiceUrl,
        breaker: Option<BreakerConfig>,
        tls: Tls,
        clock: Clock,
        series: Arc<ClientSeries>,
    ) -> Result<Self, Invalid> {
        if let Some(breaker) = &breaker {
            breaker.validate()?;
        }
        let names = Names::default();
        let known = RwLock::new(Vec::new().into());
        let made = AtomicU32::new(0);
        Ok(Self { url, breaker, tls, clock, series, known, names, made })
    }

    pub(super) fn url(&self) -> &ServiceUrl {
        &self.url
    }

    /// Those that are known now.
    pub(super) fn known(&self) -> Arc<[Arc<Address>]> {
        Arc::clone(&self.known.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Those that are known, after names that are due were looked up again.
    ///
    /// # Errors
    ///
    /// When no address is known.
    pub(super) async fn current(&self) -> Result<Arc<[Arc<Address>]>, BoxError> {
        let now = self.clock.now();
        if self.names.are_due(now) {
            let has_some = !self.known().is_empty();
            let clock = &self.clock;
            self.names.look_up(&self.url, has_some, clock, |found| self.replace(found)).await?;
        }
        let known = self.known();
        if known.is_empty() {
            Err("the name of the service has no address".into())
        } else {
            Ok(known)
        }
    }

    /// Has names looked up again soon, because what is known of them does not work.
    pub(super) fn doubt(&self) {
        self.names.doubt(self.clock.now());
    }

    /// Puts these in place of those that are known; what stays keeps all that it knows.
    fn replace(&self, found: Found) -> Result<(), BoxError> {
        let before = self.known();
        let stays = |it: &&Arc<Address>| found.unknown.contains(&it.place);
        let mut after: Vec<_> = before.iter().filter(stays).cloned().collect();
        for (place, socket) in found.addresses {
            let same = before.iter().find(|it| it.place == place && it.socket == socket);
            after.push(match same {
                Some(same) => Arc::clone(same),
                None => Arc::new(self.make(place, socket)?),
            });
        }
        let after: Arc<[_]> = after.into();
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&after);
        self.series.addresses(after, self.clock.clone());
        Ok(())
    }

    fn make(&self, number: usize, socket: Option<SocketAddr>) -> Result<Address, BoxError> {
        let place = self.url.places.get(number).ok_or("there is no such place")?;
        let target = match (place.protocol, socket) {
            (Protocol::Unix, _) | (_, None) => Target::Unix(place.host.clone().into()),
            (_, Some(socket)) => Target::Tcp(socket),
        };
        let connections = Arc::new(AtomicI64::new(0));
        let connector = self.connector(place, target, &connections)?;
        let http = HyperClient::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIME)
            .pool_max_idle_per_host(IDLE_MOST)
            .http2_only(place.protocol == Protocol::H2c)
            .build(connector);
        let scheme = match place.protocol {
            Protocol::Https => Scheme::HTTPS,
            Protocol::Http | Protocol::H2c | Protocol::Unix => Scheme::HTTP,
        };
        Ok(Address {
            number: self.made.fetch_add(1, Ordering::Relaxed),
            place: number,
            socket,
            scheme,
            authority: place.authority().parse()?,
            base: place.base.clone(),
            http,
            breaker: self.breaker.clone().map(Breaker::new).transpose()?,
            outstanding: AtomicU32::new(0),
            connections,
            failed_at: AtomicU64::new(0),
        })
    }

    #[cfg(feature = "tls")]
    fn connector(
        &self,
        place: &Place,
        target: Target,
        connections: &Arc<AtomicI64>,
    ) -> Result<Connector, BoxError> {
        let tls = match place.protocol {
            Protocol::Https => Some(self.tls.for_host(&place.host)?),
            _ => None,
        };
        Ok(Connector { target, connections: Arc::clone(connections), tls })
    }

    #[cfg(not(feature = "tls"))]
    fn connector(
        &self,
        _: &Place,
        target: Target,
        connections: &Arc<AtomicI64>,
    ) -> Result<Connector, BoxError> {
        let Tls {} = &self.tls;
        Ok(Connector { target, connections: Arc::clone(connections) })
    }

    /// The address of the next attempt: the less busy one of two that chance picks (M.
    /// Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing", 2001) among
    /// those that are well. Those that were tried or could not be reached not long ago are
    /// chosen when there is no other.
    ///
    /// # Errors
    ///
    /// All of them are left alone; the first one for so long.
    pub(super) fn choose(&self, among: &[Arc<Address>], tried: &Tried) -> Result<Lease, Duration> {
        let now = self.clock.now();
        let mut refused = 0_u64;
        let mut retry_after = Duration::MAX;
        let may =
            |it: &Address, refused: u64| refused & it.bit() == 0 && it.state(now) != State::Open;
        let is_well = |it: &Address| !tried.has(it) && !it.is_suspect(now);
        loop {
            let well = two(among, |it| may(it, refused) && is_well(it));
            let Some(chosen) = well.or_else(|| two(among, |it| may(it, refused))) else { break };
            let permit = chosen.breaker.as_ref().map(|breaker| breaker.try_acquire(now));
            match permit.transpose() {
                Ok(permit) => {
                    let (clock, series) = (self.clock.clone(), Arc::clone(&self.series));
                    return Ok(Lease::new(Arc::clone(chosen), permit, clock, series));
                }
                Err(open) => {
                    refused |= chosen.bit();
                    retry_after = retry_after.min(open.retry_after);
                }
            }
        }
        for breaker in among.iter().filter_map(|it| it.breaker.as_ref()) {
            if let Some(until) = breaker.snapshot(now).open_until {
                retry_after = retry_after.min(until.saturating_duration_since(now));
            }
        }
        Err(retry_after)
    }
}

/// The less busy one of two of these.
fn two(among: &[Arc<Address>], fits: impl Fn(&Address) -> bool) -> Option<&Arc<Address>> {
    let fitting = || among.iter().filter(|it| fits(it));
    let count = fitting().count();
    if count <= 1 {
        return fitting().next();
    }
    let first = fastrand::usize(..count);
    let other = (first + fastrand::usize(1..count)) % count;
    let (first, other) = (fitting().nth(first)?, fitting().nth(other)?);
    let busy = |it: &Address| it.outstanding.load(Ordering::Relaxed);
    Some(if busy(other) < busy(first) { other } else { first })
}

#[cfg(test)]
#[path = "address_tests.rs"]
mod tests;
