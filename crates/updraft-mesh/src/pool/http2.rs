//! One HTTP/2 connection: it serves many requests at a time.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use http::{Request, Response};
use hyper::client::conn::http2;
use hyper_util::rt::TokioIo;
use tokio::time::Instant;

use super::body::{Connection, Lease, PooledBody, Stream, Streams};
use super::error::{SendError, UnsentCause};
use super::host::{Host, Open};
use super::life::Life;
use super::tasks::Tasks;
use super::wire::Wire;
use super::{PoolConfig, RequestBody};

/// The connection, held by the table and by each of its streams. It ends when all have let go.
pub(super) struct Http2<B: RequestBody> {
    sender: http2::SendRequest<B>,
    host: Arc<Host<B>>,
    /// What held when it was opened.
    config: Arc<PoolConfig>,
    life: Life,
    /// Changed under the lock of the host.
    streams: AtomicUsize,
    peer_limit: Arc<AtomicUsize>,
    idle_since: Mutex<Instant>,
    reused: AtomicBool,
}

impl<B: RequestBody> Http2<B> {
    pub(super) fn new(
        sender: http2::SendRequest<B>,
        (host, config): (Arc<Host<B>>, Arc<PoolConfig>),
        life: Life,
        peer_limit: Arc<AtomicUsize>,
    ) -> Self {
        Self {
            sender,
            host,
            config,
            life,
            streams: AtomicUsize::new(0),
            peer_limit,
            idle_since: Mutex::new(Instant::now()),
            reused: AtomicBool::new(false),
        }
    }

    /// Whether it can take one more stream.
    pub(super) fn has_room(&self, now: Instant) -> bool {
        let limit = self.config.streams.min(self.peer_limit.load(Ordering::Relaxed));
        !self.sender.is_closed()
            && !self.life.is_over(now)
            && self.streams.load(Ordering::Relaxed) < limit.max(1)
    }

    pub(super) fn is_ending(&self, now: Instant) -> bool {
        self.life.is_ending(now)
    }

    pub(super) fn is_idle(&self) -> bool {
        self.streams.load(Ordering::Relaxed) == 0
    }

    /// Whether it may go on waiting for a request.
    pub(super) fn is_kept(&self, now: Instant) -> bool {
        let since = *self.idle_since.lock().unwrap_or_else(PoisonError::into_inner);
        let idle = self.is_idle() && now.saturating_duration_since(since) >= self.config.idle_http2;
        !self.sender.is_closed() && !self.life.is_over(now) && !idle
    }

    /// Counts a stream, to be called under the lock of the host.
    pub(super) fn start_stream(&self) {
        self.streams.fetch_add(1, Ordering::Relaxed);
    }

    /// Ends a stream, to be called under the lock of the host.
    pub(super) fn finish_stream(&self, now: Instant) {
        if self.streams.fetch_sub(1, Ordering::Relaxed) == 1 {
            *self.idle_since.lock().unwrap_or_else(PoisonError::into_inner) = now;
        }
    }
}

impl<B: RequestBody> Streams for Http2<B> {
    fn end_stream(&self) {
        self.host.stream_ended(self);
    }
}

/// A stream of a connection that has not been used yet.
pub(super) struct Opened<B: RequestBody> {
    pub(super) connection: Arc<Http2<B>>,
    /// Keeps the place.
    pub(super) stream: Stream,
    /// When it was taken.
    taken: Instant,
}

impl<B: RequestBody> Opened<B> {
    /// Takes a place, to be called under the lock of the host.
    pub(super) fn new(connection: &Arc<Http2<B>>, taken: Instant) -> Self {
        connection.start_stream();
        let streams: Arc<dyn Streams> = Arc::<Http2<B>>::clone(connection);
        Self { connection: Arc::clone(connection), stream: Stream(streams), taken }
    }

    pub(super) fn is_reused(&self) -> bool {
        self.connection.reused.load(Ordering::Relaxed)
    }

    /// The request is on its way when this returns.
    pub(super) fn send(
        self,
        request: Request<B>,
    ) -> impl Future<Output = Result<Response<PooledBody>, SendError<B>>> + use<B> {
        let Self { connection, stream, taken } = self;
        let known = Connection {
            reused: connection.reused.swap(true, Ordering::Relaxed),
            age: connection.life.age(taken),
        };
        let mut sender = connection.sender.clone();
        let sent = sender.try_send_request(request);
        async move {
            match sent.await {
                Ok(response) => {
                    let lease = Some(Lease::Http2(stream));
                    Ok(response.map(|body| PooledBody::new(body, lease, known)))
                }
                Err(mut error) => {
                    let request = error.take_message();
                    let error = SendError::sort(request, error.into_error());
                    if is_goodbye(&error) {
                        connection.host.forget(&connection);
                    }
                    Err(error)
                }
            }
        }
    }
}

/// Whether the connection takes no more requests.
fn is_goodbye<B>(error: &SendError<B>) -> bool {
    use std::error::Error;
    match error {
        SendError::Unsent { cause: UnsentCause::Closed(_), .. } => true,
        SendError::Unsent { cause: UnsentCause::Refused(error), .. } => error
            .source()
            .and_then(|source| source.downcast_ref::<h2::Error>())
            .is_some_and(h2::Error::is_go_away),
        _ => false,
    }
}

/// Runs what hyper splits off a connection. The first is the connection itself, which counts as
/// open and ends with the pool; the others serve one stream each, and end with the connection.
pub(super) struct Executor<B: RequestBody> {
    tasks: Arc<Tasks>,
    open: Arc<Mutex<Option<Open<B>>>>,
}

impl<B: RequestBody> Executor<B> {
    pub(super) fn new(host: &Arc<Host<B>>) -> Self {
        let open = Arc::new(Mutex::new(Some(Open::new(host))));
        Self { tasks: Arc::clone(host.tasks()), open }
    }
}

impl<B: RequestBody> Clone for Executor<B> {
    fn clone(&self) -> Self {
        Self { tasks: Arc::clone(&self.tasks), open: Arc::clone(&self.open) }
    }
}

impl<B: RequestBody, F> hyper::rt::Executor<F> for Executor<B>
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, future: F) {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner).take();
        match open {
            None => self.tasks.spawn_dependent(future),
            Some(open) => drop(self.tasks.spawn(async move {
                future.await;
                drop(open);
            })),
        }
    }
}

/// Drives a connection to its end, and keeps up with how many streams the peer allows.
pub(super) async fn drive<B: RequestBody>(
    mut connection: http2::Connection<TokioIo<Wire>, B, Executor<B>>,
    peer_limit: Arc<AtomicUsize>,
) {
    let end = std::future::poll_fn(|cx| {
        let polled = Pin::new(&mut connection).poll(cx);
        if polled.is_pending() {
            peer_limit.store(connection.current_max_send_streams(), Ordering::Relaxed);
        }
        polled
    });
    // Whoever waits for a response is told by hyper.
    drop(end.await);
}
