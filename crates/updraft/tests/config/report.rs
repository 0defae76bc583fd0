//! What is wrong is said at once, before anything starts.

use crate::support::{SOUND, run, sound_and};

const WRONG: [(&str, &str); 8] = [
    ("OVERDUE_DAYS", "366"),
    ("CURRENCY", "canary-1"),
    ("REGION", "canary-2"),
    ("DOCUMENT_SIZE", "canary-3"),
    ("PATIENCE", "1ms"),
    ("PRICING_URL", "http://user:canary-4@host?canary-5"),
    ("DRAIN_DELAY", "canary-6"),
    ("MAIL_KEY_FILE", "/canary/7"),
];

#[test]
fn all_that_is_wrong_is_found_at_once_whatever_was_asked() {
    for words in [
        &["worker"][..],
        &["task", "tell"],
        &["config", "check"],
        &["config", "explain"],
        &["attachments"],
    ] {
        let run = run(words, &WRONG);
        assert_eq!(run.code, Some(78), "{words:?}: {run:?}");
        assert!(run.stderr.contains("8 environment variables are wrong"), "{run:?}");
        for (variable, _) in WRONG {
            assert_eq!(run.stderr.matches(&format!("\n  {variable} ")).count(), 1, "{run:?}");
        }
        run.hides("canary");
        run.hides("\x1b");
    }
}

#[test]
fn a_report_has_the_doc_comment_and_something_to_copy() {
    let run = run(&["config", "check"], &[("OVERDUE_DAYS", "0"), ("CURENCY", "EUR")]);
    for line in [
        "OVERDUE_DAYS is not from 1 to 365",
        "what it is: Days until an unpaid invoice counts as overdue",
        "set it to a whole number from 1 to 365",
        "for example: OVERDUE_DAYS=30",
        "CURRENCY is not set",
        "set it to one of EUR, USD",
        "for example: CURRENCY=EUR",
        "MAIL_KEY is not set",
        "for example: MAIL_KEY=mk-0123",
        "CURENCY is set and nothing reads it; did you mean CURRENCY?",
    ] {
        assert!(run.stderr.contains(line), "{line}: {run:?}");
    }
}

#[test]
fn a_near_miss_alone_is_one_warning_of_the_log() {
    let told = run(&["task", "tell"], &sound_and(&[("OVERDUE_DAY", "canary"), ("PATIENCE2", "x")]));
    assert_eq!(told.code, Some(0), "{told:?}");
    let warnings: Vec<serde_json::Value> = told
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .filter(|line: &serde_json::Value| line["level"] == "WARN")
        .collect();
    assert_eq!(warnings.len(), 1, "{told:?}");
    assert_eq!(warnings[0]["variables"], "OVERDUE_DAY (OVERDUE_DAYS?)");
    told.hides("canary");
}

#[test]
fn what_kubernetes_says_of_its_services_is_no_mistake() {
    let links = sound_and(&[
        ("REGION_SERVICE_HOST", "10.0.0.1"),
        ("REGION_SERVICE_PORT", "80"),
        ("PATIENCE_PORT", "tcp://10.0.0.1:80"),
        ("REGION_PORT_80_TCP_ADDR", "10.0.0.1"),
        ("HOSTNAME", "settings-1"),
        ("HOME", "/root"),
    ]);
    let told = run(&["task", "tell"], &links);
    assert_eq!(told.code, Some(0), "{told:?}");
    assert!(!told.stdout.contains("WARN"), "{told:?}");
}

#[test]
fn a_secret_from_a_file_reaches_the_service_and_no_output() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    std::fs::write(&path, "canary-key\n").unwrap();
    let told = run(&["task", "tell"], &[SOUND[0], ("MAIL_KEY_FILE", path.to_str().unwrap())]);
    assert_eq!(told.code, Some(0), "{told:?}");
    assert!(told.stdout.contains(r#""mail_key":"[secret]""#), "{told:?}");
    told.hides("canary");
}
