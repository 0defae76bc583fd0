//! The network of a trial: one in which there is nobody but the program and what it is given,
//! or that of the audit. Whoever talks to a program does so by a socket of its network.

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncWriteExt as _, Interest};
use tokio::net::{TcpListener, TcpSocket, TcpStream, UnixStream};
use tokio::sync::Mutex;
use updraft_engine::{CommandPlan, Scope};
use updraft_mesh::ShortPath;

use super::Lab;
use super::output::{Line, Output};
use crate::launch::{ASK_FORGET, ASK_V4, ASK_V6, Joined, READY, Reply, Sought};
use crate::role::VERB;

/// How long the process that holds networks may take to be there.
const HELD_WITHIN: Duration = Duration::from_secs(10);
/// How long one reply of it may take.
const REPLY_WITHIN: Duration = Duration::from_secs(10);
/// Connections that wait to be accepted, as the runtime has it.
const BACKLOG: u32 = 1024;

/// The process that holds networks. Dropped, it is ended and they are gone.
#[derive(Debug)]
pub(super) struct Holder {
    scope: Scope,
    socket: PathBuf,
    made: AtomicU64,
    _output: Output,
}

/// The network of a trial. The last copy takes it along.
#[derive(Clone, Debug, Default)]
pub(crate) struct Network(Option<Arc<Held>>);

/// Tells the networks of an audit apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct NetworkId(Option<u64>);

#[derive(Debug)]
struct Held {
    /// How many were made before it.
    number: u64,
    /// Kept as long as the network is needed.
    holder: Mutex<UnixStream>,
    /// The namespaces of a thread that is in it.
    namespaces: PathBuf,
    /// Where it is noted whom programs look for.
    log: Option<PathBuf>,
}

impl Holder {
    pub(super) async fn start(lab: &Lab) -> io::Result<Self> {
        // One of its own for each attempt: a name of before is taken.
        let socket = lab.place()?.join("networks");
        let words = [&lab.executable().to_string_lossy(), VERB, "networks"].map(str::to_owned);
        let argv = words.into_iter().chain([socket.to_string_lossy().into_owned()]).collect();
        let (env, cwd) = (std::collections::BTreeMap::new(), lab.0.root.clone());
        let plan = CommandPlan { argv, env, cwd, confinement: None };
        let started = lab.0.scopes.start("networks", &plan).await;
        let (scope, pipes) = started.map_err(io::Error::other)?;
        let output = Output::of(pipes.stdout, pipes.stderr, Instant::now(), true);
        let is_ready = |line: &Line| line.text == READY;
        // Who cannot do it says why, and is gone at once.
        let said = tokio::select! {
            said = output.line(HELD_WITHIN, is_ready) => said,
            () = output.drained(HELD_WITHIN) => output.all().into_iter().find(is_ready),
        };
        if said.is_none() {
            let last = output.tail(1).pop();
            return Err(last.map_or(io::ErrorKind::TimedOut.into(), io::Error::other));
        }
        Ok(Self { scope, socket, made: AtomicU64::new(0), _output: output })
    }

    /// A network in which nobody is; `log`: where to note whom its programs look for.
    pub(super) async fn network(&self, log: Option<&Path>) -> io::Result<Network> {
        let made = async {
            let short = ShortPath::of(&self.socket)?;
            let mut holder = UnixStream::connect(short.path()).await?;
            let line = log.map(|log| log.to_string_lossy().into_owned()).unwrap_or_default();
            holder.write_all(format!("{line}\n").as_bytes()).await?;
            let reply = holder.async_io(Interest::READABLE, || Reply::receive(&holder)).await?;
            let Reply::Made(thread) = reply else {
                return Err(io::ErrorKind::UnexpectedEof.into());
            };
            let process = self.scope.leader().pid;
            Ok(Network(Some(Arc::new(Held {
                number: self.made.fetch_add(1, Ordering::Relaxed),
                holder: Mutex::new(holder),
                namespaces: format!("/proc/{process}/task/{thread}/ns").into(),
                log: log.map(Path::to_owned),
            }))))
        };
        tokio::time::timeout(REPLY_WITHIN, made).await?
    }
}

impl Held {
    /// Asks the holder. Whoever gives up meanwhile leaves no reply behind for the next one.
    async fn ask(self: &Arc<Self>, asked: u8) -> io::Result<Reply> {
        let held = Arc::clone(self);
        tokio::spawn(async move { held.ask_to_the_end(asked).await }).await?
    }

