//! The text forms: what is written is read back, and what is no such text is refused.

use std::fmt::{Debug, Display};
use std::str::FromStr;
use std::time::Duration;

use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop, prop_oneof, proptest};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{
    Action, Balance, Calls, HashBy, HeaderMatch, MeshSettings, Mirror, Operation, PathTemplate,
    Protocol, Rate, Redirect, RetryBudget, RetryOn, Rewrite, Share, Split, Traffic, TrafficRule,
    text,
};

/// A value survives its text, and its text inside JSON.
fn survives<T>(value: &T)
where
    T: FromStr + Display + PartialEq + Debug + Serialize + DeserializeOwned,
{
    let text = value.to_string();
    assert_eq!(text.parse::<T>().ok().as_ref(), Some(value), "{text}");
    let json = serde_json::to_string(value).unwrap();
    assert_eq!(json, serde_json::to_string(&text).unwrap());
    assert_eq!(&serde_json::from_str::<T>(&json).unwrap(), value);
}

fn share() -> impl Strategy<Value = Share> {
    (0..=Share::WHOLE)
        .prop_map(|parts| format!("{}.{:02}%", parts / 100, parts % 100).parse().unwrap())
}

fn rate() -> impl Strategy<Value = Rate> {
    let per = prop::sample::select(vec![1, 60, 3600]).prop_map(Duration::from_secs);
    (1..=u32::MAX, per).prop_map(|(count, per)| Rate { count, per })
}

fn retry_on() -> impl Strategy<Value = RetryOn> {
    prop_oneof![
        Just(RetryOn::Connect),
        Just(RetryOn::Reset),
        Just(RetryOn::Timeout),
        Just(RetryOn::GrpcUnavailable),
        Just(RetryOn::Status(429)),
        (500..600_u16).prop_map(RetryOn::Status),
    ]
}

fn hash_by() -> impl Strategy<Value = HashBy> {
    prop_oneof![
        "[a-z0-9_.-]{1,20}".prop_map(HashBy::Header),
        "[A-Za-z0-9_.-]{1,20}".prop_map(HashBy::Cookie),
    ]
}

