//! Ports: the same for each process at each run, reserved without a race, never
//! silently another.
//!
//! A port is chosen once, by hash, and written down. While a system runs, each of
//! its ports is bound but not listened on: the kernel hands it to nobody, yet a
//! program that sets `SO_REUSEADDR`, as servers do, can bind and listen. Two
//! supervisors cannot both reserve a port, because an abstract Unix socket named
//! after it is the lock; the kernel frees it with its holder.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::{Path, PathBuf};

use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, socket_with, sockopt};

use crate::durable;

/// The first port that Updraft gives; the range ends below the ephemeral ports
/// (`ip_local_port_range`, from 32768).
const FIRST: u16 = 20_000;
/// How many ports there are to give.
const COUNT: u16 = 8_000;

/// The ports of one system.
#[derive(Debug)]
pub(crate) struct Ports {
    identity: String,
    file: PathBuf,
    promised: BTreeMap<String, u16>,
    choose_anew: bool,
}

/// A port that is ours as long as this lives.
#[derive(Debug)]
pub(crate) struct Reservation {
    pub(crate) port: u16,
    _lock: UnixListener,
    _bound: OwnedFd,
}

/// A port cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum PortError {
    /// Somebody else has it.
    #[error(
        "port {port} of {owner} is held by {holder}; end that, or choose other ports with `updraft up --new-ports`"
    )]
    Held {
        /// The port.
        port: u16,
        /// The process it is promised to.
        owner: String,
        /// Who has it.
        holder: String,
    },
    /// Every port of the range is taken.
    #[error("no port from {FIRST} to {} is free for {owner}", FIRST + COUNT - 1)]
    Exhausted {
        /// The process that needs one.
        owner: String,
    },
    /// The promises cannot be kept on disk.
    #[error("cannot write {path}")]
    Record {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

impl Ports {
    /// Reads the promises of earlier runs. With `choose_anew`, a port that is held by
    /// somebody else is replaced instead of refused.
    pub(crate) fn open(identity: &str, file: PathBuf, choose_anew: bool) -> Self {
        // A file that cannot be read promises nothing; it is written anew.
        let promised = fs::read(&file).ok();
        let promised = promised.and_then(|text| serde_json::from_slice(&text).ok());
        Self {
            identity: identity.to_owned(),
            file,
            promised: promised.unwrap_or_default(),
            choose_anew,
        }
    }

    /// Reserves the port of `owner`.
    pub(crate) fn reserve(&mut self, owner: &str) -> Result<Reservation, PortError> {
        if let Some(port) = self.promised.get(owner).copied() {
            match Reservation::take(port) {
                Some(reservation) => return Ok(reservation),
                None if self.choose_anew => {}
                None => {
                    let holder = holder(port).unwrap_or_else(|| "another process".to_owned());
                    return Err(PortError::Held { port, owner: owner.to_owned(), holder });
                }
            }
        }
        let reservation = self.choose(owner)?;
        self.promised.insert(owner.to_owned(), reservation.port);
        let text = serde_json::to_vec_pretty(&self.promised).unwrap_or_default();
        durable::write(&self.file, &text)
            .map_err(|source| PortError::Record { path: self.file.clone(), source })?;
        Ok(reservation)
    }

    fn choose(&self, owner: &str) -> Result<Reservation, PortError> {
        let key = format!("{}\0{owner}", self.identity);
        let hash = blake3::hash(key.as_bytes());
        let start = u16::from_le_bytes([hash.as_bytes()[0], hash.as_bytes()[1]]) % COUNT;
        (0..COUNT)
            .map(|step| FIRST + (start + step) % COUNT)
            .filter(|port| self.promised.values().all(|promised| promised != port))
            .find_map(Reservation::take)
            .ok_or_else(|| PortError::Exhausted { owner: owner.to_owned() })
    }
}

impl Reservation {
    fn take(port: u16) -> Option<Self> {
        let name = SocketAddr::from_abstract_name(lock_name(port)).ok()?;
        let lock = UnixListener::bind_addr(&name).ok()?;
        let socket =
            socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None);
        let socket = socket.ok()?;
        sockopt::set_socket_reuseaddr(&socket, true).ok()?;
        bind(&socket, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, port)).ok()?;
        Some(Self { port, _lock: lock, _bound: socket })
    }
}

