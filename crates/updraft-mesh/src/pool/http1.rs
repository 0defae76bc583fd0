//! One HTTP/1 connection: it serves one request after another.

use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use hyper::client::conn::http1;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::body::{Connection, Lease, Loan, PooledBody};
use super::error::SendError;
use super::host::Host;
use super::life::Life;
use super::wire::{Watch, Wire};
use super::{PoolConfig, RequestBody};

/// A connection that was given back so recently is not asked of the kernel: the runtime has
/// looked at it since.
const FRESH: Duration = Duration::from_millis(1);

/// The connection, held by the table while idle and by a response while under way.
pub(super) struct Http1<B: RequestBody> {
    sender: http1::SendRequest<B>,
    watch: Watch,
    task: AbortHandle,
    host: Arc<Host<B>>,
    /// What held when it was opened.
    config: Arc<PoolConfig>,
    life: Life,
    idle_since: Instant,
    /// When it was given its last request.
    taken: Instant,
    reused: bool,
    under_way: bool,
}

impl<B: RequestBody> Http1<B> {
    pub(super) fn new(
        sender: http1::SendRequest<B>,
        watch: Watch,
        task: AbortHandle,
        (host, config): (Arc<Host<B>>, Arc<PoolConfig>),
        life: Life,
    ) -> Self {
        let now = Instant::now();
        Self {
            sender,
            watch,
            task,
            host,
            config,
            life,
            idle_since: now,
            taken: now,
            reused: false,
            under_way: false,
        }
    }

    /// Whether it can serve a request.
    pub(super) fn is_usable(&self, now: Instant) -> bool {
        self.is_kept(now)
            // A new connection takes its first request before it was ever polled.
            && (self.sender.is_ready() || !self.reused)
            && (now.saturating_duration_since(self.idle_since) < FRESH || self.watch.is_quiet())
    }

    /// It is given a request.
    pub(super) const fn take(&mut self, now: Instant) {
        self.taken = now;
    }

    /// Whether it may go on waiting for a request.
    pub(super) fn is_kept(&self, now: Instant) -> bool {
        let idle = self.config.idle_http1;
        !self.sender.is_closed()
            && !self.life.is_over(now)
            && now.saturating_duration_since(self.idle_since) < idle
    }

    /// Whether it has waited too long for a request, and nothing else is the matter with it.
    pub(super) fn is_overdue(&self, now: Instant) -> bool {
        let idle = self.config.idle_http1;
        !self.sender.is_closed() && idle <= now.saturating_duration_since(self.idle_since)
    }

    pub(super) fn host(&self) -> Arc<Host<B>> {
        Arc::clone(&self.host)
    }

    pub(super) fn is_reused(&self) -> bool {
        self.reused
    }
}

/// Ends a connection in the middle of an exchange at once, whatever it is doing. An idle one
/// ends itself in good order when its sender is gone.
impl<B: RequestBody> Drop for Http1<B> {
    fn drop(&mut self) {
        if self.under_way {
            self.task.abort();
        }
    }
}

impl<B: RequestBody> Http1<B> {
    /// The request is on its way when this returns.
    pub(super) fn send(
        mut self: Box<Self>,
        request: Request<B>,
    ) -> impl Future<Output = Result<Response<PooledBody>, SendError<B>>> + use<B> {
        self.under_way = true;
        let connection = Connection { reused: self.reused, age: self.life.age(self.taken) };
        let sent = self.sender.try_send_request(request);
        async move {
            match sent.await {
                Ok(response) => Ok(self.lend(response, connection)),
                Err(mut error) => {
                    let request = error.take_message();
                    Err(SendError::sort(request, error.into_error()))
                }
            }
        }
    }

    fn lend(
        mut self: Box<Self>,
        response: Response<hyper::body::Incoming>,
        connection: Connection,
    ) -> Response<PooledBody> {
        self.reused = true;
        // An upgraded connection belongs to whoever takes the upgrade.
        if response.extensions().get::<OnUpgrade>().is_some() {
            self.under_way = false;
            return response.map(|body| PooledBody::new(body, None, connection));
        }
        response.map(|body| PooledBody::new(body, Some(Lease::Http1(self)), connection))
    }

    /// Waits until the body of the request has ended as well.
    async fn settle(mut self: Box<Self>) {
        let limit = self.config.request_end;
        let ready = std::future::poll_fn(|cx| self.sender.poll_ready(cx));
        if let Ok(Ok(())) = tokio::time::timeout(limit, ready).await {
            self.rest();
        }
    }

    fn rest(mut self: Box<Self>) {
        self.under_way = false;
        let now = Instant::now();
        self.idle_since = now;
        let host = self.host();
        host.put_back(self, now);
    }
}

impl<B: RequestBody> Loan for Http1<B> {
    fn give_back(self: Box<Self>) {
        if self.sender.is_ready() {
            self.rest();
        } else if !self.sender.is_closed() {
            let host = self.host();
            drop(host.tasks().spawn(self.settle()));
        }
    }
}

/// Drives a connection to its end; hands the socket over if it is upgraded.
pub(super) async fn drive<B: RequestBody>(connection: http1::Connection<TokioIo<Wire>, B>) {
    // Whoever waits for a response is told by hyper.
    drop(connection.with_upgrades().await);
}
