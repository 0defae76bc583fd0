//! What is closed when all work has ended: connections to attachments, above all. In the
//! reverse order of opening, since what was opened later may need what was there before.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::{Instant, timeout};

use super::BoxFuture;

/// Everything that was given to `Context::at_close`.
#[derive(Default)]
pub(super) struct Closers(Mutex<Vec<(&'static str, BoxFuture<()>)>>);

impl std::fmt::Debug for Closers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Closers").finish_non_exhaustive()
    }
}

impl Closers {
    pub(super) fn add(&self, name: &'static str, close: BoxFuture<()>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((name, close));
    }

    /// Closes all of it on `runtime`, within `budget`. Gives the names of what was not closed.
    pub(super) async fn close(&self, runtime: &Handle, budget: Duration) -> Vec<&'static str> {
        let closers = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        let deadline = Instant::now() + budget;
        let mut open = Vec::new();
        let mut left = u32::try_from(closers.len()).unwrap_or(u32::MAX);
        for (name, close) in closers.into_iter().rev() {
            let mut closing = runtime.spawn(close);
            // What hangs must leave its share to those that come after it.
            let share = deadline.saturating_duration_since(Instant::now()) / left.max(1);
            left = left.saturating_sub(1);
            match timeout(share, &mut closing).await {
                Ok(Ok(())) => {}
                // The panic was logged by the hook.
                Ok(Err(_panic)) => open.push(name),
                Err(_elapsed) => {
                    closing.abort();
                    open.push(name);
                }
            }
        }
        open
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_last_to_come_goes_first_and_what_hangs_is_named() {
        let closers = Closers::default();
        let order = Arc::new(Mutex::new(Vec::new()));
        let noting = |name: &'static str| {
            let order = Arc::clone(&order);
            Box::pin(async move { order.lock().unwrap().push(name) })
        };
        closers.add("db", noting("db"));
        closers.add("hangs", Box::pin(std::future::pending()));
        closers.add("panics", Box::pin(async { panic!("on purpose") }));
        closers.add("cache", noting("cache"));
        let budget = Duration::from_secs(1);
        let open = closers.close(&Handle::current(), budget).await;
        assert_eq!(open, ["panics", "hangs"]);
        assert_eq!(*order.lock().unwrap(), ["cache", "db"]);
    }
}
