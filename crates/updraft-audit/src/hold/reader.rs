//! A request whose answer is larger than what the kernel takes at a time, and that nobody reads:
//! the program still has the rest of it.

use super::{Bench, Gate, Held, LOOK_EVERY, Running, TAKEN, UNDISTURBED, Way, reading};
use crate::lab::client::{Connection, Request};

/// Smaller answers are in the kernel's buffers at once.
const ANSWER_BYTES_MIN: usize = 64 * 1024;

pub(super) async fn hold(bench: &Bench, running: &Running) -> Result<Held, String> {
    for request in reading(&bench.subject) {
        let sent = request.send(running.address(), bench.limit(UNDISTURBED)).await;
        let Ok(answer) = sent else { continue };
        if !answer.is_success() || answer.body.len() < ANSWER_BYTES_MIN {
            continue;
        }
        if let Some(connection) = attempt(bench, running, &request, answer.body.len()).await {
            let held = Held::one(Way::Unread, &request, connection, Gate::Unread);
            return Ok(Held { undisturbed: Some(answer.status), ..held });
        }
    }
    Err("no answer is larger than what the kernel takes".to_owned())
}

/// The program has the rest when what has left it is less than the whole, and no longer grows.
async fn attempt(
    bench: &Bench,
    running: &Running,
    request: &Request,
    whole: usize,
) -> Option<Connection> {
    let mut connection = Connection::open_narrow(running.address()).await.ok()?;
    connection.send(request, false).await.ok()?;
    let mut before = None;
    let until = tokio::time::Instant::now() + bench.limit(TAKEN);
    while tokio::time::Instant::now() < until {
        let unsent = usize::try_from(running.unsent(&connection)?).unwrap_or(usize::MAX);
        let left = connection.arrived().await.saturating_add(unsent);
        if left > 0 && before == Some(left) {
            return (left < whole).then_some(connection);
        }
        before = Some(left);
        tokio::time::sleep(LOOK_EVERY * 10).await;
    }
    None
}
