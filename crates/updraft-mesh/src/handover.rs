//! Listening sockets pass from a gateway to the one that takes its place, so that no
//! connection is refused in between: their descriptors go through a Unix socket
//! (`SCM_RIGHTS`, unix(7)), as Envoy's hot restart and HAProxy's `expose-fd listeners` do it.
//!
//! The new gateway asks; the old one sends. When the new one serves it says so, and only then
//! the old one drains: what has not been accepted waits in the sockets' own queues.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

use crate::short_path::ShortPath;

/// Descriptors in one message; the kernel takes at most 253.
const BATCH: usize = 128;
/// The longest that either side waits for the other.
const PATIENCE: Duration = Duration::from_secs(10);
/// What the new gateway says once it serves.
const SERVING: u8 = b's';

/// The listening sockets of the gateway before, and the line to it.
#[derive(Debug)]
pub struct Inherited {
    listeners: Vec<(SocketAddr, TcpListener)>,
    before: UnixStream,
}

/// The socket where the next gateway asks.
#[derive(Debug)]
pub struct Heirs {
    listener: UnixListener,
    path: PathBuf,
}

/// The sockets could not pass.
#[derive(Debug, thiserror::Error)]
pub enum HandOverError {
    /// The Unix socket cannot be used.
    #[error("cannot use the hand-over socket {path}")]
    Socket {
        /// Where it is.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Somebody else answered.
    #[error("the hand-over socket {0} belongs to another user")]
    Foreign(PathBuf),
}

/// Asks the gateway at `path` for its listening sockets; `None`: there is none.
///
/// # Errors
///
/// [`HandOverError`] when it is of another user or breaks off.
pub fn inherit(path: &Path) -> Result<Option<Inherited>, HandOverError> {
    let failed = |source| HandOverError::Socket { path: path.to_owned(), source };
    let before = match connect(path) {
        Ok(before) => before,
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
            ) =>
        {
            return Ok(None);
        }
        Err(error) => return Err(failed(error)),
    };
    if !is_ours(&before) {
        return Err(HandOverError::Foreign(path.to_owned()));
    }
    before.set_read_timeout(Some(PATIENCE)).map_err(failed)?;
    let mut listeners = Vec::new();
    while let Some(batch) = receive(&before).map_err(failed)? {
        for descriptor in batch {
            let listener = TcpListener::from(descriptor);
            listeners.push((listener.local_addr().map_err(failed)?, listener));
        }
    }
    Ok(Some(Inherited { listeners, before }))
}

fn connect(path: &Path) -> io::Result<UnixStream> {
    UnixStream::connect(ShortPath::of(path)?.path())
}

impl Inherited {
    /// Takes the socket that listens at `address`.
    pub(crate) fn take(&mut self, address: SocketAddr) -> Option<TcpListener> {
        let place = self.listeners.iter().position(|(own, _)| *own == address)?;
        Some(self.listeners.swap_remove(place).1)
    }

    /// Tells the gateway before that this one serves, so that it drains.
    ///
    /// # Errors
    ///
    /// That of the system: the gateway before is gone.
    pub fn serving(self) -> io::Result<()> {
        rustix::net::send(&self.before, &[SERVING], SendFlags::NOSIGNAL)?;
        Ok(())
    }
}

impl Heirs {
    /// Opens the socket, for this user alone. One that is there already is replaced: who
    /// served at it has handed over, or is gone.
    ///
    /// # Errors
    ///
    /// [`HandOverError`] when it cannot be made.
    pub fn open(path: &Path) -> Result<Self, HandOverError> {
        let failed = |source| HandOverError::Socket { path: path.to_owned(), source };
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        let short = ShortPath::of(path).map_err(failed)?;
        let listener = UnixListener::bind(short.path()).map_err(failed)?;
        let owner_only = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(path, owner_only).map_err(failed)?;
        Ok(Self { listener, path: path.to_owned() })
    }

    /// Waits until a gateway of this user has taken the sockets that `listeners` gives and
    /// says that it serves. Blocks its thread.
    pub fn hand_over(&self, listeners: impl Fn() -> Vec<TcpListener>) -> Result<(), HandOverError> {
        let failed = |source| HandOverError::Socket { path: self.path.clone(), source };
        loop {
            let (heir, _) = self.listener.accept().map_err(failed)?;
            // Another user, or one who breaks off: the next may do better.
            if is_ours(&heir) && give(&heir, &listeners()).is_ok_and(|serves| serves) {
                return Ok(());
            }
        }
    }
}

/// Whether the heir has taken everything and serves.
fn give(heir: &UnixStream, listeners: &[TcpListener]) -> io::Result<bool> {
    heir.set_read_timeout(Some(PATIENCE))?;
    for batch in listeners.chunks(BATCH) {
        send(heir, batch)?;
    }
    heir.shutdown(std::net::Shutdown::Write)?;
    let mut said = [0];
    let read = rustix::io::read(heir, &mut said)?;
    Ok(read == 1 && said[0] == SERVING)
}

