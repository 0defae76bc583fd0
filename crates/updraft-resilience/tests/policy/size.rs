//! What a policy adds to the size of a future: every task that calls through it carries that.

use updraft_resilience::ManualClock;
use updraft_resilience::policy::Attempt;

use crate::rig::policy;

/// The bytes that a call has more than the operation and one attempt of it.
fn added<Fut>(operation: impl FnMut(Attempt) -> Fut) -> usize
where
    Fut: Future<Output = Result<u64, u64>>,
{
    let hand = ManualClock::new();
    let policy = policy(&hand).build().unwrap();
    let own = size_of_val(&operation) + size_of::<Fut>();
    size_of_val(&policy.call(operation)) - own
}

#[test]
fn a_call_is_little_larger_than_its_operation() {
    let one_word = added(|_| std::future::ready(Ok(1)));
    let body = [1_u64; 32];
    let many_words = added(move |_| async move {
        tokio::task::yield_now().await;
        Ok(body.iter().sum())
    });
    println!("a call adds {one_word} or {many_words} bytes");
    assert!(one_word.max(many_words) <= 160, "{one_word} or {many_words} bytes");
}
