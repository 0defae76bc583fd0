//! A server of one test: a child of the test's process, and a shell beside it that ends it when
//! the test can not.

use std::ffi::OsString;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::{fmt, io, io::Write as _};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tempfile::TempDir;

use super::ask::{PATIENCE, until};
use super::folder::{base, fresh, log, log_tail};
use super::site::{Site, plain_command};
use super::{Kind, ServerError};

/// How often another port is tried when somebody else was quicker.
const TRIES: usize = 5;

/// Runs its arguments once it is told to, and not at all when nobody is left to tell it.
const LAUNCH: &str = "read -r go && exec \"$@\" </dev/null";

/// Waits for the end of its input, which is the end of the test's process however it comes.
/// The system's own signal for that (`PR_SET_PDEATHSIG`) would come when the thread ends that
/// started the server, and a test's thread ends before its process.
const WATCH: &str = r#"
group=$1 folder=$2
read -r _
kill -s KILL -- "-$group" 2>/dev/null
for _ in 1 2 3 4 5 6 7 8 9 10; do
    rm -rf -- "$folder" 2>/dev/null && break
    sleep 0.2
done
"#;

/// The life of such a server.
pub(super) struct Own {
    process: Mutex<Option<Process>>,
    /// Removed last.
    _folder: TempDir,
}

impl fmt::Debug for Own {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Own").finish_non_exhaustive()
    }
}

/// Started as one: neither is there without the other.
struct Process {
    server: Child,
    watch: Child,
    /// Open for as long as this process lives.
    _alive: Option<ChildStdin>,
    stalled: bool,
}

impl Own {
    pub(super) fn start(kind: Kind) -> Result<(Site, Self), ServerError> {
        let base = base()?;
        let mut tries = 1;
        loop {
            let mut site = Site::new(kind, &base);
            let folder = fresh(&base, &format!("{}-", kind.word()), site.user())?;
            site.folder = folder.path().to_owned();
            site.prepare()?;
            match Process::start(&site) {
                Ok(process) => {
                    return Ok((
                        site,
                        Self { process: Mutex::new(Some(process)), _folder: folder },
                    ));
                }
                Err(ServerError::Ended { .. }) if tries < TRIES => tries += 1,
                Err(error) => return Err(error),
            }
        }
    }

    pub(super) fn stop(&self, site: &Site) -> Result<(), ServerError> {
        match self.process().take() {
            Some(process) => process.stop(site),
            None => Ok(()),
        }
    }

    pub(super) fn kill(&self, site: &Site) -> Result<(), ServerError> {
        // Dropping it kills it.
        drop(self.process().take());
        // A process that had just begun may not be among those that were waited for: it holds the
        // port for as long as it takes to die.
        let closed = until(PATIENCE, || (!is_listened_on(site.port)).then_some(()));
        closed.ok_or(ServerError::StillRunning { kind: site.kind, waited: PATIENCE })
    }

    pub(super) fn stall(&self, kind: Kind) -> Result<(), ServerError> {
        let mut process = self.process();
        let process = process.as_mut().ok_or(ServerError::NotRunning { kind })?;
        process.signal_all(Signal::STOP);
        process.stalled = true;
        Ok(())
    }

    pub(super) fn resume(&self, kind: Kind) -> Result<(), ServerError> {
        let mut process = self.process();
        process.as_mut().ok_or(ServerError::NotRunning { kind })?.resume();
        Ok(())
    }

    pub(super) fn restart(&self, site: &Site) -> Result<(), ServerError> {
        let mut process = self.process();
        if let Some(running) = process.take() {
            running.stop(site)?;
        }
        *process = Some(Process::start(site)?);
        Ok(())
    }

    fn process(&self) -> MutexGuard<'_, Option<Process>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Process {
    /// Starts it, and waits until it is ready.
    fn start(site: &Site) -> Result<Self, ServerError> {
        let mut process = Self::launch(site, site.command()?)?;
        let ready = until(PATIENCE, || match process.server.try_wait() {
            Ok(Some(status)) => Some(Err(ended(site, status))),
            _ => site.is_ready().then_some(Ok(())),
        });
        let said = || log_tail(&site.folder);
        let late = || ServerError::NotReady { kind: site.kind, waited: PATIENCE, said: said() };
        ready.ok_or_else(late)??;
        Ok(process)
    }

