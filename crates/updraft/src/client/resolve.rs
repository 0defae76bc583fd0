//! Names of hosts, looked up by whoever calls when it is time: a client that nobody uses asks
//! nobody, and a service that moved is found within a bound.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Mutex;
use updraft_resilience::{Clock, Instant};

use super::ServiceUrl;
use super::url::{Place, Protocol};
use crate::BoxError;

/// How long an answer holds.
const HOLD_TIME: Duration = Duration::from_secs(10);

/// How long nobody asks again after a failure, and after an address did not work.
const AGAIN_TIME: Duration = Duration::from_secs(1);

/// How long an answer may take where nothing is known yet, and …
const FIRST_TIME: Duration = Duration::from_secs(5);

/// … where what is known may still do.
const LATER_TIME: Duration = Duration::from_millis(500);

/// Addresses of one service at most; what comes after them is not used.
const ADDRESSES_MOST: usize = 64;

/// What came of looking all names up.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Addresses by the number of their place.
    pub(super) addresses: Vec<(usize, Option<SocketAddr>)>,
    /// Places whose name could not be looked up: what was known of them holds.
    pub(super) unknown: Vec<usize>,
}

/// When names are looked up again.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// In nanoseconds of the clock; 0 at first.
    due: AtomicU64,
    looking: Mutex<()>,
}

impl Names {
    pub(super) fn are_due(&self, now: Instant) -> bool {
        self.due.load(Ordering::Relaxed) <= now.as_nanos()
    }

    /// Makes them due soon.
    pub(super) fn doubt(&self, now: Instant) {
        let soon = (now + AGAIN_TIME).as_nanos();
        // Where no name is looked up, there is nothing to learn.
        if self.due.load(Ordering::Relaxed) != u64::MAX {
            self.due.fetch_min(soon, Ordering::Relaxed);
        }
    }

    /// Looks all names up, unless somebody does so already and there is something to go on
    /// with in the meantime.
    ///
    /// # Errors
    ///
    /// When there is nothing to go on with.
    pub(super) async fn look_up(
        &self,
        url: &ServiceUrl,
        has_some: bool,
        clock: &Clock,
        replace: impl FnOnce(Found) -> Result<(), BoxError>,
    ) -> Result<(), BoxError> {
        let _turn = match has_some {
            true => match self.looking.try_lock() {
                Ok(turn) => turn,
                Err(_taken) => return Ok(()),
            },
            false => self.looking.lock().await,
        };
        if !self.are_due(clock.now()) {
            return Ok(());
        }
        let time = if has_some { LATER_TIME } else { FIRST_TIME };
        let found = match tokio::time::timeout(time, every(url)).await {
            Ok(found) => found,
            Err(_elapsed) => Err("the name of the service was not looked up in time".into()),
        };
        let set = |span| self.due.store((clock.now() + span).as_nanos(), Ordering::Relaxed);
        match found {
            Ok(found) => {
                let hold = if found.unknown.is_empty() { HOLD_TIME } else { AGAIN_TIME };
                replace(found)?;
                match url.places.iter().all(|place| literal(place).is_some()) {
                    true => self.due.store(u64::MAX, Ordering::Relaxed),
                    false => set(hold),
                }
                Ok(())
            }
            Err(error) if has_some => {
                set(AGAIN_TIME);
                tracing::debug!(
                    error = &*error as &dyn std::error::Error,
                    "the old addresses stay"
                );
                Ok(())
            }
            // Whoever waits asks again: its own deadline is the bound.
            Err(error) => Err(error),
        }
    }
}

/// The address of a place that has no name; `Some(None)` for a socket.
fn literal(place: &Place) -> Option<Option<SocketAddr>> {
    if place.protocol == Protocol::Unix {
        return Some(None);
    }
    let host = place.host.trim_start_matches('[').trim_end_matches(']');
    let ip: IpAddr = host.parse().ok()?;
    Some(Some(SocketAddr::new(ip, place.port)))
}

/// All addresses of all places, as far as names are known.
async fn every(url: &ServiceUrl) -> Result<Found, BoxError> {
    let Found { addresses: mut found, mut unknown } = Found::default();
    let mut failed = None;
    for (number, place) in url.places.iter().enumerate() {
        if let Some(known) = literal(place) {
            found.push((number, known));
            continue;
        }
        match tokio::net::lookup_host((&*place.host, place.port)).await {
            Ok(sockets) => {
                for socket in sockets {
                    if !found.contains(&(number, Some(socket))) {
                        found.push((number, Some(socket)));
                    }
                }
            }
            Err(error) => {
                unknown.push(number);
                failed = Some(error);
            }
        }
    }
    found.truncate(ADDRESSES_MOST);
    match failed {
        Some(error) if found.is_empty() => Err(error.into()),
        _ => Ok(Found { addresses: found, unknown }),
    }
}
