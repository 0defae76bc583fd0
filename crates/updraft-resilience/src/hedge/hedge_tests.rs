//! Tests of the decision: how long to wait, and when not to hedge at all.

use proptest::prelude::*;

use super::*;

const START: Instant = Instant::from_nanos(1_000_000_000_000);

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn hedge(percentile: Percentile) -> Hedge {
    let after = HedgeAfter::Percentile(percentile);
    Hedge::new(HedgeConfig { after, ..HedgeConfig::default() }).unwrap()
}

#[test]
fn the_default_waits_as_long_as_95_per_cent_of_the_calls_take() {
    // The trap: 0.95 taken for 0.95 per cent gives about 10 ms here.
    let hedge = Hedge::new(HedgeConfig::default()).unwrap();
    (1..=1000).for_each(|latency| hedge.observe(ms(latency), START));
    let delay = hedge.delay(START).unwrap();
    assert!((ms(920)..=ms(980)).contains(&delay), "{delay:?}");
}

#[test]
fn a_quantile_in_per_cent_is_refused() {
    for quantile in [95.0, 1.0, 0.0, -0.5, f64::NAN, f64::INFINITY] {
        let after = HedgeAfter::Percentile(Percentile { quantile, ..Percentile::default() });
        let refused = Hedge::new(HedgeConfig { after, ..HedgeConfig::default() }).unwrap_err();
        assert!(refused.to_string().contains("after.quantile"), "{refused}");
    }
}

#[test]
fn every_bad_field_is_found() {
    let percentile = Percentile {
        quantile: 2.0,
        window: ms(99),
        min_samples: 0,
        min: ms(2),
        max: ms(1),
        fallback: None,
    };
    let after = HedgeAfter::Percentile(percentile);
    for budget_share in [f64::NAN, -0.1, 1.1] {
        let config = HedgeConfig { after, budget_share, ..HedgeConfig::default() };
        assert_eq!(config.validate().unwrap_err().problems().len(), 5);
    }
}

#[test]
fn too_few_latencies_mean_the_fallback_or_no_hedge() {
    for fallback in [None, Some(ms(70_000))] {
        let hedge = hedge(Percentile { min_samples: 10, fallback, ..Percentile::default() });
        assert_eq!(hedge.delay(START), fallback);
        (0..9).for_each(|_| hedge.observe(ms(50), START));
        assert_eq!(hedge.delay(START + REFRESH), fallback);
        hedge.observe(ms(50), START);
        let delay = hedge.delay(START + 2 * REFRESH).unwrap();
        assert!((ms(47)..ms(53)).contains(&delay), "{delay:?}");
    }
}

#[test]
fn a_delay_stays_within_its_bounds() {
    let hedge = hedge(Percentile { min: ms(10), max: ms(100), ..Percentile::default() });
    (0..1000).for_each(|_| hedge.observe(ms(1), START));
    assert_eq!(hedge.delay(START), Some(ms(10)));
    (0..9000).for_each(|_| hedge.observe(ms(5000), START));
    assert_eq!(hedge.delay(START + REFRESH), Some(ms(100)));
}

#[test]
fn after_the_window_the_past_is_forgotten() {
    let hedge = hedge(Percentile::default());
    (0..10_000).for_each(|_| hedge.observe(ms(1000), START));
    let later = START + Duration::from_secs(30);
    assert_eq!(hedge.snapshot(later).samples, 0);
    assert_eq!(hedge.delay(later), None);
    (0..100).for_each(|_| hedge.observe(ms(20), later));
    let delay = hedge.delay(later + REFRESH).unwrap();
    assert!((ms(19)..ms(21)).contains(&delay), "{delay:?}");
}

#[test]
fn a_quantile_is_computed_once_per_refresh() {
    let hedge = hedge(Percentile { min_samples: 1, ..Percentile::default() });
    hedge.observe(ms(10), START);
    let first = hedge.delay(START);
    hedge.observe(ms(500), START);
    let almost = START + (REFRESH - Duration::from_nanos(1));
    assert_eq!(hedge.delay(almost), first);
    assert!(hedge.delay(START + REFRESH) > first);
}

