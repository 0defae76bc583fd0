//! Releases: what they need, what they keep, and how one goes back and onward.

use std::collections::BTreeMap;

use updraft_release::{ChangeKind, StoreError};
use updraft_system::release::Origin;

use crate::fixture::{
    ADDRESS, COMPLETE, SECRET, SHOP, Shop, author, builds, name, number, refused,
};

#[test]
fn everything_that_a_release_lacks_is_told_at_once() {
    let shop = Shop::new();
    let mut new = shop.new_release("production", "one");
    new.builds = builds("one", &["orders", "mail"]);
    let told = refused(shop.store.append(new.clone(), &author(2)));
    let expected = [
        "pricing has no build",
        "mail was built, and is no service of shop; there is orders, pricing",
        "orders.PAGE_SIZE is required: a whole number from 1 to 500; set it with `updraft config set -e production orders.PAGE_SIZE=…`",
        "orders.PUBLIC_URL is required: an absolute URL such as https://example.com/; set it with `updraft config set -e production orders.PUBLIC_URL=…`",
        "orders.STRIPE_SECRET is required: a secret; set it with `updraft config set -e production orders.STRIPE_SECRET=…`",
        "db is a resource without an address in production; set it with `updraft config set -e production db=-`, from stdin",
    ];
    assert_eq!(told, expected);
    assert!(!shop.store.exists());
    shop.set("production", COMPLETE).unwrap();
    assert_eq!(refused(shop.store.append(new, &author(2))).len(), 2);
    assert!(shop.store.list(None).unwrap().releases.is_empty());
}

#[test]
fn the_local_deploy_binds_its_own_resources() {
    let shop = Shop::new();
    shop.set("local", &COMPLETE[..3]).unwrap();
    let release = shop.release("local", "one");
    assert!(release.resources.is_empty() && shop.store.addresses(&release).unwrap().is_empty());
}

#[test]
fn a_release_keeps_what_it_was_made_of() {
    let shop = Shop::complete();
    let release = shop.release("production", "one");
    let expected = [
        ("LEVEL", "info"),
        ("PAGE_SIZE", "20"),
        ("PUBLIC_URL", COMPLETE[1].1),
        ("STRIPE_SECRET", SECRET),
    ];
    let expected = expected.map(|(key, value)| (key.to_owned(), value.to_owned()));
    shop.set("production", &[("orders.PAGE_SIZE", "21"), ("db", "postgresql://new/x")]).unwrap();
    let again = shop.store.release(release.number).unwrap();
    assert_eq!(again, release);
    assert_eq!(shop.environment(&again, "orders"), expected);
    assert_eq!(shop.environment(&again, "pricing"), [("RATE".to_owned(), "1.5".to_owned())]);
    assert_eq!(shop.store.addresses(&again).unwrap()[&name("db")].expose(), ADDRESS);
    assert_eq!(again.resources[&name("db")], "postgresql://…@db.example/shop");
    assert_eq!(shop.store.manifest(&again).unwrap(), SHOP);
    let told = refused(shop.store.environment(&again, &name("order")));
    assert_eq!(told, ["order is no service of release 1; did you mean `orders`?"]);
    let next = shop.release("production", "two");
    assert_eq!(shop.environment(&next, "orders")[1].1, "21");
    assert_eq!((next.number, next.parent), (number(2), Some(number(1))));
}

#[test]
fn a_rollback_is_a_release_of_its_own_and_goes_further_back_each_time() {
    let shop = Shop::complete();
    for text in ["one", "two", "three"] {
        shop.release("production", text);
        shop.set("production", &[("orders.STRIPE_SECRET", text)]).unwrap();
    }
    let deploy = name("production");
    let back = |to| {
        let release = shop.store.rollback(&deploy, to, None, &author(5)).unwrap();
        shop.store.set_current(release.number).unwrap()
    };
    let first = back(None);
    assert_eq!((first.number, first.parent), (number(4), Some(number(3))));
    assert_eq!(first.origin, Origin::Rollback { of: number(2) });
    assert_eq!(first.builds, builds("two", &["orders", "pricing"]));
    assert_eq!(shop.environment(&first, "orders")[3].1, "one", "its values are the old ones");
    let second = back(None);
    assert_eq!(second.origin, Origin::Rollback { of: number(1) });
    let nothing = shop.store.rollback(&deploy, None, None, &author(5)).unwrap_err();
    let said = "release 1 is the first of production: there is nothing before it";
    assert_eq!(nothing.to_string(), said);
    let forth = back(Some(number(3)));
    assert_eq!(forth.number, number(6));
    assert_eq!(forth.builds, builds("three", &["orders", "pricing"]));
    assert_eq!(shop.store.current(&deploy).unwrap(), Some(forth));
}

