//! The variables of OpenTelemetry, read as its specification says.

use super::*;

fn read(variables: &[(&str, &str)]) -> Result<Settings, String> {
    let own = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let mut config = Config::from_variables(own);
    let settings = Settings::read(&mut config);
    settings.map_err(|_invalid| config.report().expect("a report").to_string())
}

#[test]
fn spans_go_where_the_endpoint_says_and_nowhere_without_one() {
    const BASE: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
    const TRACES: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
    for (variables, url) in [
        (&[][..], None),
        (&[(BASE, "http://c:4318")], Some("http://c:4318/v1/traces")),
        (&[(BASE, "http://c:4318/")], Some("http://c:4318/v1/traces")),
        (&[(BASE, "http://c:4318/otlp/")], Some("http://c:4318/otlp/v1/traces")),
        (&[(TRACES, "http://c:4318/x")], Some("http://c:4318/x")),
        (&[(BASE, "http://c"), (TRACES, "http://t/x")], Some("http://t/x")),
        (&[(BASE, "http://c"), ("OTEL_SDK_DISABLED", "true")], None),
        (&[(BASE, "http://c"), ("OTEL_SDK_DISABLED", "false")], Some("http://c/v1/traces")),
        (&[(BASE, "http://c"), ("OTEL_TRACES_EXPORTER", "none")], None),
    ] {
        let settings = read(variables).unwrap();
        let read = settings.export.map(|export| export.url.to_string());
        assert_eq!(read.as_deref(), url, "{variables:?}");
    }
}

#[test]
fn headers_and_attributes_are_decoded() {
    let settings = read(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20canary, x-tenant = a"),
        ("OTEL_RESOURCE_ATTRIBUTES", "region=eu,team=b%2Cc"),
        ("OTEL_SERVICE_NAME", "orders"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "250"),
    ]);
    let export = settings.unwrap().export.unwrap();
    let headers: Vec<_> =
        export.headers.iter().map(|(n, v)| (n.as_str(), v.to_str().unwrap())).collect();
    assert_eq!(headers, [("authorization", "Bearer canary"), ("x-tenant", "a")]);
    assert!(!format!("{export:?}").contains("canary"), "{export:?}");
    let resource = export.resource.iter().map(|(n, v)| format!("{n}={v}"));
    assert_eq!(resource.collect::<Vec<_>>(), ["region=eu", "team=b,c"]);
    assert_eq!(export.timeout, Duration::from_millis(250));
    assert_eq!(export.service.as_deref(), Some("orders"));
}

#[test]
fn samplers_have_the_names_of_the_specification() {
    let half = Sampling::per_million(500_000);
    for (name, argument, share, parent_based) in [
        ("", "", Sampling::ALL, true),
        ("always_on", "", Sampling::ALL, false),
        ("always_off", "", Sampling::NONE, false),
        ("traceidratio", "0.5", half, false),
        ("traceidratio", "", Sampling::ALL, false),
        ("parentbased_always_off", "", Sampling::NONE, true),
        ("parentbased_traceidratio", "5e-1", half, true),
        ("parentbased_always_on", "0.5", Sampling::ALL, true),
    ] {
        let variables = [("OTEL_TRACES_SAMPLER", name), ("OTEL_TRACES_SAMPLER_ARG", argument)];
        assert_eq!(read(&variables).unwrap().sampler, Sampler { share, parent_based }, "{name}");
    }
}

#[test]
fn what_cannot_be_used_is_reported_without_its_value() {
    for (name, value) in [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "canary"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "ftp://canary"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://u:canary@c"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://c/?token=canary"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "canary"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a b=canary"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a=canary%0A"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a=canary%f"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "soon"),
        ("OTEL_RESOURCE_ATTRIBUTES", "=canary"),
        ("OTEL_TRACES_EXPORTER", "zipkin"),
        ("OTEL_TRACES_SAMPLER", "canary"),
        ("OTEL_TRACES_SAMPLER_ARG", "1.5"),
        ("OTEL_TRACES_SAMPLER_ARG", "NaN"),
    ] {
        let report = read(&[(name, value)]).expect_err(name);
        assert!(report.contains(name) && !report.contains("canary"), "{report}");
    }
}
