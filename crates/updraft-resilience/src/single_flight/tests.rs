//! One run for all callers, whatever happens to any of them.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Wake, Waker};

use proptest::prelude::*;

use super::*;

type Flights = SingleFlight<&'static str, usize>;
type Caller = Pin<Box<dyn Future<Output = usize> + Send>>;

/// What a run waits for, turned step by step by the test.
#[derive(Default)]
struct Steps {
    taken: AtomicUsize,
    waker: Mutex<Option<Waker>>,
    runs: AtomicUsize,
    alive: AtomicUsize,
}

impl Steps {
    fn step(&self) {
        self.taken.fetch_add(1, Ordering::SeqCst);
        let waker = self.waker.lock().unwrap().take();
        waker.into_iter().for_each(Waker::wake);
    }

    fn caller(self: &Arc<Self>, flights: &Flights, needed: usize) -> Caller {
        let steps = Arc::clone(self);
        let make = move || {
            steps.runs.fetch_add(1, Ordering::SeqCst);
            steps.alive.fetch_add(1, Ordering::SeqCst);
            Walk { steps: Arc::clone(&steps), needed }
        };
        Box::pin(flights.run("key", make))
    }
}

/// Ready after so many steps.
struct Walk {
    steps: Arc<Steps>,
    needed: usize,
}

impl Future for Walk {
    type Output = usize;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<usize> {
        *self.steps.waker.lock().unwrap() = Some(cx.waker().clone());
        let taken = self.steps.taken.load(Ordering::SeqCst);
        if taken >= self.needed { Poll::Ready(taken) } else { Poll::Pending }
    }
}

impl Drop for Walk {
    fn drop(&mut self) {
        self.steps.alive.fetch_sub(1, Ordering::SeqCst);
    }
}

#[derive(Default)]
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

