//! Connections to endpoints.
//!
//! A pool of hyper's connections, without hyper-util's client on top: that hides what became of
//! a request, and tries again on its own. Here a request is either given back, provably unsent,
//! or known to have been sent. HTTP/1 connections are used last in, first out, so that those
//! that are too many become idle and end before the server's own limit; HTTP/2 connections are
//! filled in the order of their age, for the same reason.
//!
//! Connecting happens in a task of its own. A request that waits takes whatever is free first,
//! and a request that goes away leaves what was begun for it to others.

mod body;
mod checkout;
mod config;
mod connect;
mod counts;
mod error;
mod host;
mod http1;
mod http2;
mod life;
mod target;
mod tasks;
mod wire;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use tokio::runtime::Handle;
use tokio::sync::Notify;

#[cfg(test)]
pub(crate) use body::Connection;
pub(crate) use body::PooledBody;
pub(crate) use config::PoolConfig;
#[cfg(test)]
pub(crate) use counts::{Counts, ProtocolCounts};
#[cfg(test)]
pub(crate) use error::ConnectError;
pub(crate) use error::{SendError, UnsentCause};
pub(crate) use target::{Protocol, Target, TargetTls};

use checkout::Checkout;
use counts::Counters;
use host::{Host, Leftover, Taken};
use tasks::Tasks;

/// How often a request that was given back by a connection that had just closed is tried on
/// another one.
const STALE_TRIES: u32 = 3;

/// A body that a pool can send.
pub(crate) trait RequestBody:
    Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + Unpin + 'static
{
}

impl<B> RequestBody for B where
    B: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>>
        + Send
        + Unpin
        + 'static
{
}

/// Connections to endpoints, opened when needed and kept for a while. All that it has started
/// ends when it is dropped, requests under way included.
pub(crate) struct Pool<B: RequestBody> {
    shared: Arc<Shared<B>>,
}

/// A bound that ended something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bound {
    /// An HTTP/1 connection waited too long for a request.
    Idle,
    /// A connection was not open in time.
    Connect,
}

/// Hears whenever a bound ended something.
pub(crate) type Report = Arc<dyn Fn(Bound) + Send + Sync>;

/// What a pool, its connections and its tasks have in common.
struct Shared<B: RequestBody> {
    /// What holds from now on. A connection goes by what held when it was opened.
    config: ArcSwap<PoolConfig>,
    hosts: Mutex<HashMap<Target, Arc<Host<B>>>>,
    /// Those that were retired, as long as anything is under way to them.
    retired: Mutex<Vec<Arc<Host<B>>>>,
    /// Tells the sweeper that there is something again.
    filled: Notify,
    /// Idle HTTP/1 connections of all hosts.
    idle: AtomicUsize,
    counters: Counters,
    tasks: Arc<Tasks>,
    report: Report,
}

impl<B: RequestBody> Pool<B> {
    /// A pool without connections, whose tasks run on `runtime`; `report` hears of its bounds.
    pub(crate) fn new(config: PoolConfig, runtime: Handle, report: Report) -> Self {
        let shared = Arc::new(Shared {
            config: ArcSwap::from_pointee(config),
            hosts: Mutex::new(HashMap::new()),
            retired: Mutex::default(),
            filled: Notify::new(),
            idle: AtomicUsize::new(0),
            counters: Counters::default(),
            tasks: Arc::new(Tasks::new(runtime)),
            report,
        });
        drop(shared.tasks.spawn(Arc::clone(&shared).sweep_for_ever()));
        Self { shared }
    }

    /// Other bounds hold from now on: for connections that are opened, and for requests that
    /// wait for one.
    pub(crate) fn configure(&self, config: PoolConfig) {
        self.shared.config.store(Arc::new(config));
    }

    /// Sends a request as it is: its target's form, `Host` and framing are the caller's. The
    /// version has to be that of the target's protocol. Dropping the future ends an HTTP/1
    /// connection, or resets an HTTP/2 stream.
    ///
    /// A response of 101 has [`hyper::upgrade::on`] for the caller.
    ///
    /// # Errors
    ///
    /// [`SendError`], which tells whether the endpoint can have seen the request.
    pub(crate) async fn send(
        &self,
        target: &Target,
        mut request: Request<B>,
    ) -> Result<Response<PooledBody>, SendError<B>> {
        let mut tries = 0;
        loop {
            let (host, checkout) = match self.checkout(target).await {
                Ok(found) => found,
                Err(cause) => {
                    let request = Some(Box::new(request));
                    return Err(SendError::Unsent { request, cause });
                }
            };
            match checkout.send(&host, request).await {
                Ok(response) => return Ok(response),
                // The endpoint closed an idle connection at this very moment, which is no fault
                // of the endpoint and costs no attempt.
                Err((true, SendError::Unsent { request: Some(back), .. }))
                    if tries < STALE_TRIES =>
                {
                    tries += 1;
                    request = *back;
                }
                Err((_, error)) => return Err(error),
            }
        }
    }

