//! The pool of threads: its limits, its panics and its end.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Barrier, mpsc};

use super::*;

fn pool(threads: u32, queue: u32) -> ThreadPool {
    ThreadPool::new(PoolConfig { name: "test".into(), threads, queue }).unwrap()
}

/// A job that ends when it is told to; resolves once it runs.
fn held(pool: &ThreadPool) -> (Job<()>, mpsc::SyncSender<()>) {
    let (end, ended) = mpsc::sync_channel::<()>(1);
    let (start, started) = mpsc::sync_channel(1);
    let job = pool
        .submit(move || {
            start.send(()).unwrap();
            ended.recv().unwrap_err();
        })
        .unwrap();
    started.recv().unwrap();
    (job, end)
}

#[test]
fn limits_that_make_no_sense_are_all_found() {
    let config = PoolConfig { name: String::new(), threads: 0, queue: 0 };
    assert_eq!(config.validate().unwrap_err().problems().len(), 2);
    assert!(matches!(ThreadPool::new(config), Err(PoolError::Invalid(_))));
}

#[test]
fn a_panic_ends_the_job_and_not_the_thread() {
    let pool = pool(1, 0);
    assert_eq!(
        pool.submit(|| -> u8 { panic!("no {}", "luck") }).unwrap().wait(),
        Err(JobError::Panicked("no luck".into()))
    );
    assert_eq!(
        pool.submit(|| -> u8 { panic!("at all") }).unwrap().wait(),
        Err(JobError::Panicked("at all".into()))
    );
    assert_eq!(pool.submit(|| 7).unwrap().wait(), Ok(7));
}

#[test]
fn a_panic_of_an_unwanted_outcome_does_not_end_the_thread() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("dropped");
        }
    }
    let pool = pool(1, 1);
    let (first, end) = held(&pool);
    let (reached, at_work) = mpsc::sync_channel(1);
    let bomb = pool
        .submit(move || {
            reached.send(()).unwrap();
            Bomb
        })
        .unwrap();
    bomb.detach();
    drop(end);
    at_work.recv().unwrap();
    first.wait().unwrap();
    loop {
        match pool.submit(|| 7) {
            Ok(job) => break assert_eq!(job.wait(), Ok(7)),
            Err(Full) => thread::yield_now(),
        }
    }
}

/// The thread is free before the outcome is known, so that calls one after the other never
/// find a pool without a queue full.
#[test]
fn one_thread_without_a_queue_serves_calls_in_a_row() {
    let pool = pool(1, 0);
    for number in 0..2_000 {
        assert_eq!(pool.submit(move || number).unwrap().wait(), Ok(number));
    }
}

#[test]
fn a_job_that_nobody_wants_any_more_leaves_the_queue() {
    let pool = pool(1, 1);
    let (first, end) = held(&pool);
    let ran = Arc::new(AtomicU32::new(0));
    let count = |by: u32| {
        let ran = Arc::clone(&ran);
        move || ran.fetch_add(by, Ordering::SeqCst)
    };
    let unwanted = pool.submit(count(1)).unwrap();
    assert_eq!(pool.submit(count(10)).unwrap_err(), Full);
    drop(unwanted);
    assert_eq!(pool.snapshot().queued, 0);
    let detached = pool.submit(count(100)).unwrap();
    detached.detach();
    drop(end);
    first.wait().unwrap();
    // In the order of submission: when this one has run, the one before has.
    pool.submit(|| ()).unwrap().wait().unwrap();
    assert_eq!(ran.load(Ordering::SeqCst), 100, "the unwanted one does not run");
}

#[test]
fn dropping_the_pool_waits_for_what_runs_and_refuses_the_rest() {
    let pool = pool(1, 5);
    let (running, end) = held(&pool);
    let waiting = pool.submit(|| 7).unwrap();
    let dropper = thread::spawn(move || drop(pool));
    assert_eq!(waiting.wait(), Err(JobError::Closed));
    assert!(!dropper.is_finished());
    drop(end);
    dropper.join().unwrap();
    assert_eq!(running.wait(), Ok(()));
}

#[test]
fn a_job_may_drop_its_own_pool() {
    let pool = Arc::new(pool(2, 5));
    let own = Arc::clone(&pool);
    let (start, started) = mpsc::sync_channel::<()>(1);
    let job = pool
        .submit(move || {
            started.recv().unwrap_err();
            drop(own);
        })
        .unwrap();
    drop(pool);
    drop(start);
    assert_eq!(job.wait(), Ok(()));
}

#[test]
fn no_more_jobs_run_than_there_are_threads() {
    let pool = pool(3, 1000);
    let (now, most) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let together = Arc::new(Barrier::new(3));
    let jobs: Vec<_> = (0..300)
        .map(|number| {
            let (now, most) = (Arc::clone(&now), Arc::clone(&most));
            let together = Arc::clone(&together);
            let work = move || {
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                together.wait();
                now.fetch_sub(1, Ordering::SeqCst);
                number
            };
            pool.submit(work).unwrap()
        })
        .collect();
    let outcomes: Vec<_> = jobs.into_iter().map(|job| job.wait().unwrap()).collect();
    assert_eq!(outcomes, (0..300).collect::<Vec<_>>());
    assert_eq!(most.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn a_task_awaits_a_job() {
    let pool = pool(2, 10);
    let (first, second) = (pool.submit(|| 1).unwrap(), pool.submit(|| 2).unwrap());
    assert_eq!((first.await, second.await), (Ok(1), Ok(2)));
}
