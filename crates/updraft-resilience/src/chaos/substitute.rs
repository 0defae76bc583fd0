//! Outcomes on purpose: a share of the attempts does not run, and gives what a function makes.
//! Only the caller knows the type of an outcome, so this is put around the operation and is
//! no part of a policy's own faults.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use super::Chaos;

impl Chaos {
    /// An operation that runs as `operation` does, but for a share
    /// [`result_rate`](super::ChaosConfig::result_rate) of its attempts, which give what
    /// `outcome` makes. As "outcome" in Polly.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use updraft_resilience::chaos::{Chaos, ChaosConfig};
    ///
    /// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
    /// let config = ChaosConfig { enabled: true, result_rate: 1.0, ..ChaosConfig::default() };
    /// let chaos = Arc::new(Chaos::new(config)?);
    /// let mut ask = chaos.substitute(async |id: u32| Ok::<_, &str>(id), || Err("made up"));
    /// assert_eq!(ask(7).await, Err("made up"));
    /// chaos.set_enabled(false);
    /// assert_eq!(ask(7).await, Ok(7));
    /// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn substitute<A, Fut: Future>(
        self: &Arc<Self>,
        mut operation: impl FnMut(A) -> Fut,
        mut outcome: impl FnMut() -> Fut::Output,
    ) -> impl FnMut(A) -> Substituted<Fut> {
        let chaos = Arc::clone(self);
        move |argument| match chaos.draws_result() {
            true => Substituted::Made { outcome: Some(outcome()) },
            false => Substituted::Running { future: operation(argument) },
        }
    }
}

pin_project! {
    /// An attempt that runs, or an outcome that was made for it.
    #[project = View]
    #[derive(Debug)]
    #[must_use = "an attempt does nothing until it is awaited"]
    #[expect(missing_docs, reason = "made by `Chaos::substitute`, and awaited")]
    pub enum Substituted<Fut: Future> {
        Made { outcome: Option<Fut::Output> },
        Running { #[pin] future: Fut },
    }
}

impl<Fut: Future> Future for Substituted<Fut> {
    type Output = Fut::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() {
            View::Made { outcome } => outcome.take().map_or(Poll::Pending, Poll::Ready),
            View::Running { future } => future.poll(cx),
        }
    }
}
