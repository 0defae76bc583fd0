//! What functions may look like: generic, borrowing, methods, of traits, with `mut`.

use std::cell::Cell;
use std::error::Error;
use std::fmt::{Debug, Display};
use std::rc::Rc;

use updraft_resilience::Rejection;
use updraft_resilience::{bulkhead, circuit_breaker, retry, timeout};

use crate::{Failure, Target};

/// Counts its clones.
#[derive(Debug, Default)]
struct Counted {
    clones: Rc<Cell<u32>>,
}

impl Clone for Counted {
    fn clone(&self) -> Self {
        self.clones.set(self.clones.get() + 1);
        Self { clones: Rc::clone(&self.clones) }
    }
}

#[retry(attempts = 3, wait = constant("1ms"))]
async fn clones(target: &Target, value: Counted) -> Result<u32, Failure> {
    drop(value);
    target.ask()
}

#[circuit_breaker(failure_threshold = 3)]
async fn moves(target: &Target, value: Counted) -> Result<u32, Failure> {
    drop(value);
    target.ask()
}

#[tokio::test(start_paused = true)]
async fn arguments_are_cloned_for_attempts_and_moved_where_there_is_one() {
    let counted = Counted::default();
    let count = Rc::clone(&counted.clones);
    clones(&Target::well_after(2), counted).await.unwrap();
    assert_eq!(count.get(), 3);

    let counted = Counted::default();
    let count = Rc::clone(&counted.clones);
    moves(&Target::well_after(0), counted).await.unwrap();
    assert_eq!(count.get(), 0);
}

/// Neither clone nor copy.
struct Only(u32);

#[timeout("1s")]
async fn takes_only(only: Only, _: Only, _unused: Only) -> Result<u32, Failure> {
    Ok(only.0)
}

#[bulkhead(max = 4)]
fn takes_only_blocking(only: Only, mut more: Vec<Only>) -> Result<Vec<Only>, Failure> {
    more.push(only);
    Ok(more)
}

#[tokio::test(start_paused = true)]
async fn one_attempt_needs_no_clone() {
    assert_eq!(takes_only(Only(7), Only(8), Only(9)).await, Ok(7));
    assert_eq!(takes_only_blocking(Only(7), vec![Only(1)]).unwrap().len(), 2);
}

