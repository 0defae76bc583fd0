//! The transport of the control API: a Unix socket that only its owner can use,
//! with a bound on whatever a client can make us hold.

use std::convert::Infallible;
use std::error::Error;
use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::Duration;

use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use updraft_mesh::ShortPath;

/// Open connections; further ones wait in the kernel.
const CONNECTIONS_MAX: usize = 128;
/// How long a client may take to send the head of a request, and to be idle.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// How long open answers may go on once the server closes.
const CLOSE_GRACE: Duration = Duration::from_secs(1);
/// The pause after the system refused us a connection, such as for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Why a body broke off.
type BodyError = Box<dyn Error + Send + Sync>;

/// The socket cannot be opened.
#[derive(Debug, thiserror::Error)]
#[error("cannot open the control socket {}", .socket.display())]
pub(crate) struct BindError {
    socket: PathBuf,
    source: io::Error,
}

/// The socket, open but not served yet.
#[derive(Debug)]
pub(crate) struct Listener {
    inner: UnixListener,
}

/// The served socket.
#[derive(Debug)]
pub(crate) struct Server {
    close: watch::Sender<bool>,
    accepting: JoinHandle<()>,
}

impl Listener {
    /// Opens the socket. The caller holds the system's lock, so a socket that is
    /// already there was left by a supervisor that died.
    pub(crate) fn bind(socket: &Path) -> Result<Self, BindError> {
        let failed = |source| BindError { socket: socket.to_owned(), source };
        match std::fs::remove_file(socket) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        let short = ShortPath::of(socket).map_err(failed)?;
        let inner = UnixListener::bind(short.path()).map_err(failed)?;
        // Its folder is 0700 already; this is the second lock on the same door.
        std::fs::set_permissions(socket, Permissions::from_mode(0o600)).map_err(failed)?;
        Ok(Self { inner })
    }
}

impl Server {
    /// Answers each request with `answer`.
    pub(crate) fn start<A, F, B>(listener: Listener, answer: A) -> Self
    where
        A: Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Response<B>> + Send + 'static,
        B: Body<Data: Send, Error: Into<BodyError>> + Send + 'static,
    {
        let (close, closing) = watch::channel(false);
        Self { close, accepting: tokio::spawn(accept(listener, answer, closing)) }
    }

    /// Lets open answers end for a moment, then cuts them. The socket's name is not
    /// touched: the engine removed it under the system's lock, and by now it may be
    /// that of the next supervisor.
    pub(crate) async fn close(self) {
        self.close.send_replace(true);
        drop(self.accepting.await);
    }
}

async fn accept<A, F, B>(listener: Listener, answer: A, mut closing: watch::Receiver<bool>)
where
    A: Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<B>> + Send + 'static,
    B: Body<Data: Send, Error: Into<BodyError>> + Send + 'static,
{
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.inner.accept(), if connections.len() < CONNECTIONS_MAX => {
                match accepted {
                    Ok((stream, _)) if is_ours(&stream) => {
                        connections.spawn(serve(stream, answer.clone(), closing.clone()));
                    }
                    Ok(_) => {}
                    Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
                }
            }
            Some(_) = connections.join_next() => {}
            _ = closing.changed() => break,
        }
    }
    drop(listener);
    let ended = async { while connections.join_next().await.is_some() {} };
    drop(tokio::time::timeout(CLOSE_GRACE, ended).await);
    connections.shutdown().await;
}

async fn serve<A, F, B>(stream: UnixStream, answer: A, mut closing: watch::Receiver<bool>)
where
    A: Fn(Request<Incoming>) -> F,
    F: Future<Output = Response<B>>,
    B: Body<Data: Send, Error: Into<BodyError>> + 'static,
{
    let service = service_fn(|request| {
        let response = answer(request);
        async { Ok::<_, Infallible>(response.await) }
    });
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .serve_connection(TokioIo::new(stream), service)
            // A terminal takes its connection over.
            .with_upgrades()
    );
    tokio::select! {
        // A client that hangs up in the middle is no error of ours.
        _ = &mut connection => {}
        _ = closing.changed() => {
            connection.as_mut().graceful_shutdown();
            drop(connection.await);
        }
    }
}

/// The folder's mode keeps others out; a descriptor passed to them would not.
fn is_ours(stream: &UnixStream) -> bool {
    stream.peer_cred().is_ok_and(|peer| peer.uid() == rustix::process::geteuid().as_raw())
}
