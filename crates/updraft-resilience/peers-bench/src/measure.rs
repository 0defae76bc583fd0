//! Measures in short batches, so that on a machine with other work most batches run without
//! interruption, and the others can be left out.

use std::hint::black_box;
use std::pin::pin;
use std::sync::Barrier;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use rustix::thread::{CpuSet, sched_setaffinity};
use rustix::time::{ClockId, clock_gettime};

/// Runs so many operations one after the other.
pub type Batch = Box<dyn FnMut(u64)>;

/// What is measured. `start` is called by each thread; what the threads share is in it.
pub struct Case {
    pub group: &'static str,
    pub name: &'static str,
    pub ours: bool,
    pub start: Box<dyn Fn() -> Batch + Send + Sync>,
}

/// Nanoseconds an operation.
#[derive(Clone, Copy)]
pub struct Times {
    pub one: f64,
    pub two: f64,
}

/// Long enough that reading the clock does not matter, short against a time slice.
const BATCH: Duration = Duration::from_micros(30);
const BATCHES: usize = 3000;

/// An operation as a batch. It gives what a caller goes on with, such as a number: a whole
/// outcome would be copied for the sake of the measurement.
pub fn repeat<T>(mut operation: impl FnMut(u64) -> T + 'static) -> Batch {
    Box::new(move |count| {
        for number in 0..count {
            black_box(operation(black_box(number)));
        }
    })
}

/// The outcome of a future that is ready, or soon will be. Inlined, as `.await` is: it shall
/// not move the future.
#[inline(always)]
pub fn drive<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        std::hint::spin_loop();
    }
}

impl Case {
    pub fn measure(&self) -> Times {
        Times { one: self.alone(), two: self.contended() }
    }

    /// The fastest tenth of the batches of one thread.
    fn alone(&self) -> f64 {
        let mut batch = (self.start)();
        let count = calibrate(&mut batch);
        let mut times: Vec<f64> =
            (0..BATCHES).map(|_| Span::of(&mut batch, count).wall()).collect();
        percentile(&mut times, 0.1) / count as f64
    }

    /// The median of the batches during which both threads were running.
    fn contended(&self) -> f64 {
        let barrier = Barrier::new(2);
        let origin = Instant::now();
        let count = calibrate(&mut (self.start)());
        let run = |processor: usize| {
            pin_to(processor);
            let mut batch = (self.start)();
            barrier.wait();
            let spans = (0..BATCHES).map(|_| Span::of(&mut batch, count)).collect::<Vec<_>>();
            spans.into_iter().map(|span| span.since(origin)).collect::<Vec<_>>()
        };
        let (left, right) = std::thread::scope(|scope| {
            let other = scope.spawn(|| run(1));
            let mine = scope.spawn(|| run(0));
            (mine.join().unwrap_or_default(), other.join().unwrap_or_default())
        });
        let mut times = together(&left, &right);
        times.extend(together(&right, &left));
        if times.len() < 50 {
            return f64::NAN;
        }
        percentile(&mut times, 0.5) / count as f64
    }
}

/// One batch.
struct Span {
    begin: Instant,
    end: Instant,
    processor: Duration,
}

/// Begin and end in nanoseconds, and whether the thread ran all the while.
type Stretch = (f64, f64, bool);

impl Span {
    fn of(batch: &mut Batch, count: u64) -> Self {
        let before = processor_time();
        let begin = Instant::now();
        batch(count);
        let end = Instant::now();
        Self { begin, end, processor: processor_time() - before }
    }

    fn wall(&self) -> f64 {
        (self.end - self.begin).as_nanos() as f64
    }

    fn since(&self, origin: Instant) -> Stretch {
        let at = |moment: Instant| (moment - origin).as_nanos() as f64;
        (at(self.begin), at(self.end), self.processor >= self.end - self.begin)
    }
}

/// The times of those of `mine` during which the others ran as well.
fn together(mine: &[Stretch], others: &[Stretch]) -> Vec<f64> {
    let ran_beside = |begin: f64, end: f64| {
        let first = others.partition_point(|other| other.1 <= begin);
        let beside: Vec<_> = others[first..].iter().take_while(|other| other.0 < end).collect();
        let covered: f64 = beside.iter().map(|other| other.1.min(end) - other.0.max(begin)).sum();
        beside.iter().all(|other| other.2) && covered > 0.9 * (end - begin)
    };
    let alike = mine.iter().filter(|(begin, end, ran)| *ran && ran_beside(*begin, *end));
    alike.map(|(begin, end, _)| end - begin).collect()
}

fn calibrate(batch: &mut Batch) -> u64 {
    let mut count = 8;
    loop {
        let fastest = (0..20).map(|_| Span::of(batch, count).wall()).fold(f64::MAX, f64::min);
        if fastest >= BATCH.as_nanos() as f64 / 2.0 {
            return count;
        }
        count *= 2;
    }
}

fn percentile(times: &mut [f64], part: f64) -> f64 {
    times.sort_by(f64::total_cmp);
    times.get((times.len() as f64 * part) as usize).copied().unwrap_or(f64::NAN)
}

fn pin_to(processor: usize) {
    let mut set = CpuSet::new();
    set.set(processor);
    // Where that is not allowed the scheduler does well enough.
    let _: Result<(), _> = sched_setaffinity(None, &set);
}

fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or_default())
}