fn operation() -> impl Strategy<Value = Operation> {
    let plain = "[a-zA-Z0-9_~!$&'()+,;=:@-]{1,8}";
    let parameter = "[a-z][a-z0-9_-]{0,5}".prop_map(|name| format!("{{{name}}}"));
    let rest = "[a-z]{1,5}".prop_map(|name| format!("{{*{name}}}"));
    let last = prop_oneof![Just(String::new()), rest, parameter.clone(), plain];
    let inner = prop::collection::vec(prop_oneof![parameter, plain], 0..4);
    let method = prop::option::of("[A-Z]{1,8}");
    (method, inner, last).prop_map(|(method, mut segments, last)| {
        segments.push(last);
        let path: PathTemplate = format!("/{}", segments.join("/")).parse().unwrap();
        Operation { method, path }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_share_survives_its_text(share in share()) {
        survives(&share);
        assert!((share.ratio() * f64::from(Share::WHOLE) - f64::from(share.parts())).abs() < 1e-6);
    }

    #[test]
    fn a_rate_survives_its_text(rate in rate()) {
        survives(&rate);
    }

    #[test]
    fn a_budget_survives_its_text(share in share(), floor in any::<u32>()) {
        survives(&RetryBudget { share, floor });
    }

    #[test]
    fn a_reason_to_try_again_survives_its_text(on in retry_on()) {
        survives(&on);
    }

    #[test]
    fn a_way_of_balancing_survives_its_text(by in hash_by()) {
        survives(&by);
        survives(&Balance::Hash(by));
        survives(&Balance::LeastRequest);
        survives(&Balance::RoundRobin);
    }

    #[test]
    fn an_operation_survives_its_text(operation in operation()) {
        survives(&operation);
    }

    #[test]
    fn an_operation_fits_the_requests_it_was_filled_with(
        operation in operation(),
        filling in "[a-z0-9]{1,6}",
        rest in "[a-z]{1,3}(/[a-z]{1,3}){0,2}",
    ) {
        let filled: String = operation
            .path
            .segments()
            .map(|segment| match segment {
                _ if segment.starts_with("{*") => format!("/{rest}"),
                _ if segment.starts_with('{') => format!("/{filling}"),
                _ => format!("/{segment}"),
            })
            .collect();
        let method = operation.method.clone().unwrap_or_else(|| "ANY".to_owned());
        assert!(operation.matches(&method, &filled), "{operation} {filled}");
        assert!(operation.method.is_none() || !operation.matches("X-OTHER", &filled));
    }

    #[test]
    fn a_template_is_the_pattern_that_it_looks_like(
        template in "(/(a|b|\\{x\\})){0,3}(/|/a|/\\{x\\}|/\\{\\*x\\})",
        path in "(/[ab]{0,1}){1,5}",
    ) {
        let pattern = regex::escape(&template)
            .replace(r"\{\*x\}", "[^/]+(/.*)?")
            .replace(r"\{x\}", "[^/]+");
        let expected = regex::Regex::new(&format!("^{pattern}$")).unwrap().is_match(&path);
        let read: PathTemplate = template.parse().unwrap();
        assert_eq!(read.matches(&path), expected, "{template} {path} {pattern}");
    }

    #[test]
    fn the_names_of_parameters_tell_no_requests_apart(operation in operation()) {
        let renamed = operation.to_string().replace('{', "{n").replace("{n*", "{*n");
        let renamed: Operation = renamed.parse().unwrap();
        assert!(operation.same_requests(&renamed) && renamed.same_requests(&operation));
        let longer: Operation = format!("{}/x", operation.to_string().trim_end_matches('/'))
            .replace("{*", "{")
            .parse()
            .unwrap();
        assert!(!operation.same_requests(&longer), "{operation} {longer}");
    }

    #[test]
    fn no_text_is_read_as_another_than_it_writes(text in "[0-9.%+/smh]{0,8}") {
        if let Ok(share) = text.parse::<Share>() {
            let number: f64 = text.trim_end_matches('%').parse().unwrap();
            assert!((share.ratio() * 100.0 - number).abs() < 1e-9, "{text}");
        }
        if let Ok(rate) = text.parse::<Rate>() {
            assert_eq!(text.trim_start_matches('0'), rate.to_string());
        }
    }
}

fn refused<T: FromStr + Debug>(texts: &[&str]) {
    for text in texts {
        let read = text.parse::<T>().ok();
        assert!(read.is_none(), "{text:?} is read as {read:?}");
    }
}

#[test]
fn what_is_no_such_text_is_refused() {
    refused::<Share>(&[
        "",
        "%",
        "5",
        "5 %",
        "-5%",
        "+5%",
        ".5%",
        "5.%",
        "5.123%",
        "100.01%",
        "101%",
        "5%%",
        "five%",
        "99999999999%",
        "1e1%",
        "٥%",
    ]);
    refused::<Rate>(&[
        "",
        "5",
        "/s",
        "5/",
        "5/d",
        "0/s",
        "+5/s",
        "-5/s",
        "5.5/s",
        "5 /s",
        "5/s/s",
        "5/S",
        "4294967296/s",
    ]);
    refused::<RetryBudget>(&[
        "",
        "20",
        "+3/s",
        "20%+",
        "20%+3",
        "20%+3/m",
        "20%++3/s",
        "20%+-3/s",
        "20%+3/s+3/s",
        "20% + 3/s",
        "101%+3/s",
    ]);
}

#[test]
fn what_is_no_word_of_calls_is_refused() {
    refused::<RetryOn>(&[
        "",
        "Connect",
        "connected",
        "200",
        "428",
        "499",
        "600",
        "0503",
        "+503",
        "5xx",
        "5030",
        "unavailable",
    ]);
    refused::<Balance>(&[
        "",
        "random",
        "header",
        "header:",
        "header:a b",
        "cookie:a;b",
        "query:x",
        "least-request:x",
    ]);
    refused::<HashBy>(&["", "x-user", "header:", "Header:x", "header:a:b", "cookie:é"]);
}

#[test]
fn what_is_no_operation_is_refused_with_its_reason() {
    for (text, reason) in [
        ("", "no method"),
        ("/x", "no method"),
        ("GET", "no method"),
        ("get /x", "capital"),
        (" /x", "capital"),
        ("GET,PUT /x", "capital"),
        ("GET x", "begins with"),
        ("GET  /x", "begins with"),
        ("GET http://a/x", "begins with"),
        ("GET //x", "empty segments"),
        ("GET /x//y", "empty segments"),
        ("GET /x/../y", "dot segments"),
        ("GET /.", "dot segments"),
        ("GET /x?y", "plain text"),
        ("GET /x#y", "plain text"),
        ("GET /a%2fb", "plain text"),
        ("GET /a b", "plain text"),
        ("GET /a\\b", "plain text"),
        ("GET /ü", "plain text"),
        ("GET /a\tb", "plain text"),
        ("GET /{x", "plain text"),
        ("GET /x}", "plain text"),
        ("GET /a{x}", "plain text"),
        ("GET /{}", "has a name"),
        ("GET /{*}", "has a name"),
        ("GET /{**x}", "letters"),
        ("GET /{x}{y}", "letters"),
        ("GET /{a b}", "letters"),
        ("GET /{*x}/y", "last only"),
    ] {
        let error = text.parse::<Operation>().unwrap_err();
        assert!(error.reason().contains(reason), "{text:?}: {}", error.reason());
        assert!(error.to_string().contains(&format!("`{text}`")), "{error}");
    }
}

#[test]
fn a_template_fits_whole_segments_only() {
    let cases = [
        ("/", "/", true),
        ("/", "/x", false),
        ("/x", "/x", true),
        ("/x", "/x/", false),
        ("/x/", "/x/", true),
        ("/x", "/X", false),
        ("/x/{id}", "/x/7", true),
        ("/x/{id}", "/x/", false),
        ("/x/{id}", "/x", false),
        ("/x/{id}", "/x/7/8", false),
        ("/x/{*rest}", "/x/7/8", true),
        ("/x/{*rest}", "/x/7/", true),
        ("/x/{*rest}", "/x/", false),
        ("/x/{*rest}", "/x", false),
        ("/{a}/y", "/x/y", true),
        ("/{a}/y", "//y", false),
    ];
    for (template, path, fits) in cases {
        let template: PathTemplate = template.parse().unwrap();
        assert_eq!(template.matches(path), fits, "{} {path}", template.as_str());
    }
}

/// A rule, with texts that keep it and texts that break it.
type Rule = (fn(&str) -> bool, &'static [&'static str], &'static [&'static str]);

