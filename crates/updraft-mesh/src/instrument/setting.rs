//! What an instrument can be told to do.

use std::net::SocketAddr;
use std::time::Duration;

use updraft_system::mesh::Share;

use super::{ConnectionId, Direction, Message, Role, TEXT_MAX, Text};

/// What an instrument does with the messages of its edge.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Setting {
    /// Nothing.
    #[default]
    Pass,
    /// Messages wait in front of their receiver, and all behind them on the same connection
    /// and in the same direction, until [`release`](super::Instrument::release).
    Hold {
        /// Which way they go.
        on: Direction,
        /// Which.
        target: Target,
        /// How long they wait at most.
        patience: Patience,
    },
    /// Connections end.
    Cut {
        /// At which moment.
        when: When,
        /// At which messages; without meaning for [`When::Now`].
        target: Target,
        /// What the caller sees.
        manner: Manner,
    },
    /// No byte passes, and connections stay open, until there is another setting.
    ///
    /// A target that is [whole](Target::is_whole) stalls at once, in the middle of a message
    /// too, as a cable that is pulled. Any other stalls a connection of a stream from the
    /// message on that matches, or the one exchange of HTTP.
    Stall {
        /// Which way; `None`: both.
        on: Option<Direction>,
        /// From which messages on.
        target: Target,
    },
    /// Messages come later, in their order. Those that arrived together wait together.
    Delay {
        /// Which way; `None`: both, so that a round trip takes it twice.
        on: Option<Direction>,
        /// Which.
        target: Target,
        /// How much.
        by: Duration,
        /// Up to how much more, evenly spread.
        jitter: Duration,
        /// Of how many of them.
        share: Share,
        /// Where the random numbers start: the n-th message that matches meets the same fate
        /// each time.
        seed: u64,
    },
    /// New connections and requests go to another address.
    Swap {
        /// Which.
        to: SocketAddr,
        /// What becomes of connections that there are.
        existing: Existing,
    },
}

/// At which moment a connection is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// At once, whatever is under way, and what is held is cut too.
    Now {
        /// Whether new connections and requests are cut as well, until there is another
        /// setting; otherwise they pass.
        refuse: bool,
    },
    /// When a request has come, and before the service or resource gets any of it.
    BeforeRequest,
    /// When the service or resource has got all of the request and has time to work on it,
    /// while the caller hears no more. In PostgreSQL that is after the `Sync` or `Flush`
    /// that follows an `Execute`.
    AfterRequest,
    /// When the reply has come, and before the caller gets any of it.
    BeforeResponse,
    /// In the middle of the reply. The caller never gets its last byte.
    MidResponse {
        /// After so many of its bytes, of the body in HTTP.
        after: u64,
    },
}

/// What the caller sees of a cut, as far as its connection can show it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Manner {
    /// The end of the stream (FIN).
    #[default]
    Close,
    /// A reset (RST).
    Reset,
}

/// How long a message is held at most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Patience {
    /// Until it is released.
    #[default]
    UntilReleased,
    /// As long as the caller waits, where the caller's deadline is known; else until it is
    /// released.
    CallersDeadline,
    /// So long, then it passes.
    For(Duration),
}

/// What becomes of connections when an address is swapped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Existing {
    /// They go on as they are until they end.
    #[default]
    Finish,
    /// They are cut at once.
    Cut,
}

/// Which messages a setting is for. Without more said: each request, each reply.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Target {
    matching: Option<Filter>,
    skip: u64,
    count: Option<u64>,
}

impl Target {
    /// Each request and each reply.
    #[must_use]
    pub const fn whole() -> Self {
        Self { matching: None, skip: 0, count: None }
    }

    /// Only those that match.
    #[must_use]
    pub const fn matching(filter: Filter) -> Self {
        Self { matching: Some(filter), skip: 0, count: None }
    }

    /// Not the first `skip` of them.
    #[must_use]
    pub fn after(self, skip: u64) -> Self {
        Self { skip, ..self }
    }

