//! Version 2: a binary header (section 2.2).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::io::{AsyncRead, AsyncReadExt};

use super::{HeaderError, Proxied};

/// What each header begins with.
pub(super) const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";

/// The longest that may follow the fixed part, in bytes. The format allows 64 KiB; proxies send
/// addresses and some hundred bytes of extensions.
const LONGEST: usize = 4096;

/// The extension that carries a CRC-32C of the header.
const CRC32C: u8 = 0x03;

/// Reads what follows the signature.
pub(super) async fn read<R: AsyncRead + Unpin>(
    stream: &mut R,
) -> Result<Option<Proxied>, HeaderError> {
    let mut fixed = [0; 4];
    stream.read_exact(&mut fixed).await.map_err(HeaderError::Read)?;
    let [version, family, high, low] = fixed;
    if version >> 4 != 2 {
        return Err(HeaderError::Malformed("its version is unknown"));
    }
    let length = usize::from(u16::from_be_bytes([high, low]));
    if length > LONGEST {
        return Err(HeaderError::Malformed("it is too long"));
    }
    let mut rest = vec![0; length];
    stream.read_exact(&mut rest).await.map_err(HeaderError::Read)?;
    match version & 0xf {
        // A connection of the proxy's own, such as a health check: the rest is to be ignored.
        0 => Ok(None),
        1 => parse(&fixed, family, &rest),
        _ => Err(HeaderError::Malformed("its command is unknown")),
    }
}

fn parse(fixed: &[u8], family: u8, rest: &[u8]) -> Result<Option<Proxied>, HeaderError> {
    const SHORT: HeaderError = HeaderError::Malformed("it is too short for its addresses");
    let (proxied, extensions) = match family {
        // Unspecified: the rest is to be ignored.
        0x00 => return Ok(None),
        0x11 => {
            let (addresses, extensions) = rest.split_first_chunk::<12>().ok_or(SHORT)?;
            let [a, b, c, d, e, f, g, h, p, q, r, s] = *addresses;
            let (source, destination) = (Ipv4Addr::new(a, b, c, d), Ipv4Addr::new(e, f, g, h));
            (proxied(source, destination, [p, q, r, s]), extensions)
        }
        0x21 => {
            let (source, more) = rest.split_first_chunk::<16>().ok_or(SHORT)?;
            let (destination, more) = more.split_first_chunk::<16>().ok_or(SHORT)?;
            let (ports, extensions) = more.split_first_chunk::<4>().ok_or(SHORT)?;
            let (source, destination) = (Ipv6Addr::from(*source), Ipv6Addr::from(*destination));
            (proxied(source, destination, *ports), extensions)
        }
        // A Unix socket has two paths of 108 bytes, and no address of ours.
        0x31 => {
            let (_paths, extensions) = rest.split_first_chunk::<216>().ok_or(SHORT)?;
            check_extensions(fixed, rest, extensions)?;
            return Ok(None);
        }
        _ => return Err(HeaderError::Malformed("its protocol is not a stream's")),
    };
    check_extensions(fixed, rest, extensions)?;
    Ok(Some(proxied))
}

fn proxied(
    source: impl Into<IpAddr>,
    destination: impl Into<IpAddr>,
    [p, q, r, s]: [u8; 4],
) -> Proxied {
    Proxied {
        source: SocketAddr::new(source.into(), u16::from_be_bytes([p, q])),
        destination: SocketAddr::new(destination.into(), u16::from_be_bytes([r, s])),
    }
}

/// Extensions are type, length and value each, and fill the rest exactly; a checksum has to be
/// right.
fn check_extensions(fixed: &[u8], rest: &[u8], extensions: &[u8]) -> Result<(), HeaderError> {
    const MALFORMED: HeaderError = HeaderError::Malformed("its extensions are malformed");
    let mut left = extensions;
    while !left.is_empty() {
        let (head, more) = left.split_first_chunk::<3>().ok_or(MALFORMED)?;
        let [kind, high, low] = *head;
        let length = usize::from(u16::from_be_bytes([high, low]));
        let (value, more) = more.split_at_checked(length).ok_or(MALFORMED)?;
        if kind == CRC32C {
            let sum: [u8; 4] = value.try_into().ok().ok_or(MALFORMED)?;
            let before = rest.len() - more.len() - length;
            // The sum is taken with zeros in its own place.
            let (start, after) = rest.split_at_checked(before).ok_or(MALFORMED)?;
            let after = after.get(length..).unwrap_or_default();
            let parts = [&SIGNATURE, fixed, start, &[0; 4], after];
            if crc32c(parts.into_iter().flatten()) != u32::from_be_bytes(sum) {
                return Err(HeaderError::Malformed("its checksum is wrong"));
            }
        }
        left = more;
    }
    Ok(())
}

/// CRC-32C (RFC 3720, appendix B.4), bit by bit: it is seldom there, and short.
pub(super) fn crc32c<'a>(bytes: impl Iterator<Item = &'a u8>) -> u32 {
    !bytes.fold(!0, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| {
            if sum & 1 == 1 { (sum >> 1) ^ 0x82f6_3b78 } else { sum >> 1 }
        })
    })
}
