//! The long way: a look through all connections in `/proc/net/tcp` and `/proc/net/tcp6`
//! (`proc_net_tcp` of the kernel's documentation). They do not tell the control group.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::{Ends, SocketOwner, canonical};

/// The owner of the socket with these ends; `None`: no program has it open.
///
/// # Errors
///
/// When neither table can be read.
pub(super) fn owner(ends: Ends) -> io::Result<Option<SocketOwner>> {
    // A socket of IPv6 may speak IPv4, and then stands in the other table.
    let narrow = search("/proc/net/tcp", ends);
    if let Ok(Some(_)) = narrow {
        return narrow;
    }
    search("/proc/net/tcp6", ends).or(narrow)
}

fn search(path: &str, ends: Ends) -> io::Result<Option<SocketOwner>> {
    for line in BufReader::new(File::open(path)?).lines() {
        if let Some((found, owner)) = connection(&line?)
            && found.own == ends.own
            && found.other == ends.other
        {
            return Ok((owner.inode != 0).then_some(owner));
        }
    }
    Ok(None)
}

/// One line: number, both ends, state, queues, timer, retransmits, user, timeout, inode.
fn connection(line: &str) -> Option<(Ends, SocketOwner)> {
    let mut fields = line.split_ascii_whitespace();
    let own = address(fields.nth(1)?)?;
    let other = address(fields.next()?)?;
    let uid = fields.nth(4)?.parse().ok()?;
    let inode = fields.nth(1)?.parse().ok()?;
    Some((Ends { own, other }, SocketOwner { uid, inode, cgroup_id: None }))
}

/// An address as words in the order of bytes of the machine, a colon, and the port.
fn address(text: &str) -> Option<SocketAddr> {
    let (host, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let word = |at: usize| {
        let word = host.get(at * 8..(at + 1) * 8)?;
        u32::from_str_radix(word, 16).ok().map(u32::to_ne_bytes)
    };
    let host: IpAddr = match host.len() {
        8 => Ipv4Addr::from(word(0)?).into(),
        32 => {
            let words = [word(0)?, word(1)?, word(2)?, word(3)?];
            let mut octets = [0; 16];
            octets.copy_from_slice(&words.concat());
            Ipv6Addr::from(octets).into()
        }
        _ => return None,
    };
    Some(canonical(SocketAddr::new(host, port)))
}