#[retry(wait = constant("1ms"))]
async fn generic<'a, T, const N: usize>(
    target: &Target,
    values: [T; N],
    word: &'a str,
    shown: impl Display + Clone,
) -> Result<(T, &'a str, String), Failure>
where
    T: Clone + PartialOrd,
{
    target.ask()?;
    let most = values.into_iter().reduce(|a, b| if a > b { a } else { b });
    most.map(|most| (most, word, shown.to_string())).ok_or(Failure::Target(99))
}

#[timeout("1s")]
fn shows(word: &str) -> Result<impl Display + Debug, Failure> {
    if word.is_empty() {
        return Err(Failure::Target(0));
    }
    Ok(word.len())
}

#[circuit_breaker(failure_threshold = 2)]
async fn shows_later(word: String) -> Result<impl Display, Failure> {
    if word.is_empty() {
        return Err(Failure::Target(0));
    }
    Ok(word.len())
}

#[tokio::test(start_paused = true)]
async fn generic_functions_stay_generic_and_share_one_policy() {
    let target = Target::well_after(1);
    let word = "word".to_owned();
    assert_eq!(generic(&target, [1, 3, 2], &word, 4).await, Ok((3, &*word, "4".to_owned())));
    let target = Target::well_after(1);
    assert_eq!(generic(&target, ['a'], "", 'x').await, Ok(('a', "", "x".to_owned())));
    let name = concat!(module_path!(), "::generic");
    assert_eq!(updraft_resilience::policy::handle(name).unwrap().snapshot().counts.retries, 2);
    assert_eq!(shows("four").unwrap().to_string(), "4");
    assert_eq!(shows_later("four".to_owned()).await.unwrap().to_string(), "4");
    assert!(shows("").is_err());
}

#[retry(attempts = 2, wait = constant("1ms"))]
async fn with_mut(target: &Target, mut log: Vec<u32>, mut word: &str) -> Result<String, Failure> {
    log.push(1);
    word = &word[log.len()..];
    target.ask()?;
    Ok(format!("{log:?} {word}"))
}

#[bulkhead(max = 2)]
async fn with_exclusive(log: &mut Vec<u32>, mut count: u32) -> Result<&mut u32, Failure> {
    count += 1;
    log.push(count);
    log.last_mut().ok_or(Failure::Target(0))
}

#[tokio::test(start_paused = true)]
async fn each_attempt_begins_with_the_arguments_as_they_came() {
    assert_eq!(with_mut(&Target::well_after(1), vec![0], "word").await.unwrap(), "[0, 1] rd");
    let mut log = Vec::new();
    *with_exclusive(&mut log, 1).await.unwrap() += 10;
    assert_eq!(log, [12]);
}

#[derive(Debug)]
struct Client<T> {
    sent: u32,
    name: T,
}

trait Send1 {
    async fn send(&self, to: &Target) -> Result<u32, Failure>;
    fn count(&mut self, to: &Target) -> Result<u32, Failure>;
    #[retry(attempts = 2, wait = constant("1ms"))]
    fn default_body(&self, to: &Target) -> Result<u32, Failure> {
        to.ask()
    }
}

impl<T: Display> Send1 for Client<T> {
    #[retry(attempts = 2, wait = constant("1ms"), name = "signatures send")]
    #[circuit_breaker(failure_threshold = 9)]
    async fn send(&self, to: &Target) -> Result<u32, Failure> {
        to.ask().map(|answer| answer + self.sent)
    }

    #[retry(attempts = 3, wait = constant("1ms"))]
    #[bulkhead(max = 9)]
    fn count(&mut self, to: &Target) -> Result<u32, Failure> {
        self.sent += 1;
        to.ask().map(|_| self.sent)
    }
}

impl<T: Display> Client<T> {
    /// Its documentation stays.
    #[circuit_breaker(failure_threshold = 2)]
    #[must_use = "stays as well"]
    pub(crate) async fn bump(&mut self, by: u32) -> Result<&Self, Failure> {
        if by == 0 {
            return Err(Failure::Target(0));
        }
        self.sent += by;
        Ok(self)
    }

    #[retry]
    fn name(self: &Rc<Self>) -> Result<&T, Failure> {
        Ok(&self.name)
    }
}

#[tokio::test(start_paused = true)]
async fn methods_of_types_and_traits_are_guarded() {
    let mut client = Client { sent: 0, name: "n" };
    assert_eq!(client.send(&Target::well_after(1)).await, Ok(42));
    assert_eq!(client.count(&Target::well_after(2)), Ok(3));
    assert_eq!(client.bump(4).await.unwrap().sent, 7);
    assert_eq!(client.default_body(&Target::well_after(1)), Ok(42));
    assert_eq!(Rc::new(client).name(), Ok(&"n"));
}

type BoxError = Box<dyn Error + Send + Sync>;

#[retry(attempts = 2, wait = constant("1ms"))]
#[timeout("1s")]
async fn any_error(text: &str) -> Result<u32, BoxError> {
    let number: u32 = text.parse()?;
    if number > 9 {
        Err("too large")?;
    }
    Ok(number)
}

#[tokio::test(start_paused = true)]
async fn the_question_mark_converts_as_ever() {
    assert_eq!(any_error("7").await.unwrap(), 7);
    assert!(any_error("x").await.is_err());
    assert_eq!(any_error("10").await.unwrap_err().to_string(), "too large");
}

#[derive(Debug)]
struct Narrow;

impl From<Rejection> for Narrow {
    fn from(_: Rejection) -> Self {
        Self
    }
}

#[retry(wait = constant("1ms"))]
async fn sent(cell: Cell<u32>) -> Result<u32, Narrow> {
    tokio::task::yield_now().await;
    Ok(cell.get())
}

#[timeout("1s")]
#[bulkhead(max = 1)]
async fn sent_once(cell: Cell<u32>) -> Result<u32, Narrow> {
    tokio::task::yield_now().await;
    Ok(cell.get())
}

#[tokio::test]
async fn a_future_can_be_sent_where_its_arguments_can() {
    assert_eq!(tokio::spawn(sent(Cell::new(1))).await.unwrap().unwrap(), 1);
    assert_eq!(tokio::spawn(sent_once(Cell::new(2))).await.unwrap().unwrap(), 2);
}

static POLICY: u32 = 5;

#[timeout("1s")]
async fn sees(policy: u32, options: u32, outcome: u32) -> Result<u32, Failure> {
    Ok(POLICY + policy + options + outcome)
}

#[tokio::test]
async fn the_body_sees_nothing_of_the_expansion() {
    assert_eq!(sees(1, 2, 3).await, Ok(11));
}
