//! A network in which nobody is, and a launcher that stays in it: it notes what a program looks
//! for, and carries what is declared through the wall by Unix sockets, which know no networks.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, SocketAddrV4, TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::net::{AddressFamily, Protocol, RecvFlags, SocketType, ipproto, recv, socket};
use serde::{Deserialize, Serialize};

use super::{Spec, Status, Ways};
use crate::role::VERB;

/// What a program looked for outside of its network.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Sought {
    /// The address of a name.
    Name(String),
    /// Somebody at an address.
    Address(SocketAddrV4),
}

impl Sought {
    /// What has been noted so far, each once.
    pub(crate) fn read(path: &Path) -> Vec<Self> {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let all: BTreeSet<_> =
            text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        all.into_iter().collect()
    }
}

/// Where it is noted; shared by all who watch.
#[derive(Clone)]
struct Log(Arc<Mutex<File>>);

impl Log {
    fn note(&self, sought: &Sought) -> io::Result<()> {
        let mut line = serde_json::to_vec(sought)?;
        line.push(b'\n');
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write_all(&line)
    }
}

/// Runs the program as a child and ends as it ends.
pub(super) fn enclose(spec: &Spec, path: &Path, ways: &Ways) -> io::Result<ExitCode> {
    watch(ways)
        .map_err(|error| super::refused(spec, format!("cannot watch its network: {error}")))?;
    let mut child = Command::new("/proc/self/exe").args([VERB, "enclosed"]).arg(path).spawn()?;
    Status::Running { pid: child.id() }.write(&spec.status)?;
    let status = child.wait()?;
    super::ended(spec, status.code(), status.signal())
}

/// Begins to watch and to carry; the threads end with the launcher.
fn watch(ways: &Ways) -> io::Result<()> {
    let log = OpenOptions::new().create(true).append(true).open(&ways.log)?;
    let log = Log(Arc::new(Mutex::new(log)));
    let names = UdpSocket::bind((Ipv4Addr::LOCALHOST, 53))?;
    let noted = log.clone();
    std::thread::spawn(move || drop(deny_names(&names, &noted)));
    for protocol in [ipproto::TCP, ipproto::UDP] {
        let packets = socket(AddressFamily::INET, SocketType::RAW, Some(protocol))?;
        let noted = log.clone();
        std::thread::spawn(move || drop(note_packets(&packets, protocol, &noted)));
    }
    let inward = UnixListener::bind(&ways.into)?;
    std::thread::spawn(move || {
        for outside in inward.incoming().flatten() {
            std::thread::spawn(move || drop(carry_in(outside)));
        }
    });
    for (port, socket) in &ways.out {
        let outward = TcpListener::bind((Ipv4Addr::LOCALHOST, *port))?;
        let socket = socket.clone();
        std::thread::spawn(move || {
            for inside in outward.incoming().flatten() {
                let socket = socket.clone();
                std::thread::spawn(move || {
                    let outside = UnixStream::connect(socket);
                    drop(outside.and_then(|outside| carry(inside, outside)));
                });
            }
        });
    }
    Ok(())
}

/// The first line from outside says where to.
fn carry_in(outside: UnixStream) -> io::Result<()> {
    let mut line = String::new();
    let mut reader = BufReader::new(outside.try_clone()?);
    reader.read_line(&mut line)?;
    let to: SocketAddr = line.trim().parse().map_err(io::Error::other)?;
    let mut inside = TcpStream::connect(to)?;
    inside.write_all(reader.buffer())?;
    carry(inside, outside)
}

/// Carries both ways until both have ended.
fn carry(inside: TcpStream, outside: UnixStream) -> io::Result<()> {
    let (mut from_inside, mut to_inside) = (inside.try_clone()?, inside);
    let (mut from_outside, mut to_outside) = (outside.try_clone()?, outside);
    let back = std::thread::spawn(move || {
        drop(io::copy(&mut from_inside, &mut to_outside));
        drop(to_outside.shutdown(Shutdown::Write));
    });
    drop(io::copy(&mut from_outside, &mut to_inside));
    drop(to_inside.shutdown(Shutdown::Write));
    drop(back.join());
    Ok(())
}

