//! The bulkhead against a naive one, by random sequences of everything that may be done to it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Poll, Wake, Waker};

use proptest::prelude::*;

use super::*;

#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[derive(Clone, Debug)]
enum Op {
    TryAcquire,
    Enqueue(Priority),
    Poll(prop::sample::Index),
    Cancel(prop::sample::Index),
    Release,
    SetMax(u32),
    Reconfigure(u32, QueueOrder),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Waits,
    Granted,
    Refused,
}

struct Waiter {
    priority: Priority,
    fate: Fate,
    /// It has been polled and told to wait, and no wake is due yet.
    listens: bool,
    wakes: usize,
}

/// Callers in a plain list, looked through from one end to the other.
struct Naive {
    max: u32,
    in_use: u32,
    room: usize,
    order: QueueOrder,
    waiters: BTreeMap<usize, Waiter>,
    arrivals: usize,
}

impl Naive {
    fn line(&self) -> Vec<usize> {
        let waits = self.waiters.iter().filter(|(_, waiter)| waiter.fate == Fate::Waits);
        let mut line: Vec<usize> = waits.map(|(id, _)| *id).collect();
        if self.order == QueueOrder::Lifo {
            line.reverse();
        }
        // Stable: keeps the order within a priority.
        line.sort_by_key(|id| std::cmp::Reverse(self.waiters[id].priority));
        line
    }

    fn decide(&mut self, id: usize, fate: Fate) {
        let waiter = self.waiters.get_mut(&id).unwrap();
        waiter.fate = fate;
        waiter.wakes += usize::from(std::mem::take(&mut waiter.listens));
    }

    fn hand_over(&mut self) {
        while self.in_use < self.max
            && let Some(next) = self.line().first()
        {
            self.in_use += 1;
            self.decide(*next, Fate::Granted);
        }
    }

    fn enqueue(&mut self, priority: Priority) -> bool {
        let line = self.line();
        let free = line.is_empty() && self.in_use < self.max;
        if !free && line.len() >= self.room {
            let last = line.last().copied();
            match last.filter(|id| self.room > 0 && self.waiters[id].priority < priority) {
                Some(last) => self.decide(last, Fate::Refused),
                None => return false,
            }
        }
        let fate = if free { Fate::Granted } else { Fate::Waits };
        self.in_use += u32::from(free);
        self.waiters.insert(self.arrivals, Waiter { priority, fate, listens: false, wakes: 0 });
        self.arrivals += 1;
        true
    }
}

struct Run {
    real: Bulkhead,
    naive: Naive,
    tickets: BTreeMap<usize, (Ticket, Arc<Wakes>)>,
    places: Vec<Place>,
}

impl Run {
    fn new(config: BulkheadConfig) -> Self {
        let naive = Naive {
            max: config.max,
            in_use: 0,
            room: config.queue as usize,
            order: config.order,
            waiters: BTreeMap::new(),
            arrivals: 0,
        };
        let real = Bulkhead::new(config).unwrap();
        Self { real, naive, tickets: BTreeMap::new(), places: Vec::new() }
    }

    fn pick(&self, index: &prop::sample::Index) -> Option<usize> {
        let ids: Vec<usize> = self.tickets.keys().copied().collect();
        (!ids.is_empty()).then(|| ids[index.index(ids.len())])
    }

    fn poll(&mut self, id: usize) {
        let (ticket, wakes) = self.tickets.get_mut(&id).unwrap();
        let polled = self.real.poll_ticket(ticket, &Waker::from(Arc::clone(wakes)));
        let waiter = self.naive.waiters.get_mut(&id).unwrap();
        match (polled, waiter.fate) {
            (Poll::Pending, Fate::Waits) => {
                waiter.listens = true;
                return;
            }
            (Poll::Ready(Ok(place)), Fate::Granted) => self.places.push(place),
            (Poll::Ready(Err(Full)), Fate::Refused) => {}
            (polled, fate) => panic!("{polled:?} where it should be {fate:?}"),
        }
        let again = self.real.poll_ticket(ticket, Waker::noop());
        assert_eq!(again, Poll::Ready(Err(Full)), "a ticket gives its place once");
        // Cancelled after it was ready, as a drop guard does, it changes nothing.
        let (ticket, _) = self.tickets.remove(&id).unwrap();
        self.real.cancel(ticket);
        self.naive.waiters.remove(&id);
    }

