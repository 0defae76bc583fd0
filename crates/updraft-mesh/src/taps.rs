//! Listening to the live requests of some edges at once.

use std::task::Poll;

use updraft_system::Name;
use updraft_system::mesh::{Share, Tapped};

use crate::edge::Edge;
use crate::observe::TapSubscription;

/// Live requests, until it is dropped.
#[derive(Debug)]
pub struct Taps(Vec<TapSubscription>);

/// Nobody can be listened to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TapError {
    /// No edge is chosen.
    #[error("no edge is between these two")]
    NoEdge,
    /// As many as may listen do so already.
    #[error("too many taps listen to {0} already: end one of them")]
    TooMany(String),
}

impl Taps {
    /// Of the edges between these ends; `None`: whatever is there.
    pub(crate) fn open<'a>(
        edges: impl Iterator<Item = &'a std::sync::Arc<Edge>>,
        from: Option<&Name>,
        to: Option<&Name>,
        share: Share,
    ) -> Result<Self, TapError> {
        let chosen = edges.filter(|edge| {
            from.is_none_or(|from| *from == edge.caller) && to.is_none_or(|to| *to == edge.key.to)
        });
        let subscribe = |edge: &std::sync::Arc<Edge>| {
            let subscribed = edge.metrics.tap().subscribe(share);
            subscribed.ok().ok_or_else(|| TapError::TooMany(edge.key.to_string()))
        };
        let taps: Vec<_> = chosen.map(subscribe).collect::<Result<_, _>>()?;
        if taps.is_empty() { Err(TapError::NoEdge) } else { Ok(Self(taps)) }
    }

    /// The next request that has ended; `None`: there will be none any more.
    pub async fn next(&mut self) -> Option<Tapped> {
        std::future::poll_fn(|cx| {
            let mut open = false;
            for tap in &mut self.0 {
                match tap.poll_next(cx) {
                    Poll::Ready(Some(tapped)) => return Poll::Ready(Some(tapped)),
                    Poll::Ready(None) => {}
                    Poll::Pending => open = true,
                }
            }
            if open { Poll::Pending } else { Poll::Ready(None) }
        })
        .await
    }
}
