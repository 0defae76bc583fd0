//! What only the inside of the crate can see: the counts, and what configuration refuses.

use super::*;
use crate::Variable as _;

const SPEC: FieldSpec = FieldSpec {
    field: "cache",
    plain: "CACHE",
    url: "CACHE_URL",
    about: "what is quick to look up",
    default: Some("memory:"),
    example: None,
    one_of: &[],
    range: None,
    secret: false,
    shared: true,
};

fn read(spec: &FieldSpec, variables: &[(&str, &str)]) -> Result<CacheUrl, String> {
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let mut config = Config::from_variables(variables);
    let url = <Cache as Field>::read(&mut config, spec);
    let optional = <Option<Cache> as Field>::read(&mut config, spec);
    assert!(url.is_err() || optional.is_ok(), "both are judged alike where the URL is set");
    url.map_err(|_invalid| config.report().unwrap().to_string())
}

#[test]
fn memory_is_refused_where_replicas_must_share_and_only_there() {
    let alone = FieldSpec { shared: false, ..SPEC };
    let set = ("CACHE_URL", "memory:");
    let two = ("REPLICAS", "2");
    read(&SPEC, &[set, ("REPLICAS", "1")]).unwrap();
    read(&SPEC, &[set]).unwrap();
    read(&alone, &[set, two]).unwrap();
    for variables in [&[set, two][..], &[two][..]] {
        let report = read(&SPEC, variables).unwrap_err();
        for part in ["CACHE_URL", "REPLICAS", "redis:"] {
            assert!(report.contains(part), "{report}");
        }
    }
}

#[cfg(feature = "redis")]
#[test]
fn a_server_is_accepted_where_replicas_must_share() {
    read(&SPEC, &[("CACHE_URL", "redis://host/0"), ("REPLICAS", "3")]).unwrap();
}

#[tokio::test]
async fn every_operation_is_counted_by_how_it_ended() {
    let metrics = Metrics::default();
    let cache = CacheUrl::parse("memory:").unwrap().open_as("prices", "shop", &metrics).unwrap();
    let minute = Duration::from_secs(60);
    cache.get::<u8>("a").await.unwrap();
    cache.set("a", &1, minute).await.unwrap();
    cache.get::<u8>("a").await.unwrap();
    cache.get::<u8>("a").await.unwrap();
    cache.add("a", &1, minute).await.unwrap();
    cache.get::<u8>("").await.unwrap_err();
    let text = metrics.encode().unwrap();
    for (operation, outcome, count) in [
        ("get", "miss", 1),
        ("get", "ok", 2),
        ("get", "invalid", 1),
        ("set", "ok", 1),
        ("add", "unmet", 1),
    ] {
        let line = format!(
            "updraft_cache_operations_total{{attachment=\"prices\",operation=\"{operation}\",\
             outcome=\"{outcome}\"}} {count}"
        );
        assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
    }
    let seconds = "updraft_cache_operation_duration_seconds_count{attachment=\"prices\",\
                   operation=\"get\"} 4";
    assert!(text.contains(seconds), "{text}");
}

#[tokio::test]
async fn the_health_check_tells_a_server_that_is_away_from_memory() {
    let open = |url: &str| CacheUrl::parse(url).unwrap().open("shop").unwrap();
    open("memory:").check().await.unwrap();
    if cfg!(feature = "redis") {
        // Port 1 is nobody's.
        let away = open("redis://127.0.0.1:1/0?timeout=5s");
        away.check().await.unwrap_err();
        assert_eq!(away.location().to_string(), "redis://127.0.0.1:1/0");
    }
}