fn lock_name(port: u16) -> String {
    format!("updraft-port-{port}")
}

/// Names the process that has `port`, as far as this user may see.
fn holder(port: u16) -> Option<String> {
    let inode = listener_inode("/proc/net/tcp", port)
        .or_else(|| listener_inode("/proc/net/tcp6", port))
        .or_else(|| lock_inode(port))?;
    let link = PathBuf::from(format!("socket:[{inode}]"));
    let holds = |process: &Path| {
        let descriptors = fs::read_dir(process.join("fd")).into_iter().flatten().flatten();
        descriptors.map(|fd| fs::read_link(fd.path())).any(|target| target.is_ok_and(|t| t == link))
    };
    let numbers = fs::read_dir("/proc").ok()?.flatten().map(|entry| entry.file_name());
    let pids = numbers.filter_map(|name| name.to_str()?.parse::<u32>().ok());
    let (pid, process) = pids
        .map(|pid| (pid, PathBuf::from(format!("/proc/{pid}"))))
        .find(|(_, path)| holds(path))?;
    let command = fs::read(process.join("cmdline")).unwrap_or_default();
    let command = String::from_utf8_lossy(&command).replace('\0', " ");
    // Arguments may hold secrets of programs that are not ours: the program is enough.
    let program = command.split(' ').next().unwrap_or_default();
    let directory = fs::read_link(process.join("cwd")).ok();
    let place = directory.map_or(String::new(), |cwd| format!(" in {}", cwd.display()));
    Some(format!("process {pid} (`{program}`{place})"))
}

fn listener_inode(table: &str, port: u16) -> Option<String> {
    let table = fs::read_to_string(table).ok()?;
    let suffix = format!(":{port:04X}");
    table.lines().skip(1).find_map(|line| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let listens = fields.get(1)?.ends_with(&suffix) && *fields.get(3)? == "0A";
        listens.then(|| fields.get(9).map(|inode| (*inode).to_owned())).flatten()
    })
}

fn lock_inode(port: u16) -> Option<String> {
    let table = fs::read_to_string("/proc/net/unix").ok()?;
    let name = format!("@{}", lock_name(port));
    let line = table.lines().find(|line| line.ends_with(&name))?;
    line.split_ascii_whitespace().nth(6).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn ports(dir: &Path, anew: bool) -> Ports {
        // A system of its own for each test, because tests share this machine's ports.
        Ports::open(&dir.display().to_string(), dir.join("ports.json"), anew)
    }

    #[test]
    fn a_port_stays_the_same_from_run_to_run() {
        let dir = tempfile::tempdir().unwrap();
        let first = ports(dir.path(), false).reserve("orders.web.1").unwrap().port;
        let second = ports(dir.path(), false).reserve("orders.web.1").unwrap().port;
        assert_eq!(first, second);
    }

    #[test]
    fn a_server_can_listen_on_a_reserved_port_and_nobody_can_reserve_it() {
        let dir = tempfile::tempdir().unwrap();
        let mut ports = ports(dir.path(), false);
        let reservation = ports.reserve("orders.web.1").unwrap();
        let server = TcpListener::bind((Ipv4Addr::LOCALHOST, reservation.port)).unwrap();
        assert!(Reservation::take(reservation.port).is_none());
        drop((server, reservation));
    }

    #[test]
    fn a_promised_port_that_is_held_is_refused_and_its_holder_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let port = ports(dir.path(), false).reserve("orders.web.1").unwrap().port;
        let thief = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
        let error = ports(dir.path(), false).reserve("orders.web.1").unwrap_err().to_string();
        assert!(error.contains(&format!("process {}", std::process::id())), "{error}");
        let other = ports(dir.path(), true).reserve("orders.web.1").unwrap().port;
        assert_ne!(other, port);
        drop(thief);
        assert_eq!(ports(dir.path(), false).reserve("orders.web.1").unwrap().port, other);
    }

    #[test]
    fn no_two_processes_get_one_port() {
        let dir = tempfile::tempdir().unwrap();
        let mut ports = ports(dir.path(), false);
        let held: Vec<_> =
            (0..50).map(|n| ports.reserve(&format!("orders.web.{n}")).unwrap()).collect();
        let distinct: std::collections::BTreeSet<_> = held.iter().map(|held| held.port).collect();
        assert_eq!(distinct.len(), held.len());
    }
}
