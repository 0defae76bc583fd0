//! Networks in which nobody is (`network_namespaces(7)`), and the process that holds them. A
//! socket belongs to the network in which it was made, wherever its descriptor goes: the audit
//! gets sockets that are made here, so that nothing lies between a program and whom it talks to.

use std::fs;
use std::io::{self, IoSlice, IoSliceMut, Read as _, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use nix::sched::{CloneFlags, unshare};
use rustix::cmsg_space;
use rustix::event::{PollFlags, poll};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socket_with,
};
use rustix::process::getuid;
use rustix::thread::gettid;
use updraft_mesh::ShortPath;

use super::watch::Watch;
use super::{namespace, network};

/// What the process says once it can be asked.
pub(crate) const READY: &str = "ready";
/// Asks for a socket of IPv4.
pub(crate) const ASK_V4: u8 = b'4';
/// Asks for a socket of IPv6.
pub(crate) const ASK_V6: u8 = b'6';

/// Asks to forget whom programs have looked for so far.
pub(crate) const ASK_FORGET: u8 = b'f';

/// Why nothing was made, as an error of the kernel.
const FAILED: u8 = b'e';
/// A network was made, by this thread.
const MADE: u8 = b'n';
/// A socket was made; its descriptor comes along.
const SOCKET: u8 = b's';
/// A reply is its kind and a number.
const REPLY_BYTES: usize = 5;
/// The longest path of a log, in bytes.
const PATH_BYTES_MAX: u64 = 4096;
/// An error that is none of the kernel's.
const EIO: i32 = 5;

/// Makes a network for each connection to a Unix socket at this path, and holds it as long as
/// the connection. The first line is where to note whom its programs look for; empty: nowhere.
pub(crate) fn main(path: &Path) -> io::Result<ExitCode> {
    let settings = Settings::of_this_network();
    if !getuid().is_root() {
        namespace::own_user()?;
    }
    // Folders for temporary files may be deeper than the address of a socket is long.
    let short = ShortPath::of(path)?;
    let audits = UnixListener::bind(short.path())?;
    let mut out = io::stdout();
    writeln!(out, "{READY}")?;
    out.flush()?;
    for audit in audits.incoming().flatten() {
        let settings = settings.clone();
        // A thread has a network of its own; it is gone with the connection.
        std::thread::spawn(move || drop(hold(audit, &settings)));
    }
    Ok(ExitCode::SUCCESS)
}

fn hold(audit: UnixStream, settings: &Settings) -> io::Result<()> {
    match log(&audit).and_then(|log| make(log.as_deref(), settings)) {
        Ok(watch) => {
            reply(&audit, MADE, gettid().as_raw_nonzero().get(), None)?;
            serve(audit, watch)
        }
        Err(error) => failed(&audit, &error),
    }
}

/// Where to note whom its programs look for.
fn log(audit: &UnixStream) -> io::Result<Option<PathBuf>> {
    let (mut path, mut byte) = (Vec::new(), [0]);
    let mut line = audit.take(PATH_BYTES_MAX);
    // What follows is asked later, and must not be read ahead.
    while line.read(&mut byte)? == 1 && byte != *b"\n" {
        path.extend(byte);
    }
    let path = String::from_utf8(path).map_err(io::Error::other)?;
    Ok((!path.is_empty()).then(|| path.into()))
}

/// Takes the thread into a new network. Every address of it is its own, so that whoever is
/// looked for refuses at once.
fn make(log: Option<&Path>, settings: &Settings) -> io::Result<Watch> {
    unshare(CloneFlags::CLONE_NEWNET)?;
    settings.set();
    network::raise_loopback()?;
    network::own_all_addresses()?;
    Watch::open(log)
}

