//! Which sockets processes have, from `/proc` (`proc_pid_net(5)`).

use std::collections::HashSet;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use updraft_engine::ProcessId;

/// A TCP socket that somebody listens on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Listening {
    /// Where.
    pub(crate) address: SocketAddr,
    /// Whose: the inode of its socket.
    pub(crate) inode: u64,
}

/// A TCP connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Connected {
    /// This end of it.
    pub(crate) local: SocketAddr,
    /// The other one.
    pub(crate) remote: SocketAddr,
    /// Whose this end is; 0 as long as nobody has accepted it, or when nobody has it any more.
    pub(crate) inode: u64,
    /// `01` is established (`include/net/tcp_states.h`).
    pub(crate) state: u8,
    /// Bytes that have come and that its owner has not read.
    pub(crate) unread: u64,
    /// Bytes that its owner has written and that the other end has not acknowledged.
    pub(crate) unsent: u64,
}

const ESTABLISHED: u8 = 1;
const LISTEN: u8 = 10;

/// What these processes listen on. All are in the network namespace of the first.
pub(crate) fn listening(processes: &[ProcessId]) -> Vec<Listening> {
    let Some(first) = processes.first() else { return Vec::new() };
    let own = inodes(processes);
    let mut found: Vec<_> = table(first.pid)
        .into_iter()
        .filter(|socket| socket.state == LISTEN && own.contains(&socket.inode))
        .map(|socket| Listening { address: socket.local, inode: socket.inode })
        .collect();
    found.sort();
    found.dedup();
    found
}

/// The connections that these processes have.
pub(crate) fn connected(processes: &[ProcessId]) -> Vec<Connected> {
    let Some(first) = processes.first() else { return Vec::new() };
    let own = inodes(processes);
    let theirs = |socket: &Connected| socket.state != LISTEN && own.contains(&socket.inode);
    table(first.pid).into_iter().filter(theirs).collect()
}

/// The program's end of a client's connection, once one of these processes has accepted it.
pub(crate) fn end(processes: &[ProcessId], client: SocketAddr) -> Option<Connected> {
    connected(processes)
        .into_iter()
        .find(|socket| socket.remote.port() == client.port() && socket.state == ESTABLISHED)
}

fn inodes(processes: &[ProcessId]) -> HashSet<u64> {
    let links = |process: &ProcessId| {
        let entries = fs::read_dir(format!("/proc/{}/fd", process.pid)).into_iter().flatten();
        entries.flatten().filter_map(|entry| fs::read_link(entry.path()).ok()).collect::<Vec<_>>()
    };
    let inode = |link: &std::path::PathBuf| {
        link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
    };
    processes.iter().flat_map(links).filter_map(|link| inode(&link)).collect()
}

fn table(pid: u32) -> Vec<Connected> {
    let read = |name: &str| fs::read_to_string(format!("/proc/{pid}/net/{name}"));
    let text = [read("tcp"), read("tcp6")];
    let rows = text.iter().flatten().flat_map(|text| text.lines().skip(1));
    rows.filter_map(row).collect()
}

fn row(line: &str) -> Option<Connected> {
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    let (unsent, unread) = fields.get(4)?.split_once(':')?;
    Some(Connected {
        local: address(fields.get(1)?)?,
        remote: address(fields.get(2)?)?,
        state: u8::from_str_radix(fields.get(3)?, 16).ok()?,
        unread: u64::from_str_radix(unread, 16).ok()?,
        unsent: u64::from_str_radix(unsent, 16).ok()?,
        inode: fields.get(9)?.parse().ok()?,
    })
}

/// An address as four bytes each in the machine's order, `0100007F:1F90`.
fn address(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let words: Option<Vec<u32>> = (0..address.len() / 8)
        .map(|word| u32::from_str_radix(address.get(word * 8..word * 8 + 8)?, 16).ok())
        .collect();
    let bytes: Vec<u8> = words?.into_iter().flat_map(u32::to_ne_bytes).collect();
    let ip = match <[u8; 4]>::try_from(bytes.as_slice()) {
        Ok(four) => IpAddr::V4(Ipv4Addr::from(four)),
        Err(_) => IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(bytes.as_slice()).ok()?)),
    };
    Some(SocketAddr::new(ip.to_canonical(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_the_kernel_writes_them() {
        let expected: SocketAddr = "127.0.0.1:8080".parse().unwrap();
        assert_eq!(address("0100007F:1F90"), Some(expected));
        let expected: SocketAddr = "[::1]:80".parse().unwrap();
        assert_eq!(address("00000000000000000000000001000000:0050"), Some(expected));
        assert_eq!(address("0100007F"), None);
    }

    #[test]
    fn own_sockets_are_found_and_a_connection_has_an_owner_when_it_is_accepted() {
        let own = [ProcessId::of(std::process::id()).unwrap()];
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        assert!(listening(&own).iter().any(|it| it.address == address));
        let client = std::net::TcpStream::connect(address).unwrap();
        let local = client.local_addr().unwrap();
        let end = |it: &Connected| it.local == address && it.remote == local;
        assert!(!connected(&own).iter().any(end), "nobody has accepted it");
        let _accepted = listener.accept().unwrap();
        assert!(connected(&own).iter().any(end));
    }
}
