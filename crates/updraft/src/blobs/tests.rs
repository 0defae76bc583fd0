//! What only the inside of the crate can see: the counts, and what the health check says.

use super::*;
use crate::Variable as _;

#[tokio::test]
async fn every_operation_is_counted_by_how_it_ended() {
    let metrics = Metrics::default();
    let url = BlobsUrl::parse("memory:?max_bytes=10B").unwrap();
    let blobs = url.open_as("invoices", &Credentials::default(), &metrics).unwrap();
    blobs.put("a", "1").await.unwrap();
    blobs.create("a", "1").await.unwrap_err();
    blobs.put("a", vec![0; 11]).await.unwrap_err();
    blobs.read("a").await.unwrap();
    blobs.read("b").await.unwrap_err();
    blobs.delete("b").await.unwrap();
    let text = metrics.encode().unwrap();
    for (operation, outcome) in [
        ("put", "ok"),
        ("put", "unmet"),
        ("put", "invalid"),
        ("get", "ok"),
        ("get", "miss"),
        ("delete", "ok"),
    ] {
        let line = format!(
            "updraft_blobs_operations_total{{attachment=\"invoices\",operation=\"{operation}\",\
             outcome=\"{outcome}\"}} 1"
        );
        assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
    }
}

#[tokio::test]
async fn the_health_check_tells_that_a_folder_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let url = BlobsUrl::parse(&format!("file://{}/", folder.path().display())).unwrap();
    let blobs = url.open([]).unwrap();
    blobs.check().await.unwrap();
    folder.close().unwrap();
    blobs.check().await.unwrap_err();
    BlobsUrl::parse("memory:").unwrap().open([]).unwrap().check().await.unwrap();
}

#[test]
fn memory_is_refused_where_replicas_must_share_and_a_folder_is_not() {
    let spec =
        FieldSpec { shared: true, ..FieldSpec::new("blobs", "BLOBS", "BLOBS_URL", "invoices") };
    for (url, is_right) in [("memory:", false), ("file:///folder/", true)] {
        let variables = [("BLOBS_URL", url), ("REPLICAS", "2")];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let mut config = Config::from_variables(variables);
        assert_eq!(<Blobs as Field>::read(&mut config, &spec).is_ok(), is_right, "{url}");
        assert_eq!(<Option<Blobs> as Field>::read(&mut config, &spec).is_ok(), is_right, "{url}");
        assert_eq!(config.report().is_none(), is_right, "{url}");
    }
}

#[cfg(feature = "s3")]
#[test]
fn two_buckets_have_one_key_which_nobody_is_shown() {
    let variables = [
        ("A_URL", "s3://a/?endpoint=http://127.0.0.1:9"),
        ("B_URL", "s3://b/?endpoint=http://127.0.0.1:9"),
        ("AWS_ACCESS_KEY_ID", "id"),
        ("AWS_SECRET_ACCESS_KEY", "canary"),
        ("AWS_SESSION_TOKEN", "canary"),
    ];
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let mut config = Config::from_variables(variables);
    for (field, variable, url) in [("a", "A", "A_URL"), ("b", "B", "B_URL")] {
        let spec = FieldSpec::new(field, variable, url, "invoices");
        assert!(<Blobs as Field>::read(&mut config, &spec).is_ok(), "{:?}", config.report());
    }
    let told = format!("{}{}", config.explanation(), config.explanation_json());
    assert!(told.contains("AWS_SECRET_ACCESS_KEY") && !told.contains("canary"), "{told}");
}