/// Makes sockets until the audit goes away.
fn serve(mut audit: UnixStream, mut watch: Watch) -> io::Result<()> {
    loop {
        let asked = {
            let mut all = watch.waiting();
            all.push(rustix::event::PollFd::new(&audit, PollFlags::IN));
            poll(&mut all, None)?;
            all.last().is_some_and(|audit| !audit.revents().is_empty())
        };
        watch.look()?;
        if asked {
            let mut asked = [0];
            if audit.read(&mut asked)? == 0 {
                return Ok(());
            }
            let replied = match asked[0] {
                ASK_FORGET => watch.forget().map(|()| reply(&audit, MADE, 0, None)),
                family => fresh_socket(family).map(|it| reply(&audit, SOCKET, 0, Some(&it))),
            };
            replied.unwrap_or_else(|error| failed(&audit, &error))?;
        }
    }
}

fn fresh_socket(asked: u8) -> io::Result<OwnedFd> {
    let family = if asked == ASK_V6 { AddressFamily::INET6 } else { AddressFamily::INET };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    Ok(socket_with(family, SocketType::STREAM, flags, None)?)
}

fn failed(audit: &UnixStream, error: &io::Error) -> io::Result<()> {
    reply(audit, FAILED, error.raw_os_error().unwrap_or(EIO), None)
}

fn reply(audit: &UnixStream, kind: u8, number: i32, socket: Option<&OwnedFd>) -> io::Result<()> {
    let mut bytes = [kind, 0, 0, 0, 0];
    bytes[1..].copy_from_slice(&number.to_ne_bytes());
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(1))];
    let mut along = SendAncillaryBuffer::new(&mut space);
    let socket = socket.map(|socket| [socket.as_fd()]);
    if let Some(socket) = &socket
        && !along.push(SendAncillaryMessage::ScmRights(socket))
    {
        return Err(io::ErrorKind::OutOfMemory.into());
    }
    sendmsg(audit, &[IoSlice::new(&bytes)], &mut along, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// What the process replies.
#[derive(Debug)]
pub(crate) enum Reply {
    /// There is a network, and this thread is in it.
    Made(i32),
    /// A socket in it.
    Socket(OwnedFd),
}

impl Reply {
    /// Receives one, if it has come.
    pub(crate) fn receive(from: impl AsFd) -> io::Result<Self> {
        let mut bytes = [0; REPLY_BYTES];
        let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(1))];
        let mut along = RecvAncillaryBuffer::new(&mut space);
        let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
        let came = recvmsg(from, &mut [IoSliceMut::new(&mut bytes)], &mut along, flags)?;
        let socket = along.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut all) => all.next(),
            _ => None,
        });
        let [kind, number @ ..] = bytes;
        match (came.bytes, kind, i32::from_ne_bytes(number), socket) {
            (REPLY_BYTES, MADE, thread, None) => Ok(Self::Made(thread)),
            (REPLY_BYTES, SOCKET, _, Some(socket)) => Ok(Self::Socket(socket)),
            (REPLY_BYTES, FAILED, number, _) => Err(io::Error::from_raw_os_error(number)),
            _ => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

/// What can be set for each network, and decides what a program sees of it.
const SETTINGS: [&str; 12] = [
    "core/somaxconn",
    "ipv4/ip_local_port_range",
    "ipv4/ip_unprivileged_port_start",
    "ipv4/tcp_abort_on_overflow",
    "ipv4/tcp_fin_timeout",
    "ipv4/tcp_keepalive_time",
    "ipv4/tcp_rmem",
    "ipv4/tcp_syncookies",
    "ipv4/tcp_wmem",
    "ipv6/bindv6only",
    "ipv6/conf/all/disable_ipv6",
    "ipv6/conf/lo/disable_ipv6",
];

/// The settings of a network: those of another one begin as the kernel has them.
#[derive(Clone, Debug)]
struct Settings(Vec<(&'static str, String)>);

impl Settings {
    fn of_this_network() -> Self {
        let read = |name| Some((name, fs::read_to_string(place(name)).ok()?));
        Self(SETTINGS.into_iter().filter_map(read).collect())
    }

    /// Sets what differs. Where the kernel's settings are read-only they stay as they are.
    fn set(&self) {
        for (name, value) in &self.0 {
            if fs::read_to_string(place(name)).is_ok_and(|it| it != *value) {
                drop(fs::write(place(name), value));
            }
        }
    }
}

fn place(name: &str) -> PathBuf {
    Path::new("/proc/sys/net").join(name)
}
