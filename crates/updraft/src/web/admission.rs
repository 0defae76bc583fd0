//! Who may come in: so much per client, and so many requests at once with a short line before
//! them. What is refused is refused at once and cheaply, since what waits until its caller has
//! gone has cost everything (Maurer, "Fail at Scale", ACM Queue 13(8), 2015).

mod rate;

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::atomic::AtomicI64;
use std::task::Poll;
use std::time::Duration;

use http::{HeaderMap, StatusCode};
use prometheus_client::metrics::gauge::Gauge;
use updraft_resilience::adaptive::{Adaptive, AdaptiveConfig, Sample};
use updraft_resilience::bulkhead::{Bulkhead, BulkheadConfig, Full, Place, QueueOrder, Ticket};
use updraft_resilience::{Clock, Instant, Invalid, Priority, Verdict};

use super::metrics::Counted;
use crate::config::Variable;
use crate::problem::ProblemDetails;
pub(crate) use rate::Rate;
use rate::RateLimit;

/// For each place so many callers may wait, at least one: a quarter.
const PLACES_PER_WAITING: u32 = 4;

/// How long a request may wait for its place. It is short, since a line that does not move
/// for so long is no burst but overload.
const WAIT_TIME: Duration = Duration::from_secs(1);

/// When a caller may come back after a refusal for overload, in seconds.
const RETRY_AFTER_S: u32 = 1;

/// Between these bounds the limit finds itself.
const ADAPTIVE: (u32, u32, u32) = (8, 64, 4096);

/// How many requests are worked on at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cap {
    /// So many.
    Fixed(NonZeroU32),
    /// As many as latency shows to be good (TCP Vegas).
    Auto,
}

/// The gate in front of the handlers.
#[derive(Debug)]
pub(super) struct Admission {
    places: Bulkhead,
    adaptive: Option<Adaptive>,
    rate: Option<RateLimit>,
    clock: Clock,
    waiting: Gauge<i64, AtomicI64>,
}

/// A request that was let in. Dropped before its end, it gives its place back and says
/// nothing of the handlers' latency.
#[derive(Debug)]
pub(super) struct Entered<'a> {
    admission: &'a Admission,
    place: Place,
    sample: Option<Sample>,
}

impl Cap {
    pub(crate) const DEFAULT: Self = Self::Fixed(NonZeroU32::new(512).expect("it is above 0"));
}

impl Variable for Cap {
    const EXPECTED: &'static str = "a whole number from 1 to 1000000, such as 512, or `auto`";

    fn parse(text: &str) -> Result<Self, String> {
        if text == "auto" {
            return Ok(Self::Auto);
        }
        let number: u32 = text.parse().map_err(|_no_number| "is not a whole number".to_owned())?;
        let number = NonZeroU32::new(number).filter(|number| number.get() <= 1_000_000);
        number.map(Self::Fixed).ok_or_else(|| "is out of range".to_owned())
    }

    fn show(&self) -> String {
        match self {
            Self::Fixed(number) => number.to_string(),
            Self::Auto => "auto".to_owned(),
        }
    }
}

impl Admission {
    /// A gate that counts in `waiting` who waits.
    ///
    /// # Errors
    ///
    /// [`Invalid`] never for what the variables can say.
    pub(super) fn new(
        cap: Cap,
        rate: Option<Rate>,
        clock: Clock,
        waiting: Gauge<i64, AtomicI64>,
    ) -> Result<Self, Invalid> {
        let (max, adaptive) = match cap {
            Cap::Fixed(max) => (max.get(), None),
            Cap::Auto => {
                let (min, initial, max) = ADAPTIVE;
                let config = AdaptiveConfig { min, initial, max, ..AdaptiveConfig::default() };
                (initial, Some(Adaptive::new(config)?))
            }
        };
        let places = Bulkhead::new(BulkheadConfig {
            max,
            queue: (max / PLACES_PER_WAITING).max(1),
            max_wait: WAIT_TIME,
            // While there are too many, some are answered in time and not all too late.
            order: QueueOrder::Lifo,
        })?;
        let rate = rate.map(|rate| RateLimit::new(rate, clock.clone())).transpose()?;
        Ok(Self { places, adaptive, rate, clock, waiting })
    }