    fn launch(site: &Site, words: Vec<OsString>) -> Result<Self, ServerError> {
        let shell = || PathBuf::from("/bin/sh");
        let wrong = |source| ServerError::Run { program: shell(), source };
        let user = site.user();
        let log = log(&site.folder)?;
        let errors = log.try_clone().map_err(wrong)?;
        let mut command = plain_command(shell(), user);
        command.args(["-c", LAUNCH, "server"]).args(words).current_dir(&site.folder);
        command.stdin(Stdio::piped()).stdout(log).stderr(errors);
        // A Ctrl-C at the terminal is for the test, which then ends the server.
        let mut server = command.process_group(0).spawn().map_err(wrong)?;

        let mut command = plain_command(shell(), None);
        command.args(["-c", WATCH, "watch", &server.id().to_string()]).arg(&site.folder);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut watch = match command.process_group(0).spawn() {
            Ok(watch) => watch,
            Err(error) => {
                // It was not told to begin, so it ends.
                drop(server.stdin.take());
                drop(server.wait());
                return Err(wrong(error));
            }
        };
        let go = server.stdin.take();
        let alive = watch.stdin.take();
        let process = Self { server, watch, _alive: alive, stalled: false };
        // From here on the server ends with `process`.
        go.map_or(Ok(()), |mut go| go.write_all(b"go\n")).map_err(wrong)?;
        Ok(process)
    }

    fn stop(mut self, site: &Site) -> Result<(), ServerError> {
        self.resume();
        let graceful = match site.kind {
            // A "fast" shutdown: it waits for no client.
            Kind::Postgres => Signal::INT,
            Kind::Redis | Kind::Nats => Signal::TERM,
        };
        note(kill_process(Pid::from_child(&self.server), graceful));
        let ended = until(PATIENCE, || matches!(self.server.try_wait(), Ok(Some(_))).then_some(()));
        ended.ok_or(ServerError::StillRunning { kind: site.kind, waited: PATIENCE })
    }

    fn resume(&mut self) {
        if std::mem::take(&mut self.stalled) {
            self.signal_all(Signal::CONT);
        }
    }

    /// Signals the server and all its processes; PostgreSQL's each lead a group of their own.
    fn signal_all(&self, signal: Signal) -> Vec<Pid> {
        let server = Pid::from_child(&self.server);
        let mut children = children(server);
        // The server first: it starts no more of them then, and does not answer their end.
        note(kill_process_group(server, signal));
        children.extend(self::children(server));
        for child in &children {
            note(kill_process(*child, signal));
        }
        children
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Once it was waited for, its number may be another program's.
        if let Ok(None) = self.server.try_wait() {
            let children = self.signal_all(Signal::KILL);
            drop(self.server.wait());
            // Until the last of them is gone, their memory is in the next one's way.
            let gone = || children.iter().all(|child| has_ended(*child)).then_some(());
            if until(PATIENCE, gone).is_none() {
                tracing::debug!("processes of a killed server are still there");
            }
        }
        drop(self.watch.kill());
        drop(self.watch.wait());
    }
}

/// Whether it runs no more; its parent may not have asked for its end yet.
fn has_ended(process: Pid) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", process.as_raw_pid()));
    let state = stat.ok().and_then(|stat| stat.rsplit_once(')')?.1.trim_start().chars().next());
    state.is_none_or(|state| matches!(state, 'Z' | 'X'))
}

fn is_listened_on(port: u16) -> bool {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    TcpStream::connect_timeout(&address, PATIENCE).is_ok()
}

/// A process that is gone needs no signal, and nothing else can be wrong with one of ours.
fn note(sent: rustix::io::Result<()>) {
    if let Err(error) = sent {
        tracing::debug!(%error, "a server's process was not signalled");
    }
}

fn ended(site: &Site, status: ExitStatus) -> ServerError {
    ServerError::Ended { kind: site.kind, status, said: log_tail(&site.folder) }
}

/// The processes that this one has started, as far as the system tells (`/proc`).
fn children(parent: Pid) -> Vec<Pid> {
    let parent = parent.as_raw_nonzero().to_string();
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let mut found = Vec::new();
    for entry in entries {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        if parent_of(&entry.path()).is_ok_and(|its| its.as_deref() == Some(parent.as_str())) {
            found.extend(Pid::from_raw(pid));
        }
    }
    found
}

fn parent_of(process: &Path) -> io::Result<Option<String>> {
    let stat = fs::read_to_string(process.join("stat"))?;
    // The name stands in parentheses and may hold any character; state and parent follow.
    let after = stat.rsplit_once(')').map(|(_, after)| after);
    Ok(after.and_then(|after| after.split_whitespace().nth(1)).map(str::to_owned))
}