    async fn checkout(&self, target: &Target) -> Result<(Arc<Host<B>>, Checkout<B>), UnsentCause> {
        loop {
            let host = self.shared.host(target);
            match host.take() {
                Taken::Ready(checkout) => return Ok((host, checkout)),
                Taken::Full => return Err(UnsentCause::Full),
                // It was swept away between the two looks.
                Taken::Retired => {}
                Taken::Wait(wait) => {
                    let longest = self.shared.config.load().wait;
                    return match tokio::time::timeout(longest, wait).await {
                        Ok(Ok(checkout)) => Ok((host, checkout?)),
                        Ok(Err(_dropped)) => Err(UnsentCause::Retired),
                        Err(_elapsed) => Err(UnsentCause::Wait),
                    };
                }
            }
        }
    }

    /// Closes the idle connections of all targets that are not to be kept; those in use close
    /// when their exchange has ended. A later request to such a target starts anew.
    pub(crate) fn retire(&self, keep: impl Fn(&Target) -> bool) {
        let gone: Vec<_> = {
            let mut hosts = self.shared.hosts();
            hosts.extract_if(|target, _| !keep(target)).map(|(_, host)| host).collect()
        };
        self.shared.retire(gone);
    }

    /// How many connections to the retired targets that `chosen` tells are in use still.
    pub(crate) fn lingering(&self, chosen: impl Fn(&Target) -> bool) -> usize {
        let retired = self.shared.retired.lock().unwrap_or_else(PoisonError::into_inner);
        retired.iter().filter(|host| chosen(&host.target)).map(|host| host.open()).sum()
    }

    /// Open connections to a target.
    pub(crate) fn open(&self, target: &Target) -> usize {
        let host = self.shared.hosts().get(target).cloned();
        host.map_or(0, |host| host.open())
    }

    /// What it has and has done.
    #[cfg(test)]
    pub(crate) fn counts(&self) -> Counts {
        let mut counts = self.shared.counters.read();
        let hosts: Vec<_> = self.shared.hosts().values().cloned().collect();
        for host in hosts {
            match host.target.protocol() {
                Protocol::Http1 => counts.http1.idle += host.idle(),
                Protocol::Http2 => counts.http2.idle += host.idle(),
            }
        }
        counts
    }
}

impl<B: RequestBody> Shared<B> {
    fn hosts(&self) -> MutexGuard<'_, HashMap<Target, Arc<Host<B>>>> {
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn host(self: &Arc<Self>, target: &Target) -> Arc<Host<B>> {
        let mut hosts = self.hosts();
        if let Some(host) = hosts.get(target) {
            return Arc::clone(host);
        }
        self.filled.notify_one();
        match hosts.entry(target.clone()) {
            Entry::Occupied(host) => Arc::clone(host.get()),
            Entry::Vacant(place) => {
                Arc::clone(place.insert(Arc::new(Host::new(target.clone(), Arc::clone(self)))))
            }
        }
    }

    fn retire(&self, hosts: Vec<Arc<Host<B>>>) {
        let mut left = Leftover::default();
        for host in &hosts {
            host.retire(&mut left);
        }
        drop(left);
        let mut retired = self.retired.lock().unwrap_or_else(PoisonError::into_inner);
        retired.extend(hosts);
        retired.retain(|host| host.open() != 0);
    }

    /// Looks after idle connections, as long as there are any.
    async fn sweep_for_ever(self: Arc<Self>) {
        let shortest = Duration::from_millis(10);
        loop {
            if self.hosts().is_empty() {
                self.filled.notified().await;
            }
            let idle = {
                let config = self.config.load();
                config.idle_http1.min(config.idle_http2)
            };
            tokio::time::sleep((idle / 4).clamp(shortest, Duration::from_secs(1))).await;
            self.sweep();
        }
    }

    fn sweep(&self) {
        let mut left = Leftover::default();
        let gone: Vec<_> = {
            let mut hosts = self.hosts();
            hosts.extract_if(|_, host| host.sweep(&mut left)).collect()
        };
        drop(left);
        drop(gone);
    }
}

impl<B: RequestBody> Drop for Pool<B> {
    fn drop(&mut self) {
        self.shared.tasks.close();
        let hosts = self.shared.hosts().drain().map(|(_, host)| host).collect();
        self.shared.retire(hosts);
        // They hold what holds them.
        self.shared.retired.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

impl<B: RequestBody> fmt::Debug for Pool<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("config", &self.shared.config).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
