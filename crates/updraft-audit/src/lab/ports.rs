//! Ports for programs that are judged. A port is never given twice at a time, not even to two
//! audits, and is free when it is given; it is not held, for a program that does not set
//! `SO_REUSEADDR` could not use it then.

use std::net::{Ipv4Addr, Ipv6Addr, TcpListener};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::time::{Duration, Instant};

/// Below the kernel's ephemeral ports (`ip_local_port_range`, from 32768), above those that
/// `updraft up` gives.
const FIRST: u16 = 28_000;
const COUNT: u16 = 4_700;
/// How long the end of a trial may take to give its port back.
const FREED_WITHIN: Duration = Duration::from_secs(5);
/// From one look at a port to the next.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// A port that no other audit has as long as this lives.
#[derive(Debug)]
pub(crate) struct Port {
    pub(crate) number: u16,
    /// An abstract socket named after the port is the lock; the kernel frees it.
    _lock: UnixListener,
}

impl Port {
    /// One that is free. `None`: none is.
    pub(crate) fn any() -> Option<Self> {
        let start = fastrand::u16(..COUNT);
        (0..COUNT).find_map(|step| Self::take(FIRST + (start + step) % COUNT))
    }

    /// One that a trial had a moment ago. A process of ours that is just being started may hold
    /// a copy of the lock until it becomes its program.
    pub(crate) async fn take_again(number: u16) -> Option<Self> {
        let until = Instant::now() + FREED_WITHIN;
        loop {
            match Self::take(number) {
                None if Instant::now() < until => tokio::time::sleep(LOOK_EVERY).await,
                taken => return taken,
            }
        }
    }

    /// This one, if nobody has it.
    pub(crate) fn take(number: u16) -> Option<Self> {
        let name = format!("updraft-check-port-{number}");
        let name = SocketAddr::from_abstract_name(name).ok()?;
        let lock = UnixListener::bind_addr(&name).ok()?;
        let free = TcpListener::bind((Ipv4Addr::UNSPECIFIED, number)).is_ok()
            && TcpListener::bind((Ipv4Addr::LOCALHOST, number)).is_ok()
            && (TcpListener::bind((Ipv6Addr::LOCALHOST, number)).is_ok() || !has_ipv6());
        free.then_some(Self { number, _lock: lock })
    }
}

fn has_ipv6() -> bool {
    TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok()
}
