//! One exact question to the kernel over netlink: `sock_diag(7)`, `linux/inet_diag.h`.

use std::io;
use std::net::{IpAddr, SocketAddr};

use rustix::net::netlink::{self, SocketAddrNetlink};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, sendto, socket_with,
};

use super::{Ends, SocketOwner};

/// `SOCK_DIAG_BY_FAMILY`.
const BY_FAMILY: u16 = 20;
/// `NLM_F_REQUEST`, without `NLM_F_DUMP`: one socket, not all of them.
const REQUEST: u16 = 1;
/// `NLMSG_ERROR`.
const ERROR: u16 = 2;
const IPPROTO_TCP: u8 = 6;
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
/// `INET_DIAG_CGROUP_ID`, since Linux 5.8.
const CGROUP_ID: u16 = 21;
/// All bits: any socket, whatever the cookie that tells two lives of an address apart.
const NO_COOKIE: [u8; 8] = [0xff; 8];

/// `struct nlmsghdr`.
const HEAD: usize = 16;
/// `struct inet_diag_sockid`: ports, addresses, interface and cookie.
const ID: usize = 48;
/// The part of it that says which socket it is: ports and addresses.
const ID_ENDS: usize = 36;
/// `struct inet_diag_req_v2`.
const QUESTION: usize = HEAD + 8 + ID;
/// `struct inet_diag_msg` up to the ends: family, state, timer and retransmits.
const ANSWER_ID: usize = HEAD + 4;
/// Its user, after the ends and the timer, and the two queues.
const ANSWER_UID: usize = ANSWER_ID + ID + 12;
/// Its inode.
const ANSWER_INODE: usize = ANSWER_UID + 4;
/// Its end; attributes follow.
const ANSWER: usize = ANSWER_INODE + 4;
/// An answer about one socket with all attributes is far below this.
const ANSWER_BYTES: usize = 4096;

/// The owner of the socket with these ends; `None`: no program has it open any more.
///
/// # Errors
///
/// What the kernel said; also that there is no such socket, as it says so of protocols that it
/// does not know.
pub(super) fn owner(ends: Ends) -> io::Result<Option<SocketOwner>> {
    let question = question(ends)?;
    let socket = socket_with(
        AddressFamily::NETLINK,
        SocketType::DGRAM,
        SocketFlags::CLOEXEC,
        Some(netlink::SOCK_DIAG),
    )?;
    let kernel = SocketAddrNetlink::new(0, 0);
    sendto(&socket, &question, SendFlags::empty(), &kernel)?;
    let mut answer = [0; ANSWER_BYTES];
    // The kernel has answered before the question returns; there is nothing to wait for.
    let (length, _) = recv(&socket, &mut answer[..], RecvFlags::DONTWAIT)?;
    read(answer.get(..length).unwrap_or_default(), &question)
}

fn question(ends: Ends) -> io::Result<[u8; QUESTION]> {
    let (family, own, other) = match (ends.own.ip(), ends.other.ip()) {
        (IpAddr::V4(own), IpAddr::V4(other)) => (AF_INET, padded(own), padded(other)),
        (IpAddr::V6(own), IpAddr::V6(other)) => (AF_INET6, own.octets(), other.octets()),
        _ => return Err(io::Error::from(io::ErrorKind::InvalidInput)),
    };
    let length = u32::try_from(QUESTION).map_err(io::Error::other)?;
    let mut question = Vec::with_capacity(QUESTION);
    question.extend_from_slice(&length.to_ne_bytes());
    question.extend_from_slice(&BY_FAMILY.to_ne_bytes());
    question.extend_from_slice(&REQUEST.to_ne_bytes());
    // Sequence number and sender: one question, one answer, from the kernel.
    question.extend_from_slice(&[0; 8]);
    // Family, protocol, no extensions, padding; then any state.
    question.extend_from_slice(&[family, IPPROTO_TCP, 0, 0]);
    question.extend_from_slice(&u32::MAX.to_ne_bytes());
    let port = |end: SocketAddr| end.port().to_be_bytes();
    question.extend_from_slice(&port(ends.own));
    question.extend_from_slice(&port(ends.other));
    question.extend_from_slice(&own);
    question.extend_from_slice(&other);
    // Any interface.
    question.extend_from_slice(&[0; 4]);
    question.extend_from_slice(&NO_COOKIE);
    question.try_into().ok().ok_or_else(malformed)
}

fn padded(address: std::net::Ipv4Addr) -> [u8; 16] {
    let mut padded = [0; 16];
    padded[..4].copy_from_slice(&address.octets());
    padded
}

fn read(answer: &[u8], question: &[u8; QUESTION]) -> io::Result<Option<SocketOwner>> {
    let kind = u16::from_ne_bytes(array(answer, 4)?);
    if kind == ERROR {
        let code = i32::from_ne_bytes(array(answer, HEAD)?);
        return Err(io::Error::from_raw_os_error(code.saturating_neg()));
    }
    if kind != BY_FAMILY {
        return Err(malformed());
    }
    // Where there is no connection of these ends, the kernel answers with a listener on the
    // port, whose owner is another matter.
    let asked: [u8; ID_ENDS] = array(question, QUESTION - ID)?;
    let found: [u8; ID_ENDS] = array(answer, ANSWER_ID)?;
    // A socket that nobody has open any more has no inode, and user 0 in its stead.
    let inode = u32::from_ne_bytes(array(answer, ANSWER_INODE)?);
    if asked != found || inode == 0 {
        return Ok(None);
    }
    let uid = u32::from_ne_bytes(array(answer, ANSWER_UID)?);
    let length = u32::from_ne_bytes(array(answer, 0)?);
    let length = usize::try_from(length).map_err(io::Error::other)?;
    let attributes = answer.get(ANSWER..length.min(answer.len())).unwrap_or_default();
    Ok(Some(SocketOwner { uid, inode: inode.into(), cgroup_id: cgroup(attributes) }))
}

/// The control group among attributes (`struct nlattr`: length, kind, value, padding).
fn cgroup(mut attributes: &[u8]) -> Option<u64> {
    loop {
        let length = usize::from(u16::from_ne_bytes(array(attributes, 0).ok()?));
        let kind = u16::from_ne_bytes(array(attributes, 2).ok()?);
        if kind == CGROUP_ID {
            return array(attributes, 4).ok().map(u64::from_ne_bytes);
        }
        // A length that is shorter than its own head would go on for ever.
        attributes = attributes.get(length.max(4).next_multiple_of(4)..)?;
    }
}

fn array<const COUNT: usize>(bytes: &[u8], at: usize) -> io::Result<[u8; COUNT]> {
    let part = bytes.get(at..).and_then(|rest| rest.first_chunk());
    part.copied().ok_or_else(malformed)
}

fn malformed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the answer of the kernel is not of its form")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_answer_makes_it_panic_or_run_for_ever(
            kind in prop_oneof![Just(BY_FAMILY), Just(ERROR), any::<u16>()],
            body in proptest::collection::vec(any::<u8>(), 0..200),
        ) {
            let ends = Ends {
                own: "127.0.0.1:40000".parse()?,
                other: "127.0.0.1:80".parse()?,
            };
            let mut answer = [&[0xff; 4][..], &kind.to_ne_bytes(), &[0; 10], &body].concat();
            let question = question(ends)?;
            drop(read(&answer, &question));
            if answer.len() >= ANSWER {
                answer[ANSWER_ID..][..ID].copy_from_slice(&question[QUESTION - ID..]);
                drop(read(&answer, &question));
            }
        }
    }
}
