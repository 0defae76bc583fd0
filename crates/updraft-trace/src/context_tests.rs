//! Trace contexts, held to the tables of the W3C recommendation.

use proptest::prelude::*;

use super::*;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";
const TENTH: Sampling = Sampling::per_million(100_000);

fn rng() -> fastrand::Rng {
    fastrand::Rng::with_seed(7)
}

fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(*name, value.parse().unwrap());
    }
    headers
}

#[test]
fn valid_values_are_read() {
    for (value, flags) in [
        (format!("00-{TRACE}-{SPAN}-01"), 0x01),
        (format!("00-{TRACE}-{SPAN}-00"), 0x00),
        (format!("00-{TRACE}-{SPAN}-03"), 0x03),
        (format!("00-{TRACE}-{SPAN}-ff"), 0x03),
        (format!("00-{TRACE}-{SPAN}-fc"), 0x00),
        (format!("cc-{TRACE}-{SPAN}-01"), 0x01),
        (format!("01-{TRACE}-{SPAN}-ff"), 0x03),
        (format!("cc-{TRACE}-{SPAN}-01-what-the-future-will-be-like"), 0x01),
        (format!("fe-{TRACE}-{SPAN}-01-"), 0x01),
    ] {
        let context = TraceContext::parse(value.as_bytes()).expect(&value);
        assert_eq!(context.trace_id.to_string(), TRACE, "{value}");
        assert_eq!(context.span_id.to_string(), SPAN, "{value}");
        assert_eq!(context.flags, flags, "{value}");
    }
}

#[test]
fn invalid_values_start_a_new_trace() {
    let zero_trace = "0".repeat(32);
    let zero_span = "0".repeat(16);
    for value in [
        String::new(),
        format!("ff-{TRACE}-{SPAN}-01"),
        format!("00-{TRACE}-{SPAN}-01-"),
        format!("00-{TRACE}-{SPAN}-01-extra"),
        format!("cc-{TRACE}-{SPAN}-01.extra"),
        format!("cc-{TRACE}-{SPAN}-011"),
        format!("00-{zero_trace}-{SPAN}-01"),
        format!("00-{TRACE}-{zero_span}-01"),
        format!("00-{}-{SPAN}-01", TRACE.to_uppercase()),
        format!("0X-{TRACE}-{SPAN}-01"),
        format!(".0-{TRACE}-{SPAN}-01"),
        format!("00-{TRACE}-{SPAN}-0"),
        format!("00-{TRACE}-{SPAN}-0g"),
        format!("00-{TRACE}-{SPAN}-0A"),
        format!("00-{}-{SPAN}-01", &TRACE[1..]),
        format!("00-{TRACE}a-{SPAN}-01"),
        format!("00_{TRACE}_{SPAN}_01"),
        format!("000-{TRACE}-{SPAN}-1"),
    ] {
        assert_eq!(TraceContext::parse(value.as_bytes()), None, "{value}");
    }
}

#[test]
fn a_hop_goes_on_with_the_trace_by_a_span_of_its_own() {
    let value = format!("00-{TRACE}-{SPAN}-01");
    let mut headers =
        headers(&[("traceparent", &value), ("tracestate", "a=1"), ("tracestate", "b=2")]);
    let hop = Hop::of(&headers, Sampling::NONE, &mut rng());
    assert_eq!(hop.parent.unwrap().to_string(), SPAN);
    assert!(hop.context.is_sampled(), "the caller decided");
    assert_ne!(hop.context.span_id.to_string(), SPAN);
    hop.write(&mut headers);
    let sent = format!("00-{TRACE}-{}-01", hop.context.span_id);
    assert_eq!(headers["traceparent"], sent);
    assert_eq!(headers.get_all("tracestate").iter().count(), 2);
}

#[test]
fn a_trace_that_the_caller_does_not_record_is_not_recorded() {
    let value = format!("00-{TRACE}-{SPAN}-00");
    let headers = headers(&[("traceparent", &value)]);
    let hop = Hop::of(&headers, Sampling::ALL, &mut rng());
    assert!(!hop.context.is_sampled());
}

#[test]
fn flags_that_nobody_knows_are_zeroed() {
    for (came, goes_on) in [("f5", "01"), ("fe", "02"), ("ff", "03"), ("fc", "00"), ("03", "03")] {
        for version in ["00", "cc"] {
            let value = format!("{version}-{TRACE}-{SPAN}-{came}");
            let mut headers = headers(&[("traceparent", &value)]);
            Hop::of(&headers, TENTH, &mut rng()).write(&mut headers);
            let sent = headers["traceparent"].to_str().unwrap();
            assert!(sent.ends_with(&format!("-{goes_on}")), "{value}: {sent}");
        }
    }
}

