//! The metrics of a service: how they are written, and what is refused.

use super::super::Format;
use super::*;

fn exposition(metrics: &Metrics) -> String {
    metrics.exposition(Format::Prometheus).unwrap()
}

#[test]
fn what_a_service_measures_is_exposed_under_its_name() {
    let metrics = Metrics::default();
    let mut meter = Meter::new(metrics.clone());
    let orders = meter.counters("shop_orders_total", "Orders.", ["payment"]);
    let stock = meter.gauge("shop_stock", "Stock.");
    let packing = meter.histogram("shop_packing_seconds", "Packing.", &[]);
    assert!(meter.problems.is_empty(), "{:?}", meter.problems);
    orders.with(["card"]).add(2);
    orders.with(["card"]).add(1);
    stock.set(7.5);
    stock.add(-0.5);
    packing.record_duration(Duration::from_millis(3));
    let text = exposition(&metrics);
    for line in [
        "# TYPE shop_orders_total counter",
        "shop_orders_total{payment=\"card\"} 3",
        "shop_stock 7",
        "shop_packing_seconds_bucket{le=\"0.005\"} 1",
        "shop_packing_seconds_bucket{le=\"0.0025\"} 0",
        "shop_packing_seconds_count 1",
    ] {
        assert!(text.lines().any(|it| it == line), "{line}\n{text}");
    }
}

#[test]
fn every_wrong_name_is_told_at_once() {
    let mut meter = Meter::new(Metrics::default());
    meter.counter("1st", "");
    meter.counter("updraft_own", "");
    meter.counter("twice", "");
    meter.gauge("twice", "");
    meter.counters("labels", "", ["a", "a"]);
    meter.counters("label", "", ["no-name"]);
    meter.histogram("bounds", "", &[2.0, 1.0]);
    let problems = meter.problems.join("\n");
    for name in ["`1st`", "`updraft_own`", "`twice`", "`labels`", "`label`", "`bounds`"] {
        assert_eq!(problems.matches(name).count(), 1, "{name}: {problems}");
    }
}

#[test]
fn a_label_that_callers_choose_cannot_fill_the_memory() {
    let metrics = Metrics::default();
    let mut meter = Meter::new(metrics.clone());
    let logins = meter.counters("logins", "Logins.", ["user"]);
    for user in 0..5000 {
        logins.with([&user.to_string()]).add(1);
    }
    let text = exposition(&metrics);
    let series = text.lines().filter(|line| line.starts_with("logins_total{user=")).count();
    assert_eq!(series, 1000);
    assert!(text.contains("logins_total{otel_metric_overflow=\"true\"} 4000\n"), "{text}");
    assert!(text.contains("updraft_metric_series_overflowed_total{metric=\"logins\"} 4000\n"));
}
