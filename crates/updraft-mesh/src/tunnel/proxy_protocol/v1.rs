//! Version 1: one line of text (section 2.1).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::io::{AsyncRead, AsyncReadExt};

use super::{HeaderError, Proxied};

/// The longest line, its end included.
const LONGEST: usize = 107;

const START: &[u8] = b"PROXY ";

/// Whether a header may begin so.
pub(super) fn may_start(seen: &[u8]) -> bool {
    let common = seen.len().min(START.len());
    seen.get(..common) == START.get(..common)
}

/// Reads the rest of the line, in as few reads as can be without one byte too many.
pub(super) async fn read<R: AsyncRead + Unpin>(
    stream: &mut R,
    start: &[u8],
) -> Result<Option<Proxied>, HeaderError> {
    let mut line = start.to_vec();
    let mut least = shortest(start);
    while !line.ends_with(b"\r\n") {
        // The end of a line is two bytes, of which one may be here.
        least = least.max(line.len() + if line.ends_with(b"\r") { 1 } else { 2 });
        if least > LONGEST {
            return Err(HeaderError::Malformed("its line is too long"));
        }
        let read = line.len();
        line.resize(least, 0);
        let free = line.get_mut(read..).unwrap_or_default();
        stream.read_exact(free).await.map_err(HeaderError::Read)?;
        if line.get(read..).is_some_and(|new| new.contains(&b'\n')) && !line.ends_with(b"\r\n") {
            return Err(HeaderError::Malformed("its line ends early"));
        }
    }
    line.truncate(line.len() - 2);
    let line = std::str::from_utf8(&line).ok();
    parse(line.ok_or(HeaderError::Malformed("it is not ASCII"))?)
}

/// The length of the shortest line that begins so.
fn shortest(start: &[u8]) -> usize {
    if start.starts_with(b"PROXY TCP4 ") {
        "PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n".len()
    } else if start.starts_with(b"PROXY TCP6 ") {
        "PROXY TCP6 :: :: 0 0\r\n".len()
    } else {
        "PROXY UNKNOWN\r\n".len()
    }
}

fn parse(line: &str) -> Result<Option<Proxied>, HeaderError> {
    if line.contains(['\r', '\n']) {
        return Err(HeaderError::Malformed("its line has an end inside"));
    }
    let malformed = || HeaderError::Malformed("its addresses make no sense");
    let mut words = line.split(' ');
    if words.next() != Some("PROXY") {
        return Err(malformed());
    }
    let address = match words.next() {
        // What follows is to be ignored.
        Some("UNKNOWN") => return Ok(None),
        Some("TCP4") => |word: &str| word.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
        Some("TCP6") => |word: &str| word.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        _ => return Err(HeaderError::Malformed("its protocol is unknown")),
    };
    let mut next_address = || words.next().and_then(address).ok_or_else(malformed);
    let (source, destination) = (next_address()?, next_address()?);
    let mut next_port = || words.next().and_then(port).ok_or_else(malformed);
    let (source_port, destination_port) = (next_port()?, next_port()?);
    if words.next().is_some() {
        return Err(malformed());
    }
    Ok(Some(Proxied {
        source: SocketAddr::new(source, source_port),
        destination: SocketAddr::new(destination, destination_port),
    }))
}

/// A number without sign or leading zeros.
fn port(word: &str) -> Option<u16> {
    let digits = word.bytes().all(|byte| byte.is_ascii_digit());
    let canonical = word == "0" || !word.starts_with('0');
    if digits && canonical { word.parse().ok() } else { None }
}