#[test]
fn a_rollback_needs_no_key_and_says_what_it_cannot_go_back_to() {
    let shop = Shop::complete();
    shop.release("production", "one");
    shop.release("production", "two");
    std::fs::remove_file(shop.folder.path().join("config/age.key")).unwrap();
    let deploy = name("production");
    let release = shop.store.rollback(&deploy, None, None, &author(5)).unwrap();
    assert_eq!(release.number, number(3));
    let said = |deploy: &str, to| {
        shop.store.rollback(&name(deploy), to, None, &author(5)).unwrap_err().to_string()
    };
    assert_eq!(said("production", Some(number(9))), "there is no release 9; the newest is 3");
    assert_eq!(said("staging", None), "staging has no release; those with one are production");
    let of_another =
        "release 1 is of production, not of staging: `promote` moves a release to another deploy";
    assert_eq!(said("staging", Some(number(1))), of_another);
}

#[test]
fn a_promotion_moves_builds_and_manifest_and_never_values() {
    let shop = Shop::complete();
    shop.set("staging", COMPLETE).unwrap();
    shop.set("staging", &[("orders.STRIPE_SECRET", "of staging")]).unwrap();
    let source = shop.release("staging", "one");
    let (from, to) = (name("staging"), name("production"));
    let release = shop.store.promote(&from, &to, None, &author(5)).unwrap();
    assert_eq!((&release.builds, &release.manifest), (&source.builds, &source.manifest));
    assert_eq!(release.origin, Origin::Promoted { from, of: source.number });
    assert_eq!((release.deploy.clone(), release.parent), (to, None));
    assert_eq!(shop.environment(&release, "orders")[3].1, SECRET);
    assert_eq!(shop.store.current(&release.deploy).unwrap(), None, "nobody has made it current");
}

#[test]
fn a_promotion_to_a_deploy_that_lacks_values_is_refused_with_all_of_them() {
    let shop = Shop::complete();
    shop.release("production", "one");
    let (from, to) = (name("production"), name("staging"));
    let told = refused(shop.store.promote(&from, &to, None, &author(5)));
    let about: Vec<_> = told.iter().map(|it| it.split(' ').next().unwrap()).collect();
    let expected = ["orders.PAGE_SIZE", "orders.PUBLIC_URL", "orders.STRIPE_SECRET", "db"];
    assert_eq!(about, expected);
    let none = shop.store.promote(&to, &from, None, &author(5)).unwrap_err();
    assert!(matches!(none, StoreError::NoCurrent { .. }), "{none}");
    assert_eq!(shop.store.list(None).unwrap().releases.len(), 1);
}

#[test]
fn the_difference_of_two_releases_is_told_without_secrets() {
    let shop = Shop::complete();
    let one = shop.release("production", "one");
    let set = [("orders.STRIPE_SECRET", "hunter2-new"), ("orders.PAGE_SIZE", "21")];
    shop.set("production", &set).unwrap();
    shop.set("production", &[("pricing.RATE", "2"), ("db", "postgresql://u:p@new/x")]).unwrap();
    let mut new = shop.new_release("production", "one");
    new.builds.extend(builds("two", &["pricing"]));
    new.manifest = SHOP.replace("default = \"info\"", "default = \"debug\"");
    let two = shop.store.append(new, &author(5)).unwrap();
    let difference = shop.store.difference(&one, &two).unwrap();
    let built: Vec<_> = difference.builds.iter().map(|it| (&it.service, it.change)).collect();
    assert_eq!(built, [(&name("pricing"), ChangeKind::Changed)]);
    let values: Vec<_> = difference
        .config
        .iter()
        .map(|it| {
            let (before, after) = (it.value.before.as_deref(), it.value.after.as_deref());
            (it.setting.as_str(), it.change, before, after)
        })
        .collect();
    let expected = [
        ("orders.PAGE_SIZE", ChangeKind::Changed, Some("20"), Some("21")),
        ("orders.STRIPE_SECRET", ChangeKind::Changed, None, None),
        ("pricing.RATE", ChangeKind::Added, None, Some("2")),
    ];
    assert_eq!(values, expected);
    let address = &difference.resources[0].address;
    assert_eq!(address.after.as_deref(), Some("postgresql://…@new/x"));
    let changed: Vec<_> =
        difference.manifest.lines().filter(|line| line.starts_with(['+', '-'])).collect();
    assert_eq!(changed.len(), 4, "{}", difference.manifest);
    assert!(changed[0] == "--- release 1" && changed[1] == "+++ release 2");
    assert!(shop.store.difference(&two, &two).unwrap().is_empty());
    let backwards = shop.store.difference(&two, &one).unwrap();
    assert_eq!(backwards.config[2].change, ChangeKind::Removed);
}