#[test]
fn without_a_valid_parent_both_fields_are_new() {
    let value = format!("00-{TRACE}-{SPAN}-01");
    for fields in [
        &[][..],
        &[("tracestate", "a=1")],
        &[("traceparent", "nonsense"), ("tracestate", "a=1")],
        &[("traceparent", &*value), ("traceparent", &*value), ("tracestate", "a=1")],
    ] {
        let mut headers = headers(fields);
        let hop = Hop::of(&headers, TENTH, &mut rng());
        assert_eq!(hop.parent, None);
        hop.write(&mut headers);
        assert_eq!(headers.get_all("traceparent").iter().count(), 1);
        assert_ne!(hop.context.trace_id.to_string(), TRACE);
        assert_eq!(TraceContext::parse(headers["traceparent"].as_bytes()), Some(hop.context));
        assert!(!headers.contains_key("tracestate"));
        assert_eq!(hop.context.flags & RANDOM, RANDOM);
    }
}

#[test]
fn the_state_goes_on_as_one_list() {
    let value = format!("00-{TRACE}-{SPAN}-01");
    for (states, kept) in [
        (&[][..], None),
        (&["a=1"], Some("a=1")),
        (&["a=1", "b=2", "c=3"], Some("a=1,b=2,c=3")),
        (&["a=1", "B=2"], None),
    ] {
        let mut headers = headers(&[("traceparent", &value)]);
        for state in states {
            headers.append("tracestate", state.parse().unwrap());
        }
        let hop = Hop::of(&headers, TENTH, &mut rng());
        let state = hop.state(&headers);
        assert_eq!(state.as_ref().map(|state| state.to_str().unwrap()), kept);
    }
}

#[test]
fn a_context_can_be_recorded_or_not_and_its_other_flags_stay() {
    let context = TraceContext::start(Sampling::NONE, &mut rng());
    assert!(!context.is_sampled() && context.recorded(true).is_sampled());
    assert_eq!(context.recorded(true).recorded(false), context);
    assert_eq!(context.recorded(true).flags & RANDOM, RANDOM);
    let child = context.child(&mut rng());
    assert_eq!((child.trace_id, child.flags), (context.trace_id, context.flags));
    assert_ne!(child.span_id, context.span_id);
}

#[test]
fn an_invalid_state_is_dropped_and_the_trace_goes_on() {
    let value = format!("00-{TRACE}-{SPAN}-01");
    let mut headers = headers(&[("traceparent", &value), ("tracestate", "A=1")]);
    let hop = Hop::of(&headers, TENTH, &mut rng());
    hop.write(&mut headers);
    assert_eq!(hop.context.trace_id.to_string(), TRACE);
    assert!(!headers.contains_key("tracestate"));
}

#[test]
fn one_of_ten_new_traces_is_recorded() {
    let mut rng = rng();
    let started = (0..100_000).map(|_| TraceContext::start(TENTH, &mut rng));
    let sampled = started.filter(|context| context.is_sampled()).count();
    // Five standard deviations of a binomial distribution are 474.
    assert!((9_500..10_500).contains(&sampled), "{sampled}");
    let none = Sampling::NONE;
    let all = Sampling::ALL;
    assert!((0..1000).all(|_| !TraceContext::start(none, &mut rng).is_sampled()));
    assert!((0..1000).all(|_| TraceContext::start(all, &mut rng).is_sampled()));
}

#[test]
fn a_share_of_traces_is_part_of_each_larger_share() {
    let mut rng = rng();
    for _ in 0..10_000 {
        let trace = TraceContext::start(Sampling::NONE, &mut rng).trace_id;
        let shares = [0, 1, 1_000, 100_000, 999_999, 1_000_000];
        let recorded = shares.map(|parts| Sampling::per_million(parts).records(trace));
        assert!(recorded.is_sorted(), "{trace}: {recorded:?}");
        assert_eq!((recorded[0], recorded[5]), (false, true));
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(trace in 1..=u128::MAX, span in 1..=u64::MAX, flags in 0..=KNOWN) {
        let context = TraceContext {
            trace_id: TraceId(NonZeroU128::new(trace).unwrap()),
            span_id: SpanId(NonZeroU64::new(span).unwrap()),
            flags,
        };
        prop_assert_eq!(TraceContext::parse(&context.format()), Some(context));
        let text = format!("00-{trace:032x}-{span:016x}-{flags:02x}");
        prop_assert_eq!(text.as_bytes(), &context.format()[..]);
    }

    #[test]
    fn no_bytes_are_a_reason_to_fail(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        if let Some(context) = TraceContext::parse(&bytes) {
            prop_assert_eq!(&context.format()[3..52], &bytes[3..52]);
        }
    }
}
