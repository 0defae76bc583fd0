//! Deploys as a release store tells of them.

use std::sync::Arc;

use super::*;
use crate::source::Declared;
use crate::source::trees::Folder;
use crate::verdict::Verdict;

const MANIFEST: &str = "system = \"shop\"\n[service.orders]\nrun = \"true\"\n\
    [service.orders.config]\nMAIL_KEY = \"secret\"\nLEVEL = { type = \"string\", default = \"x\" }\n\
    [service.plain]\nrun = \"true\"\n";

fn tree(service: &str, deploys: Result<Vec<Deploy>, String>) -> Tree {
    let system = Arc::new(updraft_system::parse_manifest(MANIFEST).unwrap());
    let (service, attached) = (service.parse().unwrap(), BTreeMap::new());
    let deploys = Arc::new(deploys);
    Folder::with(&[]).tree().declared(Declared { system, service, attached, deploys })
}

fn deploy(name: &str, digest: &str, commit: Option<&str>) -> Deploy {
    let set = [("MAIL_KEY", Variable::Set), ("LEVEL", Variable::Default)];
    let deployed = Deployed {
        digest: format!("sha256:{digest}"),
        commit: commit.map(str::to_owned),
        platform: Some("linux/amd64".to_owned()),
        required: ["MAIL_KEY".to_owned()].into(),
        variables: Some(set.map(|(name, how)| (name.to_owned(), how)).into()),
    };
    let services = ["orders", "plain"].map(|name| (name.parse().unwrap(), deployed.clone()));
    Deploy { name: name.parse().unwrap(), release: 1, services: services.into() }
}

fn changed(mut deploy: Deploy, change: impl Fn(&mut Deployed)) -> Deploy {
    deploy.services.values_mut().for_each(change);
    deploy
}

#[test]
fn only_two_builds_of_one_commit_for_one_machine_are_a_warning() {
    use Verdict::{NotApplicable, Pass, Unknown, Warn};
    let staging = || deploy("staging", "aa", Some("c1"));
    let production = |digest: &str, commit| deploy("production", digest, commit);
    let arm = |deploy| changed(deploy, |it| it.platform = Some("linux/arm64".to_owned()));
    let nowhere = |deploy| changed(deploy, |it| it.platform = None);
    let cases = [
        (vec![], NotApplicable),
        (vec![staging()], NotApplicable),
        (vec![staging(), production("aa", Some("c1"))], Pass),
        (vec![staging(), production("aa", None)], Pass),
        (vec![staging(), production("bb", Some("c1"))], Warn),
        (vec![staging(), production("bb", Some("c2"))], NotApplicable),
        (vec![staging(), production("bb", None)], Unknown),
        (vec![staging(), arm(production("bb", Some("c1")))], NotApplicable),
        (vec![staging(), nowhere(production("bb", Some("c1")))], Unknown),
        (vec![deploy("local", "cc", Some("c1")), staging()], Warn),
        (vec![staging(), production("aa", Some("c1")), deploy("x", "bb", Some("c1"))], Warn),
    ];
    for (deploys, verdict) in cases {
        let seen = digest(&tree("orders", Ok(deploys.clone())));
        assert_eq!(seen.verdict, verdict, "{deploys:?}: {seen:?}");
    }
    let broken = digest(&tree("orders", Err("a record is damaged".to_owned())));
    assert_eq!(broken.verdict, Unknown, "{broken:?}");
}

#[test]
fn a_variable_that_one_deploy_lacks_is_a_warning_and_a_default_is_none() {
    use Verdict::{NotApplicable, Pass, Unknown, Warn};
    let staging = || deploy("staging", "aa", Some("c1"));
    let production = || deploy("production", "bb", Some("c2"));
    let stands = |deploy: Deploy, variable: &str, how| {
        changed(deploy, |it| {
            let variables = it.variables.as_mut().unwrap();
            variables.insert(variable.to_owned(), how);
        })
    };
    let sealed = |deploy| changed(deploy, |it| it.variables = None);
    let lacks = |deploy| stands(deploy, "MAIL_KEY", Variable::Missing);
    let other = |deploy: Deploy| {
        changed(deploy, |it| {
            it.digest = "sha256:aa".to_owned();
            it.required.insert("NEW_KEY".to_owned());
        })
    };
    let cases = [
        (vec![staging()], NotApplicable),
        (vec![staging(), deploy("local", "aa", None)], NotApplicable),
        (vec![staging(), production()], Pass),
        (vec![staging(), stands(production(), "LEVEL", Variable::Set)], Pass),
        (vec![staging(), lacks(production())], Warn),
        (vec![lacks(staging()), lacks(production())], Pass),
        (vec![staging(), sealed(production())], Unknown),
        (vec![staging(), other(production())], Warn),
    ];
    for (deploys, verdict) in cases {
        let seen = keys(&tree("orders", Ok(deploys.clone())));
        assert_eq!(seen.verdict, verdict, "{deploys:?}: {seen:?}");
    }
    let seen = keys(&tree("orders", Ok(vec![staging(), lacks(production())])));
    assert!(seen.evidence.starts_with("MAIL_KEY is set in staging"), "{seen:?}");
    assert_eq!(keys(&tree("plain", Ok(vec![]))).verdict, NotApplicable);
    assert_eq!(keys(&tree("gone", Ok(vec![]))).verdict, Unknown);
}
