//! The server: this program once more, as a child that answers on a port of its own.
//!
//! It does four requests at a time and lets the others wait, however many they are and
//! whether or not those who sent them are still there, as many servers do.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Stdio;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, getppid, kill_process};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::Semaphore;

/// What a client sends.
const QUESTION: &[u8; 5] = b"work\n";
/// What it gets when all is well.
const ANSWER: &[u8; 5] = b"done\n";
const ERROR: &[u8; 5] = b"oops\n";

const AT_ONCE: usize = 4;
const WORK: Duration = Duration::from_millis(10);
const SLOW_WORK: Duration = Duration::from_millis(50);

const WELL: u8 = 0;
const SLOW: u8 = 1;
const FAIL: u8 = 2;

/// Where a server is to be found; a restart changes it.
#[derive(Clone)]
pub(crate) struct Target(Arc<Mutex<SocketAddr>>);

impl Target {
    fn set(&self, address: SocketAddr) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = address;
    }

    /// One request, on a connection of its own.
    pub(crate) async fn ask(&self) -> io::Result<()> {
        let address = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut socket = TcpStream::connect(address).await?;
        socket.write_all(QUESTION).await?;
        let mut answer = [0; 5];
        socket.read_exact(&mut answer).await?;
        if &answer == ANSWER { Ok(()) } else { Err(io::Error::other("the server failed")) }
    }
}

/// A server as its parent sees it. Dropped, it is killed.
pub(crate) struct Server {
    child: Child,
    commands: ChildStdin,
    target: Target,
}

impl Server {
    /// Starts one, and waits until it listens.
    pub(crate) async fn start() -> io::Result<Self> {
        let (child, commands, address) = spawn().await?;
        Ok(Self { child, commands, target: Target(Arc::new(Mutex::new(address))) })
    }

    pub(crate) fn target(&self) -> Target {
        self.target.clone()
    }

    pub(crate) async fn tell(&mut self, command: &str) -> io::Result<()> {
        self.commands.write_all(format!("{command}\n").as_bytes()).await
    }

    pub(crate) fn stop(&self) -> io::Result<()> {
        self.signal(Signal::STOP)
    }

    pub(crate) fn go_on(&self) -> io::Result<()> {
        self.signal(Signal::CONT)
    }

    fn signal(&self, signal: Signal) -> io::Result<()> {
        let pid = self.child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        let pid = pid.ok_or_else(|| io::Error::other("the server has ended by itself"))?;
        Ok(kill_process(pid, signal)?)
    }

    /// Kills it, and waits until it has ended.
    pub(crate) async fn kill(&mut self) -> io::Result<()> {
        self.child.kill().await
    }

    pub(crate) async fn restart(&mut self) -> io::Result<()> {
        let address;
        (self.child, self.commands, address) = spawn().await?;
        self.target.set(address);
        Ok(())
    }
}

async fn spawn() -> io::Result<(Child, ChildStdin, SocketAddr)> {
    let mut child = Command::new(std::env::current_exe()?)
        .args(["--serve", &std::process::id().to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        // Ctrl-C is for the parent, which then ends its children.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()?;
    let (Some(commands), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(io::Error::other("a child without its pipes"));
    };
    let mut port = String::new();
    BufReader::new(output).read_line(&mut port).await?;
    let port = port.trim().parse().map_err(|_no_port| io::Error::other("it does not listen"))?;
    Ok((child, commands, SocketAddr::from((Ipv4Addr::LOCALHOST, port))))
}

/// The child: serves until its parent closes its input.
pub(crate) fn serve(parent: &str) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    // It may have died before that was asked for.
    if getppid().map(|pid| pid.as_raw_nonzero().to_string()).as_deref() != Some(parent) {
        return Ok(());
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let mut output = tokio::io::stdout();
        output.write_all(format!("{}\n", listener.local_addr()?.port()).as_bytes()).await?;
        output.flush().await?;
        let condition = Arc::new(AtomicU8::new(WELL));
        tokio::spawn(accept(listener, Arc::clone(&condition)));
        let mut commands = BufReader::new(tokio::io::stdin()).lines();
        while let Some(command) = commands.next_line().await? {
            let next = match command.as_str() {
                "slow" => SLOW,
                "fail" => FAIL,
                _ => WELL,
            };
            condition.store(next, Ordering::Relaxed);
        }
        Ok(())
    })
}

async fn accept(listener: TcpListener, condition: Arc<AtomicU8>) {
    let places = Arc::new(Semaphore::new(AT_ONCE));
    while let Ok((socket, _)) = listener.accept().await {
        // What becomes of one request is nobody else's business.
        drop(tokio::spawn(answer(socket, Arc::clone(&places), Arc::clone(&condition))));
    }
}

async fn answer(
    mut socket: TcpStream,
    places: Arc<Semaphore>,
    condition: Arc<AtomicU8>,
) -> io::Result<()> {
    let mut question = [0; 5];
    socket.read_exact(&mut question).await?;
    if condition.load(Ordering::Relaxed) == FAIL {
        return socket.write_all(ERROR).await;
    }
    let _place = places.acquire().await.map_err(io::Error::other)?;
    let slow = condition.load(Ordering::Relaxed) == SLOW;
    tokio::time::sleep(if slow { SLOW_WORK } else { WORK }).await;
    socket.write_all(ANSWER).await
}