#[test]
fn texts_without_a_type_have_their_rules() {
    let table: [Rule; 4] = [
        (text::is_method, &["GET", "PURGE"], &["", "get", "GET ", "M-SEARCH"]),
        (
            text::is_header,
            &["x-a", "X_a", "x=1", "x=", "x = a b"],
            &["", "=1", "a b", "a:b", "x=\n", "é"],
        ),
        (
            text::is_location,
            &["/", "/new?a=1#b", "https://example.com", "http://a:1/b"],
            &[
                "",
                "new",
                "//host",
                "/a b",
                "/\\host",
                "ftp://a",
                "https:/a",
                "https:a",
                "http://",
                "http://u:p@a/",
                "javascript:x",
            ],
        ),
        (
            text::is_otlp_address,
            &["http://127.0.0.1:4318", "http://collector/otlp"],
            &[
                "",
                "127.0.0.1:4318",
                "https://a",
                "http://a?b",
                "http://a#b",
                "http://u@a",
                "grpc://a",
            ],
        ),
    ];
    for (number, (rule, good, bad)) in table.iter().enumerate() {
        good.iter().for_each(|text| assert!(rule(text), "{number}: {text:?}"));
        bad.iter().for_each(|text| assert!(!rule(text), "{number}: {text:?}"));
    }
}

#[test]
fn each_action_survives_json_and_refuses_what_it_does_not_know() {
    let name = |text: &str| text.parse().unwrap();
    let share = Share::percent(5);
    let actions = [
        Action::Route(name("v2")),
        Action::Redirect(Redirect { to: "/new".to_owned(), status: 308 }),
        Action::Rewrite(Rewrite { from: "/a".to_owned(), to: "/".to_owned() }),
        Action::Mirror(Mirror { to: name("v2"), share }),
        Action::Delay { by: Duration::from_millis(300), share },
        Action::Abort { status: 503, share },
    ];
    let rules: Vec<_> = actions
        .into_iter()
        .enumerate()
        .map(|(number, action)| TrafficRule {
            name: name(&format!("r{number}")),
            matches: super::Matches {
                methods: vec!["GET".to_owned()],
                path: Some("/{id}".parse().unwrap()),
                headers: vec![HeaderMatch::from("X-User=ann".to_owned())],
                callers: vec![name("shop")],
            },
            action,
        })
        .collect();
    let weights = [(name("v1"), 90), (name("v2"), 10)].into();
    let sticky = Some(HashBy::Cookie("sid".to_owned()));
    let traffic = Traffic { split: Some(Split { weights, sticky }), rules };
    let json = serde_json::to_value(&traffic).unwrap();
    assert_eq!(serde_json::from_value::<Traffic>(json.clone()).unwrap(), traffic);
    for rule in json["rules"].as_array().unwrap() {
        let mut other = rule.clone();
        other["extra"] = 1.into();
        assert!(serde_json::from_value::<TrafficRule>(other).is_err(), "{rule}");
        let action = ["redirect", "rewrite", "mirror", "delay", "abort"];
        for key in action.into_iter().filter(|key| rule[key].is_object()) {
            let mut other = rule.clone();
            other[key]["extra"] = 1.into();
            assert!(serde_json::from_value::<TrafficRule>(other).is_err(), "{key}: {rule}");
        }
    }
}

#[test]
fn defaults_survive_json_and_are_what_nothing_means() {
    let calls = serde_json::to_string(&Calls::default()).unwrap();
    assert_eq!(serde_json::from_str::<Calls>(&calls).unwrap(), Calls::default());
    assert_eq!(serde_json::from_str::<Calls>("{}").unwrap(), Calls::default());
    let mesh = serde_json::to_string(&MeshSettings::default()).unwrap();
    assert_eq!(serde_json::from_str::<MeshSettings>(&mesh).unwrap(), MeshSettings::default());
    for protocol in [Protocol::Http1, Protocol::H2c, Protocol::Grpc, Protocol::Tcp] {
        let json = serde_json::to_string(&protocol).unwrap();
        assert_eq!(json, format!("\"{}\"", protocol.as_str()));
        assert_eq!(serde_json::from_str::<Protocol>(&json).unwrap(), protocol);
        assert_eq!(protocol.is_http(), protocol != Protocol::Tcp);
    }
}