fn poll(caller: &mut Caller, flag: &Arc<Flag>) -> Poll<usize> {
    flag.0.store(false, Ordering::SeqCst);
    caller.as_mut().poll(&mut Context::from_waker(&Waker::from(Arc::clone(flag))))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_callers_share_one_run() {
    let flights = SingleFlight::new();
    let runs = Arc::new(AtomicUsize::new(0));
    let (open, gate) = tokio::sync::oneshot::channel::<()>();
    let gate = Arc::new(Mutex::new(Some(gate)));
    let callers: Vec<_> = (0..100)
        .map(|_| {
            let (runs, gate) = (Arc::clone(&runs), Arc::clone(&gate));
            let run = flights.run(7, move || async move {
                let gate = gate.lock().unwrap().take().unwrap();
                gate.await.unwrap();
                for _ in 0..10 {
                    tokio::task::yield_now().await;
                }
                runs.fetch_add(1, Ordering::SeqCst) + 41
            });
            let mut run = Box::pin(run);
            assert!(run.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
            tokio::spawn(run)
        })
        .collect();
    assert_eq!(flights.len(), 1);
    open.send(()).unwrap();
    for caller in callers {
        assert_eq!(caller.await.unwrap(), 41);
    }
    assert_eq!(runs.load(Ordering::SeqCst), 1);
    assert!(flights.is_empty());
    assert_eq!(flights.run(7, || async { 5 }).await, 5, "nothing is kept");
}

/// Callers on two threads join, give up and finish at the same time; a wake that is lost is a
/// test that hangs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_on_several_threads_all_get_a_value() {
    let flights = SingleFlight::new();
    let tasks: Vec<_> = (0..8_u64)
        .map(|seed| {
            let flights = flights.clone();
            tokio::spawn(async move {
                let mut random = fastrand::Rng::with_seed(seed);
                for _ in 0..2_000 {
                    let (key, yields) = (random.u8(..2), random.u8(..4));
                    let mut run = Box::pin(flights.run(key, move || async move {
                        for _ in 0..yields {
                            tokio::task::yield_now().await;
                        }
                        key
                    }));
                    if random.bool() {
                        assert_eq!(run.await, key);
                    } else {
                        let looked = run.as_mut().poll(&mut Context::from_waker(Waker::noop()));
                        assert!(looked.is_pending() || looked == Poll::Ready(key));
                        tokio::task::yield_now().await;
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert!(flights.is_empty());
}

#[test]
fn a_leader_dropped_at_any_point_leaves_its_run_to_the_others() {
    const NEEDED: usize = 4;
    for dropped_after in 0..=NEEDED {
        for follower_looks_first in [false, true] {
            let (flights, steps) = (Flights::new(), Arc::new(Steps::default()));
            let mut leader = steps.caller(&flights, NEEDED);
            let mut follower = steps.caller(&flights, NEEDED);
            let (first, second) = (Arc::default(), Arc::default());
            assert!(poll(&mut leader, &first).is_pending());
            if follower_looks_first {
                assert!(poll(&mut follower, &second).is_pending());
            }
            for _ in 0..dropped_after {
                if steps.taken.load(Ordering::SeqCst) + 1 < NEEDED {
                    steps.step();
                    assert!(poll(&mut leader, &first).is_pending());
                }
            }
            drop(leader);
            // The leader took the only reference to the run where nobody had joined.
            let runs = if follower_looks_first { 1 } else { 2 };
            let mut outcome =
                if follower_looks_first { Poll::Pending } else { poll(&mut follower, &second) };
            while outcome.is_pending() {
                steps.step();
                assert!(second.0.load(Ordering::SeqCst), "the follower is not told");
                outcome = poll(&mut follower, &second);
            }
            assert_eq!(outcome, Poll::Ready(NEEDED));
            assert_eq!(steps.runs.load(Ordering::SeqCst), runs);
            assert!(flights.is_empty());
            assert_eq!(steps.alive.load(Ordering::SeqCst), 0);
        }
    }
}

#[test]
fn a_leader_that_is_kept_and_never_polled_holds_nobody_up() {
    let (flights, steps) = (Flights::new(), Arc::new(Steps::default()));
    let (mut leader, mut follower) = (steps.caller(&flights, 2), steps.caller(&flights, 2));
    let (first, second) = (Arc::default(), Arc::default());
    assert!(poll(&mut leader, &first).is_pending());
    assert!(poll(&mut follower, &second).is_pending());
    steps.step();
    assert!(poll(&mut follower, &second).is_pending());
    steps.step();
    assert_eq!(poll(&mut follower, &second), Poll::Ready(2));
    assert!(first.0.load(Ordering::SeqCst));
    assert_eq!(poll(&mut leader, &first), Poll::Ready(2), "it has the value all the same");
    assert!(poll(&mut leader, &first).is_pending(), "once");
}

#[test]
fn a_run_that_wakes_itself_while_it_is_polled_is_polled_again() {
    let flights = Flights::new();
    let mut yielded = false;
    let yields = move |cx: &mut Context<'_>| {
        cx.waker().wake_by_ref();
        if std::mem::replace(&mut yielded, true) { Poll::Ready(7) } else { Poll::Pending }
    };
    let mut leader: Caller = Box::pin(flights.run("key", move || std::future::poll_fn(yields)));
    let mut follower = Arc::new(Steps::default()).caller(&flights, 9);
    let (first, second) = (Arc::default(), Arc::default());
    assert!(poll(&mut leader, &first).is_pending());
    assert!(first.0.load(Ordering::SeqCst), "it is told to come back");
    // Or somebody else comes.
    assert_eq!(poll(&mut follower, &second), Poll::Ready(7));
    assert_eq!(poll(&mut leader, &first), Poll::Ready(7));
}

#[test]
fn a_run_without_callers_ends() {
    let (flights, steps) = (Flights::new(), Arc::new(Steps::default()));
    let mut callers: Vec<Caller> = (0..3).map(|_| steps.caller(&flights, 9)).collect();
    for caller in &mut callers {
        assert!(poll(caller, &Arc::default()).is_pending());
    }
    assert_eq!((flights.len(), steps.alive.load(Ordering::SeqCst)), (1, 1));
    callers.clear();
    assert_eq!((flights.len(), steps.alive.load(Ordering::SeqCst)), (0, 0));
}

#[test]
fn beyond_the_cap_callers_run_on_their_own() {
    let flights = SingleFlight::with_max_keys(1);
    let steps = Arc::new(Steps::default());
    let mut shared = steps.caller(&flights, 1);
    assert!(poll(&mut shared, &Arc::default()).is_pending());
    let runs = AtomicUsize::new(0);
    for _ in 0..2 {
        let mut alone = pin!(flights.run("other", || {
            runs.fetch_add(1, Ordering::SeqCst);
            async { 3 }
        }));
        let polled = alone.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert_eq!(polled, Poll::Ready(3));
    }
    assert_eq!((runs.load(Ordering::SeqCst), flights.len()), (2, 1));

    let nothing_shared = Flights::with_max_keys(0);
    let mut dropped = steps.caller(&nothing_shared, 9);
    assert!(poll(&mut dropped, &Arc::default()).is_pending());
    drop(dropped);
    drop(shared);
    assert_eq!(steps.alive.load(Ordering::SeqCst), 0, "also a run of one's own ends");
}

/// A future that panics once it has been woken.
fn bomb(steps: &Arc<Steps>, flights: &Flights) -> Caller {
    let steps = Arc::clone(steps);
    Box::pin(flights.run("key", move || async move {
        steps.runs.fetch_add(1, Ordering::SeqCst);
        steps.alive.fetch_add(1, Ordering::SeqCst);
        Walk { steps, needed: 1 }.await;
        panic!("the leader's")
    }))
}

fn panics(caller: &mut Caller) -> bool {
    let polled = catch_unwind(AssertUnwindSafe(|| poll(caller, &Arc::default())));
    polled.is_err_and(|panic| panic.downcast_ref::<&str>() == Some(&"the leader's"))
}

#[test]
fn a_panic_reaches_its_maker_and_the_others_start_anew() {
    for leader_drives in [true, false] {
        let (flights, steps) = (Flights::new(), Arc::new(Steps::default()));
        let mut leader = bomb(&steps, &flights);
        let mut followers = [steps.caller(&flights, 2), steps.caller(&flights, 2)];
        let flags: [Arc<Flag>; 2] = Default::default();
        assert!(poll(&mut leader, &Arc::default()).is_pending());
        for (follower, flag) in followers.iter_mut().zip(&flags) {
            assert!(poll(follower, flag).is_pending());
        }
        steps.step();
        if leader_drives {
            assert!(panics(&mut leader));
        }
        for (follower, flag) in followers.iter_mut().zip(&flags) {
            assert!(flag.0.load(Ordering::SeqCst));
            assert!(poll(follower, flag).is_pending(), "the run of a follower is new");
        }
        if !leader_drives {
            assert!(panics(&mut leader), "it comes back for its panic");
        }
        assert!(poll(&mut leader, &Arc::default()).is_pending(), "a spent caller stays so");
        steps.step();
        for (follower, flag) in followers.iter_mut().zip(&flags) {
            assert!(flag.0.load(Ordering::SeqCst));
            assert_eq!(poll(follower, flag), Poll::Ready(2));
        }
        assert_eq!(steps.runs.load(Ordering::SeqCst), 2, "one of the leader, one of all others");
        assert!(flights.is_empty());
        assert_eq!(steps.alive.load(Ordering::SeqCst), 0);
    }
}

#[test]
fn a_panic_of_make_poisons_nothing() {
    let flights = Flights::new();
    let mut caller: Caller =
        Box::pin(flights.run("key", || -> std::future::Ready<usize> { panic!("the leader's") }));
    assert!(panics(&mut caller));
    assert!(flights.is_empty());
    let steps = Arc::new(Steps::default());
    assert_eq!(poll(&mut steps.caller(&flights, 0), &Arc::default()), Poll::Ready(0));
}

#[derive(Clone, Debug)]
enum Op {
    Join,
    Poll(prop::sample::Index),
    Drop(prop::sample::Index),
    /// Kept, but not polled any more.
    Freeze(prop::sample::Index),
    Step,
}

fn any_op() -> impl Strategy<Value = Op> {
    prop_oneof![
        3 => Just(Op::Join),
        6 => any::<prop::sample::Index>().prop_map(Op::Poll),
        1 => any::<prop::sample::Index>().prop_map(Op::Drop),
        1 => any::<prop::sample::Index>().prop_map(Op::Freeze),
        2 => Just(Op::Step),
    ]
}

/// Callers as an executor sees them: polled only once they have been woken.
#[derive(Default)]
struct Executor {
    live: BTreeMap<usize, (Caller, Arc<Flag>)>,
    frozen: Vec<Caller>,
    joined: usize,
}

impl Executor {
    fn pick(&self, index: prop::sample::Index) -> Option<usize> {
        let ids: Vec<usize> = self.live.keys().copied().collect();
        (!ids.is_empty()).then(|| ids[index.index(ids.len())])
    }

    fn poll(&mut self, id: usize) {
        let (caller, flag) = self.live.get_mut(&id).unwrap();
        if flag.0.load(Ordering::SeqCst) && poll(caller, flag).is_ready() {
            self.live.remove(&id);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn every_caller_that_is_polled_when_woken_gets_a_value(
        needed in 0_usize..4,
        ops in prop::collection::vec(any_op(), 1..40),
    ) {
        let (flights, steps) = (Flights::new(), Arc::new(Steps::default()));
        let mut executor = Executor::default();
        for op in ops {
            match op {
                Op::Join => {
                    // Steps count from the start, so each caller asks for some more of them.
                    let needed = steps.taken.load(Ordering::SeqCst) + needed;
                    let flag = Arc::new(Flag(AtomicBool::new(true)));
                    let caller = steps.caller(&flights, needed);
                    executor.live.insert(executor.joined, (caller, flag));
                    executor.joined += 1;
                }
                Op::Poll(index) => {
                    if let Some(id) = executor.pick(index) {
                        executor.poll(id);
                    }
                }
                Op::Drop(index) => {
                    if let Some(id) = executor.pick(index) {
                        executor.live.remove(&id);
                    }
                }
                Op::Freeze(index) => {
                    if let Some(id) = executor.pick(index) {
                        let (caller, _) = executor.live.remove(&id).unwrap();
                        executor.frozen.push(caller);
                    }
                }
                Op::Step => steps.step(),
            }
            prop_assert!(steps.alive.load(Ordering::SeqCst) <= 1, "one run at a time");
        }
        for _ in 0..10 {
            for id in executor.live.keys().copied().collect::<Vec<_>>() {
                executor.poll(id);
            }
            steps.step();
        }
        prop_assert!(executor.live.is_empty(), "somebody was not told");
        drop(executor);
        prop_assert_eq!((flights.len(), steps.alive.load(Ordering::SeqCst)), (0, 0));
    }
}