    /// Counts a request of this client.
    ///
    /// # Errors
    ///
    /// The refusal, when it is one too many.
    pub(super) fn count(&self, client: Option<IpAddr>) -> Result<(), ProblemDetails> {
        match &self.rate {
            None => Ok(()),
            Some(rate) => rate.take(client),
        }
    }

    /// Tells a client what is left to it.
    pub(super) fn tell(&self, client: Option<IpAddr>, headers: &mut HeaderMap) {
        if let Some(rate) = &self.rate {
            rate.tell(client, headers);
        }
    }

    /// Waits for a place from now on, not for long.
    ///
    /// # Errors
    ///
    /// The refusal, when there are too many.
    pub(super) async fn enter(&self, now: Instant) -> Result<Entered<'_>, ProblemDetails> {
        let place = match self.places.enqueue(Priority::Normal, now, None) {
            Ok(ticket) => self.place(ticket).await,
            Err(full) => Err(full),
        };
        let place = place.map_err(|Full| {
            ProblemDetails::new(StatusCode::SERVICE_UNAVAILABLE)
                .detail("too many requests are being worked on")
                .retry_after(RETRY_AFTER_S)
        })?;
        let sample = self.adaptive.as_ref().map(|adaptive| adaptive.on_start(self.clock.now()));
        Ok(Entered { admission: self, place, sample })
    }

    async fn place(&self, ticket: Ticket) -> Result<Place, Full> {
        let mut waiting = Waiting { places: &self.places, ticket: Some(ticket) };
        // The usual way: a place was free.
        if let Some(place) = waiting.first_look() {
            return place;
        }
        let _counted = Counted::new(self.waiting.clone());
        let mut over = std::pin::pin!(tokio::time::sleep(WAIT_TIME));
        std::future::poll_fn(|context| {
            if let Some(ticket) = &mut waiting.ticket
                && let Poll::Ready(place) = self.places.poll_ticket(ticket, context.waker())
            {
                waiting.ticket = None;
                return Poll::Ready(place);
            }
            over.as_mut().poll(context).map(|()| Err(Full))
        })
        .await
    }
}

/// Somebody in the line, who leaves it when dropped.
struct Waiting<'a> {
    places: &'a Bulkhead,
    ticket: Option<Ticket>,
}

impl Waiting<'_> {
    fn first_look(&mut self) -> Option<Result<Place, Full>> {
        let ticket = self.ticket.as_mut()?;
        match self.places.poll_ticket(ticket, std::task::Waker::noop()) {
            Poll::Ready(place) => {
                self.ticket = None;
                Some(place)
            }
            Poll::Pending => None,
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.places.cancel(ticket);
        }
    }
}

impl Entered<'_> {
    /// The handler is done, or was given up at its deadline.
    pub(super) fn done(mut self, status: StatusCode) {
        let admission = self.admission;
        let Some((adaptive, sample)) = admission.adaptive.as_ref().zip(self.sample.take()) else {
            return;
        };
        // What the caller got wrong was quick, and says nothing of the work.
        let verdict = match status {
            _ if status.is_server_error() => Verdict::Fail,
            _ if status.is_client_error() => Verdict::Ignore,
            _ => Verdict::Success,
        };
        let limit = adaptive.on_end(sample, verdict, admission.clock.now());
        if admission.places.config().max != limit {
            admission.places.set_max(limit);
        }
    }
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        if let Some((adaptive, sample)) = self.admission.adaptive.as_ref().zip(self.sample.take()) {
            adaptive.on_abandon(sample);
        }
        self.admission.places.release(self.place);
    }
}

#[cfg(test)]
#[path = "admission_tests.rs"]
mod tests;
