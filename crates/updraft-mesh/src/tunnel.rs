//! Bytes in both directions: plain TCP, TLS, upgraded connections.
//!
//! Each direction ends on its own, as TCP's do: waiting for both ends without a limit leaks
//! connections whose other side never ends, and ending both at once cuts answers short. So
//! the end of one side is passed on, and from then on the other one has to show life.
//!
//! Buffers grow with what passes, so that a quiet tunnel costs little (the idea is ztunnel's);
//! between two plain sockets a busy direction leaves the copying to the kernel by `splice(2)`.

mod direction;
mod duplex;
mod pipe;
pub(crate) mod proxy_protocol;
mod upgraded;

use std::io;
use std::pin::{Pin, pin};
use std::sync::atomic::AtomicU64;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

pub(crate) use duplex::Duplex;
pub(crate) use upgraded::upgraded;

use direction::Direction;

/// The longest that a tunnel lives without a byte.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TunnelLimits {
    /// While both sides are open ([`tunnel_idle`](updraft_system::mesh::Limits::tunnel_idle)).
    pub(crate) idle: Duration,
    /// Once one side has ended
    /// ([`tunnel_linger`](updraft_system::mesh::Limits::tunnel_linger)).
    pub(crate) linger: Duration,
}

impl From<&updraft_system::mesh::Limits> for TunnelLimits {
    fn from(limits: &updraft_system::mesh::Limits) -> Self {
        Self { idle: limits.tunnel_idle, linger: limits.tunnel_linger }
    }
}

/// What has passed tunnels, up to this moment; to be shared by any number of them.
#[derive(Debug, Default)]
pub(crate) struct TunnelCounters {
    /// Bytes from the caller to the endpoint.
    pub(crate) up: AtomicU64,
    /// Bytes from the endpoint to the caller.
    pub(crate) down: AtomicU64,
    /// Bytes of both that were not copied.
    pub(crate) spliced: AtomicU64,
}

/// How a tunnel has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TunnelEnd {
    /// Bytes from the caller to the endpoint.
    pub(crate) bytes_up: u64,
    /// Bytes from the endpoint to the caller.
    pub(crate) bytes_down: u64,
    /// Why.
    pub(crate) reason: EndReason,
}

/// Why a tunnel has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EndReason {
    /// Both sides have ended.
    Finished,
    /// No byte passed for [`idle`](TunnelLimits::idle).
    Idle,
    /// One side has ended, and no byte came from the other for
    /// [`linger`](TunnelLimits::linger).
    LingerOver,
    /// One side broke off. The other one was reset as well, where it can be.
    Reset,
    /// The caller of [`relay`] wanted it to end.
    Drained,
}

/// Passes bytes between the caller `a` and the endpoint `b` until both have ended, or `drained`
/// is ready: a drain gives tunnels its whole time first.
pub(crate) async fn relay<A: Duplex, B: Duplex>(
    a: A,
    b: B,
    limits: TunnelLimits,
    counters: &TunnelCounters,
    drained: impl Future<Output = ()>,
) -> TunnelEnd {
    let mut tunnel = Tunnel {
        a,
        b,
        up: Direction::new(&counters.up, &counters.spliced),
        down: Direction::new(&counters.down, &counters.spliced),
        limits,
        last: Instant::now(),
    };
    let mut drained = pin!(drained);
    let mut timer = pin!(tokio::time::sleep_until(tunnel.deadline()));
    let reason = std::future::poll_fn(|cx| {
        if let Poll::Ready(reason) = tunnel.poll_bytes(cx) {
            return Poll::Ready(reason);
        }
        if drained.as_mut().poll(cx).is_ready() {
            return Poll::Ready(EndReason::Drained);
        }
        tunnel.poll_limit(timer.as_mut(), cx)
    })
    .await;
    if reason == EndReason::Reset {
        tunnel.a.abort();
        tunnel.b.abort();
    }
    TunnelEnd { bytes_up: tunnel.up.moved(), bytes_down: tunnel.down.moved(), reason }
}

struct Tunnel<'a, A, B> {
    a: A,
    b: B,
    up: Direction<'a>,
    down: Direction<'a>,
    limits: TunnelLimits,
    last: Instant,
}

impl<A: Duplex, B: Duplex> Tunnel<'_, A, B> {
    fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<EndReason> {
        let before = self.progress();
        let up = self.up.poll(&mut self.a, &mut self.b, cx);
        let down = self.down.poll(&mut self.b, &mut self.a, cx);
        if self.progress() != before {
            self.last = Instant::now();
        }
        match (up, down) {
            (Poll::Ready(Err(_)), _) | (_, Poll::Ready(Err(_))) => Poll::Ready(EndReason::Reset),
            (Poll::Ready(Ok(())), Poll::Ready(Ok(()))) => Poll::Ready(EndReason::Finished),
            _ => Poll::Pending,
        }
    }

    /// Changes whenever something happens that shows life.
    fn progress(&self) -> (u64, u64, bool, bool) {
        (self.up.moved(), self.down.moved(), self.up.has_ended(), self.down.has_ended())
    }

    fn is_half_closed(&self) -> bool {
        self.up.has_ended() || self.down.has_ended()
    }

    fn deadline(&self) -> Instant {
        let limit = if self.is_half_closed() { self.limits.linger } else { self.limits.idle };
        self.last.checked_add(limit).unwrap_or(self.last)
    }

    /// The timer is set anew only when it has run out or has to be earlier, not with each byte.
    fn poll_limit(&self, mut timer: Pin<&mut Sleep>, cx: &mut Context<'_>) -> Poll<EndReason> {
        let deadline = self.deadline();
        if timer.deadline() > deadline {
            timer.as_mut().reset(deadline);
        }
        while timer.as_mut().poll(cx).is_ready() {
            if Instant::now() >= deadline {
                return Poll::Ready(match self.is_half_closed() {
                    true => EndReason::LingerOver,
                    false => EndReason::Idle,
                });
            }
            timer.as_mut().reset(deadline);
        }
        Poll::Pending
    }
}

/// A write that took nothing.
fn write_zero() -> io::Error {
    io::ErrorKind::WriteZero.into()
}

#[cfg(test)]
mod tests;
