//! What the gateway asks for each HTTP request: between the choice of an endpoint and the
//! sending, and before the head of the response.

use std::net::SocketAddr;

use tokio::time::Instant;

use super::control::{Subject, Waited};
use super::count::raise;
use super::verdict::Verdict;
use super::{ConnectionId, Direction, Epoch, Instrument, Manner, Message, Role, Text, What};

/// The kind of an HTTP request.
pub const HTTP_REQUEST: &str = "HTTP request";

/// The kind of an HTTP response.
pub const HTTP_RESPONSE: &str = "HTTP response";

/// A request that is about to be sent.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The caller's connection.
    pub connection: ConnectionId,
    /// When the request came, as cuts count it ([`Instrument::epoch`]).
    pub since: Epoch,
    /// Its method.
    pub method: &'a str,
    /// Its path, with the query.
    pub path: &'a str,
    /// The declared length of its body.
    pub bytes: Option<u64>,
}

/// The response to a request, whose head has come.
#[derive(Clone, Copy, Debug)]
pub struct Response {
    /// Its status.
    pub status: u16,
    /// The declared length of its body.
    pub bytes: Option<u64>,
}

/// What is to be done with a request or response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "it does nothing unless the gateway acts upon it"]
pub enum Decision {
    /// It goes on.
    Pass,
    /// The request goes on, to this address.
    Divert(SocketAddr),
    /// It does not go on; the caller's connection (in HTTP/2 its stream) ends without an
    /// answer. Before a response: the endpoint's connection is not used again.
    Cut(Manner),
    /// The request goes on, and once it is sent the caller's connection ends. The response is
    /// awaited and thrown away, so that the service is not disturbed.
    CutAfterRequest(Manner),
    /// The response goes on, with a [`Body`](super::Body) that ends too early: after so many
    /// bytes.
    CutMidResponse(Manner, u64),
    /// The caller's deadline has come while it was held.
    TooLate,
}

impl Instrument {
    /// Whether, when and where a request goes. Waits for as long as it is held, delayed or
    /// stalled; dropped meanwhile, it counts as gone. `deadline` is the caller's.
    pub async fn before_request(
        &self,
        request: &Request<'_>,
        deadline: Option<Instant>,
    ) -> Decision {
        if self.is_off() {
            return Decision::Pass;
        }
        // In a box, so that the future of a request that just passes stays small.
        Box::pin(self.send(request, deadline)).await
    }

    /// Whether and when a response goes back. As [`before_request`](Self::before_request).
    pub async fn before_response(
        &self,
        request: &Request<'_>,
        response: &Response,
        deadline: Option<Instant>,
    ) -> Decision {
        if self.is_off() {
            return Decision::Pass;
        }
        Box::pin(self.answer(request, response, deadline)).await
    }

    async fn send(&self, request: &Request<'_>, deadline: Option<Instant>) -> Decision {
        let message = Message {
            direction: Direction::Request,
            kind: HTTP_REQUEST,
            role: Role::Request,
            text: request.text(),
            asked: Text::EMPTY,
        };
        let decision = self.decide(&message, request, request.bytes, deadline).await;
        match self.destination() {
            Some(other) if decision == Decision::Pass => {
                raise(&self.tally.diverted);
                self.tell(request.connection, What::Diverted, Some(&message));
                Decision::Divert(other)
            }
            _ => decision,
        }
    }

    async fn answer(
        &self,
        request: &Request<'_>,
        response: &Response,
        deadline: Option<Instant>,
    ) -> Decision {
        let message = Message {
            direction: Direction::Response,
            kind: HTTP_RESPONSE,
            role: Role::Reply,
            text: Text::of(response.status.to_string().as_bytes()),
            asked: request.text(),
        };
        self.decide(&message, request, response.bytes, deadline).await
    }

    async fn decide(
        &self,
        message: &Message,
        request: &Request<'_>,
        bytes: Option<u64>,
        deadline: Option<Instant>,
    ) -> Decision {
        let arrived = Instant::now();
        let active = self.active();
        let verdict = active.judge(message, request.connection);
        let subject = Subject { message, connection: request.connection, since: request.since };
        let waited = self.suspend(verdict, &subject, active.generation, arrived, deadline).await;
        let decision = match (waited, verdict) {
            (Waited::Cut(manner), _) | (Waited::Go, Verdict::Cut(manner)) => Decision::Cut(manner),
            (Waited::TooLate, _) => Decision::TooLate,
            (Waited::Go, Verdict::CutAfterRequest(manner)) => Decision::CutAfterRequest(manner),
            (Waited::Go, Verdict::CutMidResponse(manner, after)) => {
                Decision::CutMidResponse(manner, after)
            }
            (Waited::Go, _) => Decision::Pass,
        };
        match decision {
            Decision::Cut(_) => self.cut(&subject),
            Decision::TooLate => {}
            Decision::CutAfterRequest(_) | Decision::CutMidResponse(..) => {
                self.cut(&subject);
                self.head_passed(&subject, bytes, arrived);
            }
            Decision::Pass | Decision::Divert(_) => self.head_passed(&subject, bytes, arrived),
        }
        decision
    }

    /// The bytes of its body are counted as they flow, by [`Body`](super::Body).
    fn head_passed(&self, subject: &Subject<'_>, bytes: Option<u64>, since: Instant) {
        self.tally.passed(subject.message, 0);
        let what = What::Passed { bytes: bytes.unwrap_or(0), since };
        self.tell(subject.connection, what, Some(subject.message));
    }

    pub(super) fn cut(&self, subject: &Subject<'_>) {
        raise(&self.tally.cut);
        self.tell(subject.connection, What::Cut, Some(subject.message));
    }

    /// Waits as a verdict says. `arrived` is when the message was there, and so when its
    /// delay begins.
    pub(super) async fn suspend(
        &self,
        verdict: Verdict,
        subject: &Subject<'_>,
        generation: u64,
        arrived: Instant,
        deadline: Option<Instant>,
    ) -> Waited {
        match verdict {
            Verdict::Hold(patience) => self.hold(subject, generation, patience, deadline).await,
            Verdict::Stall => {
                raise(&self.tally.stalled);
                self.tell(subject.connection, What::Stalled, Some(subject.message));
                self.until_changed(generation, subject.since).await
            }
            Verdict::Delay(by) => {
                raise(&self.tally.delayed);
                self.tell(subject.connection, What::Delayed, Some(subject.message));
                let severed = self.severed(subject.since);
                match arrived.checked_add(by) {
                    Some(due) => {
                        tokio::time::timeout_at(due, severed).await.map_or(Waited::Go, Waited::Cut)
                    }
                    None => Waited::Cut(severed.await),
                }
            }
            Verdict::Pass
            | Verdict::Cut(_)
            | Verdict::CutAfterRequest(_)
            | Verdict::CutMidResponse(..) => self.standing(subject.since),
        }
    }
}

impl Request<'_> {
    fn text(&self) -> Text {
        let mut text = Text::of(self.method.as_bytes());
        text.push(b" ");
        text.push(self.path.as_bytes());
        text
    }
}

#[cfg(test)]
#[path = "exchange_tests.rs"]
mod tests;
