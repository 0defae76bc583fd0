//! What programs look for in a network in which nobody is: names do not exist, and where a
//! probe wants to know, it is noted who was looked for.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::event::{PollFd, PollFlags};
use rustix::net::{
    AddressFamily, Protocol, RecvFlags, SocketFlags, SocketType, ipproto, recv, socket_with,
};
use serde::{Deserialize, Serialize};

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

/// Watches the network in which it was opened.
#[derive(Debug)]
pub(super) struct Watch {
    /// Where whoever asks for a name asks.
    names: UdpSocket,
    /// All packets, where it is noted where they go.
    packets: Vec<(OwnedFd, Protocol)>,
    log: Option<File>,
    known: BTreeSet<SocketAddrV4>,
}

impl Watch {
    /// Begins to watch; `log`: where to note whom programs look for.
    pub(super) fn open(log: Option<&Path>) -> io::Result<Self> {
        let names = UdpSocket::bind((Ipv4Addr::LOCALHOST, 53))?;
        names.set_nonblocking(true)?;
        let append = |path| OpenOptions::new().create(true).append(true).open(path);
        let log = log.map(append).transpose()?;
        let mut packets = Vec::new();
        if log.is_some() {
            for protocol in [ipproto::TCP, ipproto::UDP] {
                let (family, kind) = (AddressFamily::INET, SocketType::RAW);
                let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
                packets.push((socket_with(family, kind, flags, Some(protocol))?, protocol));
            }
        }
        Ok(Self { names, packets, log, known: BTreeSet::new() })
    }

    /// What to wait for.
    pub(super) fn waiting(&self) -> Vec<PollFd<'_>> {
        let mut all = vec![PollFd::new(&self.names, PollFlags::IN)];
        all.extend(self.packets.iter().map(|(packets, _)| PollFd::new(packets, PollFlags::IN)));
        all
    }

    /// Forgets whom programs have looked for so far.
    pub(super) fn forget(&mut self) -> io::Result<()> {
        self.known.clear();
        self.log.as_ref().map_or(Ok(()), |log| log.set_len(0))
    }

    /// Looks at what has come.
    pub(super) fn look(&mut self) -> io::Result<()> {
        self.deny_names()?;
        self.note_packets()
    }

    /// Says of each name that it does not exist (RFC 1035), and notes it.
    fn deny_names(&mut self) -> io::Result<()> {
        let mut packet = [0; 1500];
        // Whoever has gone away again is told of as an error.
        while let Ok((length, from)) = self.names.recv_from(&mut packet) {
            let Some(query) = packet.get(..length) else { continue };
            let Some((name, end)) = question(query) else { continue };
            self.note(&Sought::Name(name))?;
            let Some(asked) = query.get(..end) else { continue };
            let mut answer = asked.to_vec();
            // A response, recursion available, NXDOMAIN; one question and nothing else.
            for (at, byte) in [0x81, 0x83, 0, 1, 0, 0, 0, 0, 0, 0].into_iter().enumerate() {
                if let Some(place) = answer.get_mut(at + 2) {
                    *place = byte;
                }
            }
            drop(self.names.send_to(&answer, from));
        }
        Ok(())
    }

    /// Notes where packets go. Every address is this network's own, so all of them come by.
    fn note_packets(&mut self) -> io::Result<()> {
        let mut packet = [0; 128];
        let mut found = Vec::new();
        for (packets, protocol) in &self.packets {
            while let Ok((_, length)) = recv(packets, &mut packet[..], RecvFlags::TRUNC) {
                let seen = packet.get(..length.min(packet.len())).unwrap_or_default();
                found.extend(destination(seen, *protocol == ipproto::TCP));
            }
        }
        for to in found {
            if !to.ip().is_loopback() && self.known.insert(to) {
                self.note(&Sought::Address(to))?;
            }
        }
        Ok(())
    }

    fn note(&mut self, sought: &Sought) -> io::Result<()> {
        let Some(log) = &mut self.log else { return Ok(()) };
        let mut line = serde_json::to_vec(sought)?;
        line.push(b'\n');
        log.write_all(&line)
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