#[test]
fn what_is_set_and_not_released_is_told() {
    let shop = Shop::complete();
    shop.release("production", "one");
    let unreleased = || shop.store.unreleased(&name("production"), &shop.system).unwrap();
    assert_eq!(unreleased(), (vec![], vec![]));
    shop.set("production", &[("orders.PAGE_SIZE", "99")]).unwrap();
    assert_eq!(unreleased().0[0].setting, "orders.PAGE_SIZE");
}

#[test]
fn a_number_is_never_used_twice() {
    let shop = Shop::complete();
    shop.release("production", "one");
    shop.release("production", "two");
    let record = shop.files().into_iter().find(|it| it.to_string_lossy().contains("/records/2-"));
    std::fs::remove_file(record.unwrap()).unwrap();
    // The pointer remembers it, and is healed by going back.
    let damaged = shop.store.append(shop.new_release("production", "x"), &author(3));
    assert!(matches!(damaged, Err(StoreError::Damaged(_))), "{damaged:?}");
    let back = shop.store.rollback(&name("production"), Some(number(1)), None, &author(3));
    assert_eq!(back.unwrap().number, number(3));
}

#[test]
fn two_writers_at_once_lose_nothing() {
    let shop = Shop::new();
    shop.set("local", &COMPLETE[..3]).unwrap();
    const EACH: usize = 8;
    std::thread::scope(|scope| {
        for writer in ["a", "b", "c"] {
            let shop = &shop;
            scope.spawn(move || {
                for round in 0..EACH {
                    shop.release("local", &format!("{writer}{round}"));
                }
            });
        }
    });
    let listing = shop.store.list(None).unwrap();
    let numbers: Vec<u64> = listing.releases.iter().rev().map(|it| it.number.get()).collect();
    assert_eq!(numbers, (1..=3 * EACH as u64).collect::<Vec<_>>());
    let mut of_each: BTreeMap<String, usize> = BTreeMap::new();
    for release in &listing.releases {
        let commit = release.builds[&name("orders")].commit.clone().unwrap();
        *of_each.entry(commit).or_default() += 1;
    }
    assert!(of_each.len() == 3 * EACH && of_each.values().all(|&times| times == 1));
    assert_eq!(shop.store.verify().unwrap(), []);
}

#[test]
fn a_store_of_another_version_is_left_alone() {
    let shop = Shop::complete();
    std::fs::write(shop.store.root().join("format"), "updraft-releases 2\n").unwrap();
    let before = shop.files();
    let refused = shop.set("production", &[("orders.PAGE_SIZE", "1")]).unwrap_err();
    assert!(matches!(refused, StoreError::Format { .. }), "{refused}");
    assert_eq!(shop.files(), before);
}

#[test]
fn a_procfile_is_run_again_under_its_name() {
    let shop = Shop::new();
    let mut new = shop.new_release("local", "one");
    new.builds = builds("one", &["old-app"]);
    new.manifest = "web: ./serve\n".to_owned();
    new.form = updraft_system::release::ManifestForm::Procfile { system: name("old-app") };
    let release = shop.store.append(new, &author(2)).unwrap();
    assert_eq!(shop.store.system(&release).unwrap().name, name("old-app"));
    assert!(shop.store.environment(&release, &name("old-app")).unwrap().is_empty());
}
