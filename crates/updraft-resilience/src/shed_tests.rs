//! The order of shedding, its hysteresis, and the queue of a simulated server.

use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;

const ALL: [Priority; 5] =
    [Priority::Background, Priority::Low, Priority::Normal, Priority::High, Priority::Critical];

const START: Instant = Instant::from_nanos(1_000_000_000_000);

fn after(millis: u64) -> Instant {
    START + Duration::from_millis(millis)
}

fn admitted(shedder: &Shedder, load: f64, now: Instant) -> Vec<Priority> {
    ALL.into_iter().filter(|priority| shedder.admit(*priority, load, now)).collect()
}

#[test]
fn the_less_important_goes_first() {
    let table = [
        (0.0, 5),
        (0.79, 5),
        (0.8, 4),
        (0.91, 3),
        (1.01, 2),
        (1.11, 1),
        (1.19, 1),
        (1.21, 0),
        (f64::INFINITY, 0),
        (f64::NAN, 5),
        (-1.0, 5),
    ];
    for (load, count) in table {
        let shedder = Shedder::new(ShedConfig::default()).unwrap();
        assert_eq!(admitted(&shedder, load, START), ALL[5 - count..], "load {load}");
    }
}

#[test]
fn a_priority_comes_back_only_when_the_load_is_well_below() {
    let shedder = Shedder::new(ShedConfig::default()).unwrap();
    assert_eq!(admitted(&shedder, 1.01, START).len(), 2);
    // The load trembles about the threshold: nothing flaps.
    for load in [0.99, 1.01, 0.96, 1.0] {
        assert_eq!(admitted(&shedder, load, START).len(), 2, "load {load}");
    }
    assert_eq!(admitted(&shedder, 0.94, START).len(), 3);
    assert_eq!(admitted(&shedder, 0.99, START).len(), 3, "it has to rise to 1 again");
    assert_eq!(admitted(&shedder, 0.1, START).len(), 5, "all at once when the load is gone");
}

#[derive(Clone, Debug)]
enum Step {
    Load(f64),
    Delay(u64),
    Pass(u64),
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0.0..2.0_f64).prop_map(Step::Load),
        (0_u64..60).prop_map(Step::Delay),
        (0_u64..150).prop_map(Step::Pass),
    ]
}

proptest! {
    #[test]
    fn what_is_admitted_is_always_the_most_important(
        steps in prop::collection::vec(any_step(), 1..200),
    ) {
        let shedder = Shedder::new(ShedConfig::default()).unwrap();
        let (mut now, mut load) = (START, 0.0);
        for step in steps {
            match step {
                Step::Load(new) => load = new,
                Step::Delay(millis) => {
                    shedder.observe_queue_delay(Duration::from_millis(millis), now);
                }
                Step::Pass(millis) => now = now + Duration::from_millis(millis),
            }
            let admitted = admitted(&shedder, load, now);
            prop_assert_eq!(&admitted[..], &ALL[5 - admitted.len()..]);
            prop_assert_eq!(shedder.snapshot(now).lowest_admitted, admitted.first().copied());
            // Critical work goes for the load only, whatever the queue says.
            prop_assert_eq!(admitted.is_empty(), load >= 1.2 || shedder.snapshot(now).by_load == 5);
        }
    }

    #[test]
    fn a_queue_that_is_short_now_and_then_sheds_nothing(
        waits in prop::collection::vec((1_u64..50, 20_u64..1000), 1..100),
    ) {
        let shedder = Shedder::new(ShedConfig::default()).unwrap();
        let mut now = START;
        for (pass, wait) in waits {
            now = now + Duration::from_millis(pass);
            shedder.observe_queue_delay(Duration::from_millis(wait), now);
            now = now + Duration::from_millis(49);
            shedder.observe_queue_delay(Duration::from_millis(19), now);
            prop_assert_eq!(admitted(&shedder, 0.0, now).len(), 5);
        }
    }
}