    /// So many at most.
    #[must_use]
    pub fn at_most(self, count: u64) -> Self {
        Self { count: Some(count), ..self }
    }

    /// Whether it leaves nothing out.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        self.matching.is_none() && self.skip == 0 && self.count.is_none()
    }

    /// Whether the message is of the kind that is meant, before any counting.
    pub(super) fn fits(&self, message: &Message, connection: ConnectionId) -> bool {
        let main = matches!(message.role, Role::Request | Role::Reply);
        self.matching.as_ref().map_or(main, |filter| filter.fits(message, connection))
    }

    /// Whether the one that is number `number` of those that fit, from 0, is meant.
    pub(super) fn takes(&self, number: u64) -> bool {
        number >= self.skip && self.count.is_none_or(|count| number - self.skip < count)
    }
}

/// A condition on messages: those that fit everything that is said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    asking: Vec<Text>,
    saying: Vec<Text>,
    kind: Option<&'static str>,
    connection: Option<ConnectionId>,
}

/// The prefix is longer than what is looked at of a message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` has more than the {TEXT_MAX} bytes that are looked at")]
pub struct TooLong(pub String);

impl Filter {
    /// Requests that begin with `prefix`, and the replies to them: an SQL statement, a Redis
    /// command with arguments, a method and a path. Capital and small letters are alike, and
    /// so is all white space.
    ///
    /// # Errors
    ///
    /// A prefix of more than [`TEXT_MAX`] bytes.
    pub fn asking(prefix: &str) -> Result<Self, TooLong> {
        Self::default().or_asking(prefix)
    }

    /// Or those that begin with `prefix`.
    ///
    /// # Errors
    ///
    /// A prefix of more than [`TEXT_MAX`] bytes.
    pub fn or_asking(mut self, prefix: &str) -> Result<Self, TooLong> {
        self.asking.push(bounded(prefix)?);
        Ok(self)
    }

    /// Messages of an answer whose own [text](Message::text) begins with `prefix`, wherever
    /// in the answer they stand.
    ///
    /// # Errors
    ///
    /// A prefix of more than [`TEXT_MAX`] bytes.
    pub fn saying(prefix: &str) -> Result<Self, TooLong> {
        Ok(Self { saying: vec![bounded(prefix)?], ..Self::default() })
    }

    /// What ends a transaction of PostgreSQL for good: `COMMIT` and `END`.
    #[must_use]
    pub fn commit() -> Self {
        Self { asking: vec![Text::of(b"COMMIT"), Text::of(b"END")], ..Self::default() }
    }

    /// Messages of this [kind](Message::kind), whatever their role.
    #[must_use]
    pub fn of_kind(self, kind: &'static str) -> Self {
        Self { kind: Some(kind), ..self }
    }

    /// Messages of this connection.
    #[must_use]
    pub fn on_connection(self, connection: ConnectionId) -> Self {
        Self { connection: Some(connection), ..self }
    }

    fn fits(&self, message: &Message, connection: ConnectionId) -> bool {
        let main = matches!(message.role, Role::Request | Role::Reply);
        let any_role = self.kind.is_some() || !self.saying.is_empty();
        let begins = |text: &Text, with: &[Text]| {
            with.is_empty() || with.iter().any(|prefix| text.starts_with(prefix))
        };
        let (asked, said) = match message.direction {
            Direction::Request => (&message.text, &Text::EMPTY),
            Direction::Response => (&message.asked, &message.text),
        };
        (main || any_role)
            && begins(asked, &self.asking)
            && begins(said, &self.saying)
            && self.kind.is_none_or(|kind| kind == message.kind)
            && self.connection.is_none_or(|own| own == connection)
    }
}

fn bounded(prefix: &str) -> Result<Text, TooLong> {
    if prefix.len() > TEXT_MAX {
        return Err(TooLong(prefix.to_owned()));
    }
    Ok(Text::of(prefix.as_bytes()))
}