fn send(heir: &UnixStream, listeners: &[TcpListener]) -> io::Result<()> {
    let descriptors: Vec<BorrowedFd<'_>> = listeners.iter().map(AsFd::as_fd).collect();
    let mut space = vec![MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(BATCH))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !control.push(SendAncillaryMessage::ScmRights(&descriptors)) {
        return Err(io::Error::other("too many descriptors in one message"));
    }
    // A stream carries descriptors with at least one byte.
    sendmsg(heir, &[IoSlice::new(b"l")], &mut control, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// One batch; `None`: there are no more.
fn receive(before: &UnixStream) -> io::Result<Option<Vec<OwnedFd>>> {
    let mut space = vec![MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(BATCH))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    let flags = RecvFlags::CMSG_CLOEXEC;
    let message = recvmsg(before, &mut [IoSliceMut::new(&mut byte)], &mut control, flags)?;
    if message.bytes == 0 {
        return Ok(None);
    }
    let mut descriptors = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(batch) = message {
            descriptors.extend(batch);
        }
    }
    Ok(Some(descriptors))
}

fn is_ours(stream: &UnixStream) -> bool {
    rustix::net::sockopt::socket_peercred(stream)
        .is_ok_and(|peer| peer.uid == rustix::process::geteuid())
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;
    use std::io::{Read as _, Write as _};
    use std::net::TcpStream;
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn a_connection_that_nobody_accepted_yet_is_served_by_the_heir() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("hand-over.sock");
        let heirs = Heirs::open(&path).unwrap();
        // More than fit into one message.
        let listeners: Vec<TcpListener> =
            (0..200).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let addresses: Vec<SocketAddr> =
            listeners.iter().map(|listener| listener.local_addr().unwrap()).collect();
        let mut waiting = TcpStream::connect(addresses[7]).unwrap();
        waiting.write_all(b"?").unwrap();

        let (done, finished) = mpsc::channel();
        let old = std::thread::spawn(move || {
            let all = || listeners.iter().map(|it| it.try_clone().unwrap()).collect();
            done.send(heirs.hand_over(all).is_ok()).unwrap();
        });
        let mut inherited = inherit(&path).unwrap().unwrap();
        let listener = inherited.take(addresses[7]).unwrap();
        assert!(inherited.take(addresses[7]).is_none());
        assert!(addresses[8..].iter().all(|address| inherited.take(*address).is_some()));
        assert!(finished.try_recv().is_err(), "the old one drains before the new one serves");
        inherited.serving().unwrap();
        assert!(finished.recv().unwrap());
        old.join().unwrap();

        let (mut accepted, _) = listener.accept().unwrap();
        let mut asked = [0];
        accepted.read_exact(&mut asked).unwrap();
        assert_eq!(&asked, b"?");
    }

    #[test]
    fn where_nobody_serves_there_is_nothing_to_take() {
        let dir = tempfile::tempdir().unwrap();
        assert!(inherit(&dir.path().join("none.sock")).unwrap().is_none());
        // Left by one that was killed.
        let path = dir.path().join("stale.sock");
        drop(UnixListener::bind(&path).unwrap());
        assert!(inherit(&path).unwrap().is_none());
        assert!(Heirs::open(&path).is_ok());
    }

    #[test]
    fn a_socket_may_lie_deeper_than_an_address_holds() {
        let dir = tempfile::tempdir().unwrap();
        let deep = dir.path().join("d".repeat(120));
        assert!(inherit(&deep.join("hand-over.sock")).unwrap().is_none());
        std::fs::create_dir(&deep).unwrap();
        let path = deep.join("hand-over.sock");
        assert!(inherit(&path).unwrap().is_none());
        let heirs = Heirs::open(&path).unwrap();
        let old = std::thread::spawn(move || heirs.hand_over(Vec::new).is_ok());
        inherit(&path).unwrap().unwrap().serving().unwrap();
        assert!(old.join().unwrap());
        // No folder can help a name that is too long by itself.
        let path = deep.join("n".repeat(108));
        for refused in [Heirs::open(&path).unwrap_err(), inherit(&path).unwrap_err()] {
            let text = format!("{refused}: {}", refused.source().unwrap());
            assert!(text.contains(&*path.to_string_lossy()), "{text}");
            assert!(text.contains("has 108 bytes, and at most "), "{text}");
            assert!(text.contains("choose a shorter one"), "{text}");
        }
    }

    #[test]
    fn an_heir_that_breaks_off_leaves_the_old_one_serving() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("hand-over.sock");
        let heirs = Heirs::open(&path).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let old = std::thread::spawn(move || {
            heirs.hand_over(|| vec![listener.try_clone().unwrap()]).is_ok()
        });
        drop(inherit(&path).unwrap());
        inherit(&path).unwrap().unwrap().serving().unwrap();
        assert!(old.join().unwrap());
    }
}
