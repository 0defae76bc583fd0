//! The laws of the budget: exact against a ledger that is kept without tricks, and never
//! exceeded by any number of threads.

use std::sync::atomic::AtomicU64;
use std::thread;

use proptest::prelude::*;

use super::*;

const START: Instant = Instant::from_nanos(1_000_000_000_000);

fn budget(share: f64, per_second: f64, burst: u32) -> Budget {
    Budget::new(BudgetConfig { share, per_second, burst }, START).unwrap()
}

/// Takes what there is.
fn drain(budget: &Budget, now: Instant) -> u64 {
    (0..).take_while(|_| budget.try_withdraw(now)).count() as u64
}

/// The balance as a number of billionths, changed step by step.
struct Ledger {
    balance: u128,
    share: u128,
    per_second: u128,
    burst: u128,
}

const WHOLE: u128 = 1_000_000_000;

impl Ledger {
    fn pass(&mut self, span: Duration) {
        self.balance = (self.balance + span.as_nanos() * self.per_second).min(self.burst);
    }

    fn deposit(&mut self) {
        self.balance = (self.balance + self.share).min(self.burst);
    }

    fn withdraw(&mut self) -> bool {
        let granted = self.balance >= WHOLE;
        self.balance -= if granted { WHOLE } else { 0 };
        granted
    }
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Deposit,
    Withdraw,
    Pass(u64),
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => Just(Step::Deposit),
        4 => Just(Step::Withdraw),
        1 => (0_u64..2_000).prop_map(Step::Pass),
    ]
}

proptest! {
    #[test]
    fn every_run_is_that_of_the_ledger_and_within_the_law(
        share in 0_u32..2_500,
        per_second in 0_u32..40,
        burst in 1_u32..30,
        steps in proptest::collection::vec(any_step(), 1..400),
    ) {
        prop_assume!(share + per_second > 0);
        let share_number = f64::from(share) / 1000.0;
        let tested = budget(share_number, f64::from(per_second), burst);
        let mut ledger = Ledger {
            balance: u128::from(burst) * WHOLE,
            share: u128::from(share) * WHOLE / 1000,
            per_second: u128::from(per_second),
            burst: u128::from(burst) * WHOLE,
        };
        let (mut now, mut deposits, mut granted, mut refused) = (START, 0_u32, 0_u32, 0_u64);
        for step in steps {
            match step {
                Step::Deposit => {
                    tested.deposit(now);
                    ledger.deposit();
                    deposits += 1;
                }
                Step::Withdraw => {
                    let grants = tested.try_withdraw(now);
                    prop_assert_eq!(grants, ledger.withdraw());
                    granted += u32::from(grants);
                    refused += u64::from(!grants);
                }
                Step::Pass(millis) => {
                    now = now + Duration::from_millis(millis);
                    ledger.pass(Duration::from_millis(millis));
                }
            }
            let difference = tested.balance(now) - ledger.balance as f64 / WHOLE as f64;
            prop_assert!(difference.abs() < 1e-5, "{difference}");
        }
        let elapsed = now.saturating_duration_since(START).as_secs_f64();
        let most = share_number * f64::from(deposits)
            + f64::from(per_second) * elapsed
            + f64::from(burst);
        prop_assert!(f64::from(granted) <= most + 1e-6);
        prop_assert_eq!(tested.exhausted(), refused);
    }

    /// A clock that is read by many threads is read late by some: none of them may lend.
    #[test]
    fn late_readers_gain_nothing(moments in proptest::collection::vec(0_u64..10_000, 1..200)) {
        let tested = budget(0.5, 3.0, 4);
        let latest = moments.iter().max().copied().unwrap_or_default();
        let (mut deposits, mut granted) = (0_u32, 0_u32);
        for (turn, millis) in moments.into_iter().enumerate() {
            let now = START + Duration::from_millis(millis);
            if turn % 3 == 0 {
                tested.deposit(now);
                deposits += 1;
            } else {
                granted += u32::from(tested.try_withdraw(now));
            }
        }
        let earned = 3.0 * Duration::from_millis(latest).as_secs_f64();
        prop_assert!(f64::from(granted) <= 0.5 * f64::from(deposits) + earned + 4.0);
    }
}

