//! Which release runs.

use crate::support::{SOUND, run, sound_and};

fn id(variables: &[(&str, &str)]) -> String {
    let version = run(&["version", "--json"], variables);
    assert_eq!(version.code, Some(0), "{version:?}");
    version.hides("canary");
    version.json()["release"].as_str().unwrap_or_else(|| panic!("no id: {version:?}")).to_owned()
}

#[test]
fn one_build_with_one_configuration_is_one_release() {
    let plain = id(&SOUND);
    assert!(plain.starts_with(concat!(env!("CARGO_PKG_VERSION"), "+")), "{plain}");
    assert_eq!(id(&SOUND), plain);
    // What a platform gives to one process is no part of the release.
    assert_eq!(id(&sound_and(&[("PORT", "8080"), ("HOST", "::1")])), plain);
    assert_eq!(id(&sound_and(&[("LISTEN", "unix:/run/x.sock"), ("LISTEN_MODE", "600")])), plain);
    assert_eq!(id(&sound_and(&[("MAIL_KEY", "canary-other")])), plain);
    assert_ne!(id(&sound_and(&[("CURRENCY", "USD")])), plain);
    assert_ne!(id(&sound_and(&[("LOG_LEVEL", "debug")])), plain);
    assert_ne!(id(&sound_and(&[("PRICING_URL", "http://pricing.example")])), plain);
}

#[test]
fn a_wrong_configuration_is_a_build_and_no_release() {
    let version = run(&["version", "--json"], &[("CURRENCY", "canary")]);
    assert_eq!(version.code, Some(0), "{version:?}");
    version.hides("canary");
    let json = version.json();
    assert!(json["release"].is_null() && json["config"].is_null(), "{json}");
    assert!(json["build"].as_str().unwrap().len() >= 8, "{json}");
    assert_eq!(json["version"], env!("CARGO_PKG_VERSION"));
}

#[test]
fn the_commit_is_the_one_that_is_checked_out() {
    let git = std::process::Command::new("git").args(["rev-parse", "HEAD"]).output();
    let told = run(&["version", "--json"], &SOUND).json()["commit"].clone();
    match git {
        Ok(output) if output.status.success() && option_env!("UPDRAFT_COMMIT").is_none() => {
            assert_eq!(told, String::from_utf8(output.stdout).unwrap().trim());
        }
        _ => assert!(told.is_null() || told.is_string()),
    }
}

#[test]
fn the_full_version_lists_what_it_was_built_from() {
    let full = run(&["version", "--full", "--json"], &SOUND).json();
    let list = full["dependencies"].as_array().unwrap();
    let known = |name: &str| list.iter().any(|it| it["name"] == name && it["version"].is_string());
    assert!(known("tokio") && known("updraft-resilience"), "{list:?}");
    // Other members of the workspace are no part of it.
    assert!(!known("updraft-cli") && !known("updraft"), "{list:?}");
    let lines = run(&["version", "--full"], &SOUND).stdout;
    assert!(lines.contains("\n  tokio 1."), "{lines}");
    assert!(!run(&["version"], &SOUND).stdout.contains("tokio"));
}