#[test]
fn a_queue_that_stays_long_sheds_ever_faster_as_codel_does() {
    let shedder = Shedder::new(ShedConfig::default()).unwrap();
    let mut changes = Vec::new();
    let mut last = 0;
    for millis in 0..500 {
        shedder.observe_queue_delay(Duration::from_millis(30), after(millis));
        let shed = shedder.snapshot(after(millis)).by_delay;
        if shed != last {
            changes.push((millis, shed));
            last = shed;
        }
    }
    // 100, then 100/sqrt(1), 100/sqrt(2), 100/sqrt(3); the critical one stays.
    assert_eq!(changes, [(100, 1), (200, 2), (271, 3), (329, 4)]);
    assert!(shedder.admit(Priority::Critical, 0.0, after(500)));
}

#[test]
fn priorities_come_back_one_by_one_when_waits_are_short_again() {
    let shedder = Shedder::new(ShedConfig::default()).unwrap();
    (0..400).for_each(|millis| {
        shedder.observe_queue_delay(Duration::from_millis(30), after(millis));
    });
    let mut shed = Vec::new();
    for millis in 400..1000 {
        shedder.observe_queue_delay(Duration::from_millis(1), after(millis));
        if millis % 100 == 50 {
            shed.push(shedder.snapshot(after(millis)).by_delay);
        }
    }
    assert_eq!(shed, [4, 3, 2, 1, 0, 0]);
}

#[test]
fn with_nothing_in_the_queue_it_does_not_shed_for_ever() {
    let shedder = Shedder::new(ShedConfig::default()).unwrap();
    (0..400).for_each(|millis| {
        shedder.observe_queue_delay(Duration::from_millis(30), after(millis));
    });
    assert_eq!(shedder.snapshot(after(450)).by_delay, 4);
    assert_eq!(shedder.snapshot(after(510)).by_delay, 3);
    assert_eq!(shedder.snapshot(after(810)).by_delay, 0);
    // Whoever comes back after a year finds it as new.
    let late = after(31_536_000_000);
    shedder.observe_queue_delay(Duration::from_millis(30), late);
    assert_eq!(shedder.snapshot(late).by_delay, 0);
}

/// A server that does one piece of work a millisecond, and is offered one and a half: what
/// waits stays short, and what is done is what matters.
#[test]
fn an_overloaded_server_does_the_important_work_in_time() {
    let shedder = Shedder::new(ShedConfig::default()).unwrap();
    let mut queue: VecDeque<(u64, Priority)> = VecDeque::new();
    let mut done = [0_u32; 5];
    let mut late = 0;
    for millis in 0..20_000_u64 {
        let now = after(millis);
        let arrivals = 1 + millis % 2;
        for n in 0..arrivals {
            let priority = ALL[((millis * 2 + n) % 5) as usize];
            if shedder.admit(priority, 0.0, now) {
                queue.push_back((millis, priority));
            }
        }
        if let Some((since, priority)) = queue.pop_front() {
            shedder.observe_queue_delay(Duration::from_millis(millis - since), now);
            done[rank(priority) as usize] += 1;
            late += u32::from(millis > 2000 && millis - since > 150);
        }
    }
    assert!(done[4] > 5500, "critical work is not done: {done:?}");
    assert!(done[0] < done[4] / 2, "background work is not shed: {done:?}");
    assert!(done.iter().sum::<u32>() > 17_000, "capacity is lost: {done:?}");
    assert!(late < 400, "{late} pieces of work waited too long");
}

#[test]
fn what_makes_no_sense_is_found_all_at_once() {
    let bad = ShedConfig {
        start: f64::NAN,
        full: -1.0,
        hysteresis: 7.0,
        target_delay: Duration::ZERO,
        interval: Duration::ZERO,
    };
    assert_eq!(Shedder::new(bad).unwrap_err().problems().len(), 5);
}