/// tower#857: there, 60 % became 100 %.
#[test]
fn fractions_are_exact() {
    let table = [
        (0.6, 10_000, 6_000),
        (0.2, 10_000, 2_000),
        (0.1, 10_000, 1_000),
        (0.29, 10_000, 2_900),
        (0.999, 10_000, 9_990),
        (1.0, 10_000, 10_000),
        (1.5, 10_000, 15_000),
        (0.000_001, 1_000_000, 1),
        (1.0 / 3.0, 9_999, 3_332),
    ];
    for (share, calls, expected) in table {
        let budget = budget(share, 0.0, 1_000_000);
        assert_eq!(drain(&budget, START), 1_000_000);
        (0..calls).for_each(|_| budget.deposit(START));
        assert_eq!(drain(&budget, START), expected, "{share}");
    }
}

#[test]
fn time_earns_whole_retries_at_whole_seconds() {
    for per_second in [0.1, 1.0, 3.0, 10.0, 7_777.0, 10_000.0] {
        let budget = budget(0.0, per_second, 1_000_000);
        drain(&budget, START);
        let moment = START + Duration::from_secs(100) - Duration::from_micros(1);
        let before = drain(&budget, moment);
        let after = before + drain(&budget, START + Duration::from_secs(100));
        assert_eq!(after as f64, per_second * 100.0);
        assert!(before < after);
    }
}

#[test]
fn no_more_than_the_burst_is_saved() {
    let budget = budget(1.0, 10.0, 5);
    let later = START + Duration::from_secs(1_000_000);
    (0..100).for_each(|_| budget.deposit(later));
    assert_eq!(budget.balance(later), 5.0);
    assert_eq!(drain(&budget, later), 5);
    assert_eq!(budget.exhausted(), 1);
}

#[test]
fn the_end_of_time_does_no_harm() {
    let budget = budget(0.5, 10_000.0, u32::MAX);
    let end = Instant::from_nanos(u64::MAX);
    assert!(budget.try_withdraw(end));
    budget.deposit(end);
    assert!(budget.balance(end) <= f64::from(u32::MAX));
    budget.deposit(Instant::ZERO);
    assert!(budget.balance(Instant::ZERO).is_finite());
}

#[test]
fn budgets_that_make_no_sense_are_refused() {
    let base = BudgetConfig::default();
    let bad = [
        BudgetConfig { share: f64::NAN, ..base },
        BudgetConfig { share: -0.1, ..base },
        BudgetConfig { share: 1_000.1, ..base },
        BudgetConfig { per_second: f64::NAN, ..base },
        BudgetConfig { per_second: -1.0, ..base },
        BudgetConfig { per_second: f64::INFINITY, ..base },
        BudgetConfig { burst: 0, ..base },
        BudgetConfig { share: 0.0, per_second: 0.0, burst: 10 },
    ];
    for config in bad {
        let invalid = Budget::new(config, START).unwrap_err();
        assert_eq!(invalid.problems().len(), 1, "{config:?}: {invalid}");
    }
    let all = BudgetConfig { share: -1.0, per_second: f64::NAN, burst: 0 };
    assert_eq!(all.validate().unwrap_err().problems().len(), 3);
}

#[test]
fn eight_threads_take_what_there_is_and_no_more() {
    let budget = budget(0.1, 0.0, 1_000);
    let granted = AtomicU64::new(0);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..2_000 {
                    if budget.try_withdraw(START) {
                        granted.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    assert_eq!(granted.into_inner(), 1_000);
    assert_eq!(budget.exhausted(), 15_000);
}

#[test]
fn eight_threads_that_earn_and_spend_never_exceed_the_law() {
    let budget = budget(0.3, 50.0, 20);
    let granted = AtomicU64::new(0);
    thread::scope(|scope| {
        for thread in 0..8 {
            let (budget, granted) = (&budget, &granted);
            scope.spawn(move || {
                let mut random = fastrand::Rng::with_seed(thread);
                for turn in 0..2_000 {
                    // Some threads read the clock a little later than others.
                    let now = START + Duration::from_millis(turn + random.u64(..3));
                    budget.deposit(now);
                    (0..random.u8(..4)).for_each(|_| {
                        granted.fetch_add(budget.try_withdraw(now).into(), Ordering::Relaxed);
                    });
                }
            });
        }
    });
    let granted = granted.into_inner();
    let most = 0.3 * 16_000.0 + 50.0 * 2.002 + 20.0;
    assert!(granted as f64 <= most, "{granted} of {most}");
    assert!(granted as f64 >= 0.3 * 16_000.0 * 0.9, "{granted}: what is earned can be spent");
}