    async fn ask_to_the_end(&self, asked: u8) -> io::Result<Reply> {
        let mut holder = self.holder.lock().await;
        let replied = async {
            holder.write_all(&[asked]).await?;
            holder.async_io(Interest::READABLE, || Reply::receive(&*holder)).await
        };
        let Ok(reply) = tokio::time::timeout(REPLY_WITHIN, replied).await else {
            // A reply that comes later would be taken for the next one.
            holder.shutdown().await?;
            return Err(io::ErrorKind::TimedOut.into());
        };
        reply
    }
}

impl Network {
    /// Which one it is.
    pub(super) fn id(&self) -> NetworkId {
        NetworkId(self.0.as_ref().map(|held| held.number))
    }

    /// For a launcher that brings a program into it.
    pub(super) fn joined(&self, resolver: PathBuf, outside: &BTreeSet<PathBuf>) -> Option<Joined> {
        let namespaces = self.0.as_ref()?.namespaces.clone();
        Some(Joined { namespaces, resolver, outside: outside.clone() })
    }

    /// Whom its programs have looked for so far, where that is noted.
    pub(super) async fn sought(&self) -> io::Result<Vec<Sought>> {
        let Some(held) = &self.0 else { return Ok(Vec::new()) };
        let Some(log) = &held.log else { return Ok(Vec::new()) };
        // Before a reply all is noted that has come by then.
        drop(held.ask(ASK_V4).await?);
        Ok(Sought::read(log))
    }

    /// Forgets whom its programs have looked for so far.
    pub(super) async fn forget(&self) -> io::Result<()> {
        match &self.0 {
            Some(held) if held.log.is_some() => held.ask(ASK_FORGET).await.map(drop),
            _ => Ok(()),
        }
    }

    /// An address in it.
    pub(crate) fn at(&self, socket: SocketAddr) -> Address {
        Address { socket, network: self.clone() }
    }

    /// Listens at a port of its loopback that nobody has.
    pub(super) async fn listen(&self) -> io::Result<TcpListener> {
        let at = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let socket = self.socket(at).await?;
        socket.set_reuseaddr(true)?;
        socket.bind(at)?;
        socket.listen(BACKLOG)
    }

    /// A socket for such an address.
    async fn socket(&self, of: SocketAddr) -> io::Result<TcpSocket> {
        match &self.0 {
            Some(held) => match held.ask(if of.is_ipv4() { ASK_V4 } else { ASK_V6 }).await? {
                Reply::Socket(socket) => Ok(TcpSocket::from_std_stream(socket.into())),
                Reply::Made(_) => Err(io::ErrorKind::UnexpectedEof.into()),
            },
            None if of.is_ipv4() => TcpSocket::new_v4(),
            None => TcpSocket::new_v6(),
        }
    }
}

/// An address in the network of a trial.
#[derive(Clone, Debug)]
pub(crate) struct Address {
    socket: SocketAddr,
    network: Network,
}

impl Address {
    /// The address without its network.
    pub(crate) fn socket(&self) -> SocketAddr {
        self.socket
    }

    /// Its port.
    pub(crate) fn port(&self) -> u16 {
        self.socket.port()
    }

    /// The same network.
    pub(crate) fn at(&self, socket: SocketAddr) -> Self {
        self.network.at(socket)
    }

    /// Where somebody who listens at it is reached from the same machine.
    pub(crate) fn reached(self) -> Self {
        let ip = match self.socket.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
            ip => ip,
        };
        self.at(SocketAddr::new(ip, self.socket.port()))
    }

    /// Connects to it; `prepare`: before it does.
    pub(crate) async fn connect(
        &self,
        prepare: impl FnOnce(&TcpSocket) -> io::Result<()>,
    ) -> io::Result<TcpStream> {
        let socket = self.network.socket(self.socket).await?;
        prepare(&socket)?;
        socket.connect(self.socket).await
    }
}

impl From<SocketAddr> for Address {
    fn from(socket: SocketAddr) -> Self {
        Network::default().at(socket)
    }
}

impl From<&Address> for Address {
    fn from(address: &Address) -> Self {
        address.clone()
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.socket.fmt(f)
    }
}