    fn apply(&mut self, op: Op) {
        match op {
            Op::TryAcquire => {
                let free = self.naive.line().is_empty() && self.naive.in_use < self.naive.max;
                self.naive.in_use += u32::from(free);
                match self.real.try_acquire() {
                    Ok(place) if free => self.places.push(place),
                    Err(Full) if !free => {}
                    other => panic!("{other:?}, free: {free}"),
                }
            }
            Op::Enqueue(priority) => {
                let id = self.naive.arrivals;
                let ticket = self.real.enqueue(priority, Instant::ZERO, None);
                assert_eq!(ticket.is_ok(), self.naive.enqueue(priority));
                if let Ok(ticket) = ticket {
                    self.tickets.insert(id, (ticket, Arc::default()));
                }
            }
            Op::Poll(index) => {
                if let Some(id) = self.pick(&index) {
                    self.poll(id);
                }
            }
            Op::Cancel(index) => {
                if let Some(id) = self.pick(&index) {
                    let (ticket, wakes) = self.tickets.remove(&id).unwrap();
                    let gone = self.naive.waiters.remove(&id).unwrap();
                    self.real.cancel(ticket);
                    assert_eq!(wakes.0.load(Ordering::SeqCst), gone.wakes);
                    self.naive.in_use -= u32::from(gone.fate == Fate::Granted);
                    self.naive.hand_over();
                }
            }
            Op::Release => {
                if let Some(place) = self.places.pop() {
                    self.real.release(place);
                    self.naive.in_use -= 1;
                    self.naive.hand_over();
                }
            }
            Op::SetMax(max) => {
                self.real.set_max(max);
                self.naive.max = max;
                self.naive.hand_over();
            }
            Op::Reconfigure(queue, order) => {
                self.naive.order = order;
                self.naive.room = queue as usize;
                let max = self.naive.max;
                let config = BulkheadConfig { max, queue, order, ..self.real.config() };
                self.real.reconfigure(config).unwrap();
                assert_eq!(self.real.config(), config);
            }
        }
        self.compare();
    }

    fn compare(&self) {
        assert_eq!(self.real.in_use(), self.naive.in_use);
        assert_eq!(self.real.queued() as usize, self.naive.line().len());
        assert_eq!(self.real.config().max, self.naive.max);
        for (id, waiter) in &self.naive.waiters {
            let woken = self.tickets[id].1.0.load(Ordering::SeqCst);
            assert_eq!(woken, waiter.wakes, "wakes of caller {id}");
        }
    }

    /// Lets everybody finish: nobody may be left over, and no place either.
    fn finish(mut self) {
        while !self.places.is_empty() || !self.tickets.is_empty() {
            let before = (self.places.len(), self.tickets.len());
            for id in self.tickets.keys().copied().collect::<Vec<_>>() {
                self.poll(id);
            }
            self.apply(Op::Release);
            assert_ne!(before, (self.places.len(), self.tickets.len()), "somebody waits forever");
        }
        assert_eq!((self.real.in_use(), self.real.queued()), (0, 0));
        let place = self.real.try_acquire().unwrap();
        self.real.release(place);
    }
}

fn any_order() -> impl Strategy<Value = QueueOrder> {
    prop_oneof![Just(QueueOrder::Fifo), Just(QueueOrder::Lifo)]
}

fn any_op() -> impl Strategy<Value = Op> {
    prop_oneof![
        2 => Just(Op::TryAcquire),
        6 => prop::sample::select(&Priority::ALL[..]).prop_map(Op::Enqueue),
        4 => any::<prop::sample::Index>().prop_map(Op::Poll),
        2 => any::<prop::sample::Index>().prop_map(Op::Cancel),
        4 => Just(Op::Release),
        1 => (1_u32..6).prop_map(Op::SetMax),
        1 => (0_u32..6, any_order()).prop_map(|(queue, order)| Op::Reconfigure(queue, order)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn it_does_what_a_naive_bulkhead_does(
        max in 1_u32..5,
        queue in 0_u32..6,
        order in any_order(),
        ops in prop::collection::vec(any_op(), 1..80),
    ) {
        let config = BulkheadConfig { max, queue, order, ..BulkheadConfig::default() };
        let mut run = Run::new(config);
        for op in ops {
            run.apply(op);
        }
        run.finish();
    }
}

#[test]
fn the_deadline_of_a_ticket_is_the_earlier_one() {
    let config = BulkheadConfig { max: 1, queue: 9, ..BulkheadConfig::default() };
    let bulkhead = Bulkhead::new(config).unwrap();
    let now = Instant::from_nanos(5_000_000_000);
    let second = Duration::from_secs(1);
    let first = bulkhead.enqueue(Priority::Normal, now, None).unwrap();
    assert!(first.deadline() > now + second * 1000, "it need not wait");
    let long = bulkhead.enqueue(Priority::Normal, now, None).unwrap();
    assert_eq!(long.deadline(), now + second);
    let short = bulkhead.enqueue(Priority::Normal, now, Some(now + second / 2)).unwrap();
    assert_eq!(short.deadline(), now + second / 2);
    assert!(bulkhead.enqueue(Priority::Critical, now, Some(now)).is_err(), "too late to wait");
    assert_eq!((bulkhead.queued(), bulkhead.snapshot().rejected), (2, 1));
    bulkhead.cancel(long);
    bulkhead.cancel(first);
    bulkhead.cancel(short);
    assert_eq!(bulkhead.in_use(), 0);
    assert_eq!(bulkhead.snapshot().abandoned, 1, "`short` had been given the place of `first`");
}

#[test]
fn refused_limits_change_nothing() {
    let bulkhead = Bulkhead::new(BulkheadConfig::default()).unwrap();
    let bad = BulkheadConfig { max: 0, queue: 7, ..BulkheadConfig::default() };
    assert!(bulkhead.reconfigure(bad).is_err());
    assert_eq!(bulkhead.config(), BulkheadConfig::default());
}