/// Says of each name that it does not exist (RFC 1035), and notes it.
fn deny_names(socket: &UdpSocket, log: &Log) -> io::Result<()> {
    let mut packet = [0; 1500];
    loop {
        let (length, from) = socket.recv_from(&mut packet)?;
        let Some(query) = packet.get(..length) else { continue };
        let Some((name, end)) = question(query) else { continue };
        log.note(&Sought::Name(name))?;
        let Some(asked) = query.get(..end) else { continue };
        let mut answer = asked.to_vec();
        // A response, recursion available, NXDOMAIN; one question and nothing else.
        for (at, byte) in [0x81, 0x83, 0, 1, 0, 0, 0, 0, 0, 0].into_iter().enumerate() {
            if let Some(place) = answer.get_mut(at + 2) {
                *place = byte;
            }
        }
        socket.send_to(&answer, from)?;
    }
}

/// The name that is asked for, and where the question ends.
fn question(query: &[u8]) -> Option<(String, usize)> {
    let (mut at, mut labels) = (12, Vec::new());
    loop {
        let length = usize::from(*query.get(at)?);
        at += 1;
        if length == 0 {
            break;
        }
        // Questions do not point elsewhere.
        if length > 63 {
            return None;
        }
        labels.push(String::from_utf8_lossy(query.get(at..at + length)?).into_owned());
        at += length;
    }
    (at + 4 <= query.len()).then(|| (labels.join(".").to_ascii_lowercase(), at + 4))
}

/// Notes where packets go. Every address is this network's own, so all of them come by.
fn note_packets(socket: &OwnedFd, protocol: Protocol, log: &Log) -> io::Result<()> {
    let mut packet = [0; 128];
    let mut known = BTreeSet::new();
    loop {
        let (_, length) = recv(socket, &mut packet[..], RecvFlags::TRUNC)?;
        let seen = packet.get(..length.min(packet.len())).unwrap_or_default();
        let Some(to) = destination(seen, protocol == ipproto::TCP) else { continue };
        if !to.ip().is_loopback() && known.insert(to) {
            log.note(&Sought::Address(to))?;
        }
    }
}

/// Where a packet goes (RFC 791); of TCP only those that open a connection (RFC 9293).
fn destination(packet: &[u8], is_tcp: bool) -> Option<SocketAddrV4> {
    let head = usize::from(packet.first()? & 0x0f) * 4;
    let address: [u8; 4] = packet.get(16..20)?.try_into().ok()?;
    let port: [u8; 2] = packet.get(head + 2..head + 4)?.try_into().ok()?;
    if is_tcp {
        let flags = packet.get(head + 13)?;
        // SYN without ACK.
        return (flags & 0x12 == 0x02)
            .then(|| SocketAddrV4::new(address.into(), u16::from_be_bytes(port)));
    }
    Some(SocketAddrV4::new(address.into(), u16::from_be_bytes(port)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_question_is_read_and_nonsense_is_none() {
        let mut query = vec![0xab, 0xcd, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        query.extend(b"\x03API\x07example\x03com\x00\x00\x01\x00\x01");
        assert_eq!(question(&query), Some(("api.example.com".to_owned(), query.len())));
        for cut in 0..query.len() {
            assert_eq!(question(&query[..cut]), None, "{cut}");
        }
    }

    #[test]
    fn of_tcp_only_the_first_packet_of_a_connection_goes_somewhere() {
        let mut packet = vec![0x45; 1];
        packet.resize(40, 0);
        packet[12..16].copy_from_slice(&[192, 0, 2, 1]);
        packet[16..20].copy_from_slice(&[192, 0, 2, 1]);
        packet[22..24].copy_from_slice(&443_u16.to_be_bytes());
        for (flags, goes) in [(0x02, true), (0x12, false), (0x10, false), (0x14, false)] {
            packet[33] = flags;
            let expected = goes.then(|| "192.0.2.1:443".parse().unwrap());
            assert_eq!(destination(&packet, true), expected, "{flags:x}");
        }
    }
}
