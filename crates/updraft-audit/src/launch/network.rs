//! The loopback interface of a new network namespace, which begins switched off, and what is
//! reached by it (`rtnetlink(7)`; an `ioctl` would need `unsafe`).

use std::io;

use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketType, recv, sendto, socket};

const RTM_NEWLINK: u16 = 16;
const RTM_NEWROUTE: u16 = 24;
const RTA_OIF: u16 = 4;
const AF_INET: u8 = 2;
const RT_TABLE_LOCAL: u8 = 255;
const RT_SCOPE_HOST: u8 = 254;
const RTN_LOCAL: u8 = 2;
const NLM_F_CREATE: u16 = 0x400;
const NLM_F_REQUEST: u16 = 1;
const NLM_F_ACK: u16 = 4;
const NLMSG_ERROR: u16 = 2;
const IFF_UP: u32 = 1;
/// The loopback interface is the first of its namespace.
const LOOPBACK: i32 = 1;

/// Switches the loopback interface on.
pub(super) fn raise_loopback() -> io::Result<()> {
    let mut message = Vec::new();
    // struct ifinfomsg: family, padding, type, index, flags, mask of the flags that change.
    message.extend([0, 0, 0, 0]);
    message.extend(LOOPBACK.to_ne_bytes());
    message.extend(IFF_UP.to_ne_bytes());
    message.extend(IFF_UP.to_ne_bytes());
    request(RTM_NEWLINK, NLM_F_REQUEST | NLM_F_ACK, &message)
}

/// Makes all addresses of IPv4 those of this machine, as `ip route add local default dev lo`.
pub(super) fn own_all_addresses() -> io::Result<()> {
    let mut message = Vec::new();
    // struct rtmsg: family, lengths of destination and source, type of service, table,
    // protocol (static), scope, type, flags.
    message.extend([AF_INET, 0, 0, 0, RT_TABLE_LOCAL, 4, RT_SCOPE_HOST, RTN_LOCAL]);
    message.extend(0_u32.to_ne_bytes());
    // One attribute: the interface.
    message.extend(8_u16.to_ne_bytes());
    message.extend(RTA_OIF.to_ne_bytes());
    message.extend(LOOPBACK.to_ne_bytes());
    request(RTM_NEWROUTE, NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE, &message)
}

/// Asks the kernel for something and waits until it is done.
fn request(kind: u16, flags: u16, body: &[u8]) -> io::Result<()> {
    const HEAD_BYTES: usize = 16;
    let length = u32::try_from(HEAD_BYTES + body.len()).map_err(io::Error::other)?;
    let kernel = socket(AddressFamily::NETLINK, SocketType::RAW, None)?;
    let mut message = Vec::new();
    message.extend(length.to_ne_bytes());
    message.extend(kind.to_ne_bytes());
    message.extend(flags.to_ne_bytes());
    message.extend(1_u32.to_ne_bytes());
    message.extend(0_u32.to_ne_bytes());
    message.extend(body);
    sendto(&kernel, &message, SendFlags::empty(), &SocketAddrNetlink::new(0, 0))?;
    let mut answer = [0; 256];
    let (length, _) = recv(&kernel, &mut answer[..], RecvFlags::empty())?;
    acknowledged(answer.get(..length).unwrap_or_default())
}

/// An acknowledgement is an error message with the number 0.
fn acknowledged(answer: &[u8]) -> io::Result<()> {
    let part = |from: usize, to: usize| answer.get(from..to);
    let kind = part(4, 6).and_then(|it| it.try_into().ok()).map(u16::from_ne_bytes);
    let number = part(16, 20).and_then(|it| it.try_into().ok()).map(i32::from_ne_bytes);
    match (kind, number) {
        (Some(NLMSG_ERROR), Some(0)) => Ok(()),
        (Some(NLMSG_ERROR), Some(number)) => Err(io::Error::from_raw_os_error(-number)),
        _ => Err(io::Error::other("the kernel's answer cannot be understood")),
    }
}