#[test]
fn a_fixed_delay_needs_no_latencies() {
    let after = HedgeAfter::Fixed(ms(30));
    let hedge = Hedge::new(HedgeConfig { after, ..HedgeConfig::default() }).unwrap();
    hedge.observe(ms(900), START);
    assert_eq!(hedge.delay(START), Some(ms(30)));
    assert_eq!(hedge.snapshot(START).delay, Some(ms(30)));
}

#[test]
fn a_maximum_of_nothing_hedges_nothing() {
    for after in [HedgeAfter::Fixed(ms(1)), HedgeAfter::default()] {
        let hedge = Hedge::new(HedgeConfig { after, max: 0, ..HedgeConfig::default() }).unwrap();
        (0..1000).for_each(|_| hedge.observe(ms(10), START));
        assert_eq!(hedge.delay(START), None);
        assert_eq!(hedge.snapshot(START).delay, None);
        assert!(!hedge.try_hedge());
    }
}

#[test]
fn the_budget_suppresses_what_is_beyond_it_and_says_so() {
    let config = HedgeConfig { budget_burst: 3, ..HedgeConfig::default() };
    let hedge = Hedge::new(config).unwrap();
    let granted = (0..10).filter(|_| hedge.try_hedge()).count();
    assert_eq!(granted, 3);
    (0..20).for_each(|_| hedge.on_call());
    assert!(hedge.try_hedge());
    assert!(!hedge.try_hedge());
    let seen = hedge.snapshot(START);
    assert_eq!((seen.granted, seen.refused, seen.available), (4, 8, 0));
}

/// One call in ten takes a second, the others 10 ms; an extra attempt takes 10 ms. Slow first
/// attempts are dropped when the extra one is done, and count with their time until then.
#[test]
fn hedging_does_not_drag_down_its_own_percentile() {
    let hedge = hedge(Percentile { window: ms(10_000), ..Percentile::default() });
    let mut now = START;
    let mut hedged = 0;
    for call in 0..100_000 {
        now = now + ms(1);
        hedge.on_call();
        let latency = if call % 10 == 0 { ms(1000) } else { ms(10) };
        let delay = hedge.delay(now).filter(|delay| *delay < latency);
        let taken = match delay {
            Some(delay) if hedge.try_hedge() => {
                hedged += 1;
                (delay + ms(10)).min(latency)
            }
            _ => latency,
        };
        hedge.observe(taken, now);
    }
    let delay = hedge.delay(now).unwrap();
    assert!(delay > ms(15), "the fast calls are hedged: {delay:?}");
    assert!(hedged <= 100_000 / 20 + 10, "{hedged}");
}

#[test]
fn threads_share_one_hedge() {
    let hedge = hedge(Percentile { window: ms(1000), ..Percentile::default() });
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for n in 0..20_000 {
                    let now = START + Duration::from_micros(n * 10);
                    hedge.on_call();
                    hedge.observe(ms(40), now);
                    if let Some(delay) = hedge.delay(now) {
                        assert!((ms(38)..ms(42)).contains(&delay), "{delay:?}");
                    }
                }
            });
        }
    });
    let seen = hedge.snapshot(START + ms(200));
    assert_eq!(seen.samples, 80_000);
}

proptest! {
    #[test]
    fn extra_attempts_stay_within_the_budget(
        share in 0.0..1.0_f64,
        burst in 0_u32..50,
        calls in 0_u32..3000,
    ) {
        let config =
            HedgeConfig { budget_share: share, budget_burst: burst, ..HedgeConfig::default() };
        let hedge = Hedge::new(config).unwrap();
        for _ in 0..calls {
            hedge.on_call();
            let _ = hedge.try_hedge();
        }
        let seen = hedge.snapshot(START);
        prop_assert_eq!(seen.granted + seen.refused, u64::from(calls));
        let allowed = f64::from(burst) + share * f64::from(calls);
        prop_assert!(seen.granted as f64 <= allowed + 1e-6);
    }
}
