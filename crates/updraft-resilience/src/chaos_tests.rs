//! Tests of the faults: the sequence belongs to the seed, and the rates hold.

use std::collections::HashMap;
use std::future::ready;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use proptest::prelude::*;

use super::*;

fn config(seed: u64) -> ChaosConfig {
    let ms = Duration::from_millis;
    let latency = LatencyFault { rate: 0.2, add: ms(100), jitter: ms(50) };
    let (error_rate, cancel_rate) = (0.1, 0.05);
    let none = ChaosConfig::default();
    ChaosConfig { enabled: true, seed, latency: Some(latency), error_rate, cancel_rate, ..none }
}

fn at_once<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("it is ready"),
    }
}

fn draws(chaos: &Chaos, count: usize) -> Vec<Fault> {
    (0..count).map(|_| chaos.draw()).collect()
}

#[test]
fn numbers_are_those_of_splitmix64() {
    // The reference values of Vigna's splitmix64.c for the seed 1234567.
    let expected =
        [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423];
    let numbers: Vec<u64> = (0..3).map(|n| nth_random(1_234_567, n)).collect();
    assert_eq!(numbers, expected);
}

#[test]
fn nothing_happens_by_default() {
    let config = ChaosConfig { enabled: false, ..config(1) };
    for config in
        [config, ChaosConfig::default(), ChaosConfig { enabled: true, ..Default::default() }]
    {
        let chaos = Chaos::new(config).unwrap();
        assert!(draws(&chaos, 1000).iter().all(|fault| *fault == Fault::None));
    }
}

#[test]
fn rates_of_one_mean_every_call() {
    let none = ChaosConfig { enabled: true, ..ChaosConfig::default() };
    let add = Duration::from_millis(1);
    let latency = LatencyFault { rate: 1.0, add, ..Default::default() };
    let table = [
        (ChaosConfig { error_rate: 1.0, ..none }, Fault::Error),
        (ChaosConfig { cancel_rate: 1.0, ..none }, Fault::Cancel),
        (ChaosConfig { latency: Some(latency), ..none }, Fault::Latency(add)),
    ];
    for (config, expected) in table {
        let chaos = Chaos::new(config).unwrap();
        assert!(draws(&chaos, 1000).iter().all(|fault| *fault == expected), "{expected:?}");
    }
}

#[test]
fn the_switch_works_while_calls_run_and_the_sequence_goes_on() {
    let chaos = Chaos::new(config(3)).unwrap();
    let mut seen = draws(&chaos, 50);
    chaos.set_enabled(false);
    assert!(draws(&chaos, 50).iter().all(|fault| *fault == Fault::None));
    chaos.set_enabled(true);
    seen.extend(draws(&chaos, 50));
    assert_eq!(seen, draws(&Chaos::new(config(3)).unwrap(), 100));
    assert_eq!(chaos.drawn(), 100);
}

#[test]
fn threads_together_draw_the_same_faults_as_one() {
    let count = |faults: Vec<Fault>| {
        faults.into_iter().fold(HashMap::new(), |mut counts, fault| {
            *counts.entry(format!("{fault:?}")).or_insert(0) += 1;
            counts
        })
    };
    let chaos = Chaos::new(config(11)).unwrap();
    let together = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| draws(&chaos, 2500))).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    let alone = draws(&Chaos::new(config(11)).unwrap(), 10_000);
    assert_eq!(count(together), count(alone));
}

#[test]
fn every_bad_rate_is_found() {
    let latency = LatencyFault { rate: f64::NAN, ..Default::default() };
    let bad = ChaosConfig {
        latency: Some(latency),
        error_rate: -0.1,
        cancel_rate: 1.1,
        ..ChaosConfig::default()
    };
    assert_eq!(bad.validate().unwrap_err().problems().len(), 3);
    let too_much = ChaosConfig { error_rate: 0.6, cancel_rate: 0.6, ..ChaosConfig::default() };
    assert_eq!(too_much.validate().unwrap_err().problems().len(), 1);
    let latency = LatencyFault { rate: 0.7, ..Default::default() };
    let full = ChaosConfig { latency: Some(latency), error_rate: 0.2, cancel_rate: 0.1, ..bad };
    assert!(full.validate().is_ok());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn the_same_seed_gives_the_same_faults_and_another_one_others(seed in any::<u64>()) {
        let faults = |seed| draws(&Chaos::new(config(seed)).unwrap(), 200);
        prop_assert_eq!(faults(seed), faults(seed));
        prop_assert_ne!(faults(seed), faults(seed.wrapping_add(1)));
    }

    #[test]
    fn a_draw_is_the_fault_of_its_number(seed in any::<u64>()) {
        let chaos = Chaos::new(config(seed)).unwrap();
        let drawn = draws(&chaos, 100);
        let numbered: Vec<Fault> = (0..100).map(|number| chaos.fault(number)).collect();
        prop_assert_eq!(drawn, numbered);
    }

    #[test]
    fn rates_come_true_and_added_latency_stays_within_its_bounds(
        seed in any::<u64>(),
        slow in 0.0..0.4_f64,
        error_rate in 0.0..0.4_f64,
        cancel_rate in 0.0..0.2_f64,
    ) {
        let base = config(seed);
        let latency = base.latency.map(|latency| LatencyFault { rate: slow, ..latency });
        let chaos =
            Chaos::new(ChaosConfig { latency, error_rate, cancel_rate, ..base }).unwrap();
        let (mut latencies, mut errors, mut cancels) = (Vec::new(), 0, 0);
        for fault in draws(&chaos, 20_000) {
            match fault {
                Fault::None => {}
                Fault::Latency(added) => latencies.push(added),
                Fault::Error => errors += 1,
                Fault::Cancel => cancels += 1,
            }
        }
        // Five standard deviations of a share of 20 000 draws are below 0.018.
        let share = |count: usize| count as f64 / 20_000.0;
        prop_assert!((share(latencies.len()) - slow).abs() < 0.018);
        prop_assert!((share(errors) - error_rate).abs() < 0.018);
        prop_assert!((share(cancels) - cancel_rate).abs() < 0.018);
        let ms = Duration::from_millis;
        prop_assert!(latencies.iter().all(|added| (ms(100)..=ms(150)).contains(added)));
        if latencies.len() > 500 {
            let mean = latencies.iter().sum::<Duration>() / u32::try_from(latencies.len()).unwrap();
            prop_assert!((ms(121)..ms(129)).contains(&mean), "{:?}", mean);
        }
    }
}

#[test]
fn made_outcomes_come_in_their_share_by_their_seed_and_leave_other_faults_alone() {
    let config = ChaosConfig { enabled: true, seed: 3, result_rate: 0.25, ..Default::default() };
    let row = |config| {
        let chaos = Arc::new(Chaos::new(config).unwrap());
        let mut operation = chaos.substitute(|_| ready(0), || 1);
        let outcomes: Vec<u32> = (0..4000).map(|number| at_once(operation(number))).collect();
        assert_eq!(chaos.drawn(), 0);
        outcomes
    };
    let made = row(config);
    assert!((900..1100).contains(&made.iter().sum::<u32>()));
    assert_eq!(made, row(config));
    assert_ne!(made, row(ChaosConfig { seed: 4, ..config }));
    assert_eq!(row(ChaosConfig { enabled: false, ..config }).iter().sum::<u32>(), 0);
    assert!(ChaosConfig { result_rate: 1.5, ..config }.validate().is_err());
}
