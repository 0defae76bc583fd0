//! When a connection counts as quiet, on time that the test moves.

use http_body_util::Full;
use tokio::time::{Instant, timeout};

use super::*;

const IDLE: Duration = Duration::from_secs(60);
const STALL: Duration = Duration::from_secs(300);

fn body(busy: Busy) -> BusyBody {
    busy.with(ResponseBody::own(Full::from("bytes")))
}

#[tokio::test(start_paused = true)]
async fn a_connection_without_requests_is_idle() {
    let (activity, began) = (Activity::default(), Instant::now());
    assert_eq!(activity.quiet(IDLE, STALL).await, Quiet::Idle);
    assert_eq!(began.elapsed().as_secs(), IDLE.as_secs());
}

#[tokio::test(start_paused = true)]
async fn requests_keep_it_and_their_end_begins_the_wait_anew() {
    let activity = Arc::new(Activity::default());
    let busy = Busy::new(&activity);
    let quiet = activity.quiet(IDLE, STALL);
    tokio::pin!(quiet);
    // An answer that has not begun is not the client's doing, however long it takes.
    assert!(timeout(IDLE * 100, &mut quiet).await.is_err());
    drop(busy);
    assert_eq!(activity.requests(), 0);
    let began = Instant::now();
    assert_eq!(quiet.await, Quiet::Idle);
    assert!(began.elapsed() >= IDLE);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_nobody_takes_is_a_stall_and_one_that_goes_on_is_none() {
    let activity = Arc::new(Activity::default());
    let mut body = body(Busy::new(&activity));
    let quiet = activity.quiet(IDLE, STALL);
    tokio::pin!(quiet);
    for _ in 0..10 {
        assert!(timeout(STALL, &mut quiet).await.is_err());
        let poll = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx));
        drop(poll.await);
    }
    let began = Instant::now();
    assert_eq!(quiet.await, Quiet::Stalled);
    assert!(STALL <= began.elapsed() && began.elapsed() <= STALL * 2);
    drop(body);
    assert_eq!(activity.bodies.load(Ordering::Relaxed), 0);
}
