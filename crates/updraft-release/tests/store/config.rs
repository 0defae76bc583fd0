//! Values: what is taken, what is refused, and who set what.

use updraft_release::SettingState;
use updraft_system::release::Visibility;

use crate::fixture::{ADDRESS, COMPLETE, SECRET, Shop, author, changes, name, refused};

#[test]
fn all_mistakes_are_told_at_once_and_leave_no_trace() {
    let shop = Shop::new();
    let wrong = [
        ("orders.PAGE_SIZE", "501"),
        ("orders.PUBLIC_URL", "nowhere"),
        ("orders.STRIPE_SECRET", ""),
        ("orders.STRIPE_SECRT", "x"),
        ("orders.LEVEL", "loud"),
        ("oders.LEVEL", "info"),
        ("pricing.RATE", "1"),
        ("pricing.RATE", "2"),
        ("dbb", "postgresql://h/x"),
        ("db", "mysql://u:hunter2@h/x"),
        ("cache", "hunter2"),
        ("orders", "x"),
    ];
    let told = refused(shop.set("production", &wrong));
    let expected = [
        "orders.PAGE_SIZE is `501`; it must be a whole number from 1 to 500",
        "orders.PUBLIC_URL is not an absolute URL such as https://example.com/",
        "orders.STRIPE_SECRET is empty; it must be a secret",
        "orders.STRIPE_SECRT is not in the `config` of orders; did you mean `STRIPE_SECRET`?",
        "orders.LEVEL is `loud`; it must be one of debug, info",
        "oders.LEVEL is of no service of shop; did you mean `orders`?",
        "pricing.RATE is given twice; give it once",
        "dbb is no resource of shop; did you mean `db`?",
        "db does not fit: a resource of kind `postgres` cannot be at a `mysql:` address: use postgresql://user:password@host:port/database",
        "cache is not a URL: write scheme://user:password@host:port/path, special characters as %XX",
        "orders is a service, not a resource; write `orders.KEY=VALUE`",
    ];
    assert_eq!(told, expected);
    assert!(!shop.store.exists() && !shop.folder.path().join("config").exists());
    assert_eq!(std::fs::read_dir(shop.folder.path()).unwrap().count(), 0);
}

#[test]
fn one_wrong_value_keeps_the_right_ones_out() {
    let shop = Shop::complete();
    let set = [("orders.PAGE_SIZE", "30"), ("pricing.RATE", "dear")];
    assert_eq!(refused(shop.set("production", &set)).len(), 1);
    let told = refused(shop.store.configure(
        &name("production"),
        &shop.system,
        &changes(&[("orders.PAGE_SIZE", "30")], &["pricing.RATE", "orders.PAGE_SIZ"]),
        &author(9),
    ));
    let expected = [
        "pricing.RATE is not set; there is orders.PAGE_SIZE, orders.PUBLIC_URL, orders.STRIPE_SECRET, db",
        "orders.PAGE_SIZ is not set; did you mean `orders.PAGE_SIZE`?",
    ];
    assert_eq!(told, expected);
    let settings = shop.store.settings(&name("production"), &shop.system).unwrap();
    let size = settings.iter().find(|it| it.setting == "orders.PAGE_SIZE").unwrap();
    assert_eq!(size.value.as_deref(), Some("20"));
}

#[test]
fn what_is_too_large_or_cannot_be_in_an_environment_is_refused() {
    let shop = Shop::new();
    let long = "x".repeat(64 * 1024 + 1);
    let told = refused(shop.set("production", &[("orders.STRIPE_SECRET", &long)]));
    assert!(told[0].contains("longer than 65536 bytes"), "{told:?}");
    let told = refused(shop.set("production", &[("orders.STRIPE_SECRET", "a\0b")]));
    assert!(told[0].contains("zero byte"), "{told:?}");
}

#[test]
fn a_listing_has_the_whole_contract_and_shows_no_secret() {
    let shop = Shop::new();
    let set = [("orders.STRIPE_SECRET", SECRET), ("orders.PUBLIC_URL", COMPLETE[1].1)];
    shop.set("production", &set).unwrap();
    let list = shop.store.settings(&name("production"), &shop.system).unwrap();
    let row = |it: &updraft_release::SettingStatus| {
        (it.setting.clone(), it.state, it.visibility, it.value.clone(), it.who.clone())
    };
    let rows: Vec<_> = list.iter().map(row).collect();
    let ada = Some("ada@lab".to_owned());
    let some = |text: &str| Some(text.to_owned());
    let expected = [
        ("orders.LEVEL", SettingState::Default, Visibility::Plain, some("info"), None),
        ("orders.PAGE_SIZE", SettingState::Missing, Visibility::Plain, None, None),
        (
            "orders.PUBLIC_URL",
            SettingState::Set,
            Visibility::Address,
            some("https://…@shop.example/"),
            ada.clone(),
        ),
        ("orders.STRIPE_SECRET", SettingState::Set, Visibility::Secret, None, ada),
        ("pricing.RATE", SettingState::Default, Visibility::Plain, some("1.5"), None),
        ("cache", SettingState::Default, Visibility::Address, None, None),
        ("db", SettingState::Missing, Visibility::Address, None, None),
    ];
    assert_eq!(rows, expected.map(|(a, b, c, d, e)| (a.to_owned(), b, c, d, e)));
    let local = shop.store.settings(&name("local"), &shop.system).unwrap();
    let db = local.iter().find(|it| it.setting == "db").unwrap();
    assert_eq!(db.state, SettingState::Default, "this machine has its own");
}

#[test]
fn a_value_that_has_become_secret_is_hidden_and_one_that_is_unused_is_said_to_be() {
    let shop = Shop::complete();
    let hidden = crate::fixture::SHOP.replace("PUBLIC_URL = \"url\"", "PUBLIC_URL = \"secret\"");
    let hidden = hidden.replace("PAGE_SIZE = { type = \"int\", min = 1, max = 500 }, ", "");
    let system = updraft_system::parse_manifest(&hidden).unwrap();
    let list = shop.store.settings(&name("production"), &system).unwrap();
    let find = |setting: &str| list.iter().find(|it| it.setting == setting).unwrap();
    let url = find("orders.PUBLIC_URL");
    assert_eq!((url.visibility, &url.value), (Visibility::Secret, &None));
    assert_eq!(find("orders.PAGE_SIZE").state, SettingState::Unused);
}

#[test]
fn each_change_is_a_version_and_what_changes_nothing_is_none() {
    let shop = Shop::new();
    let deploy = name("production");
    let first = shop.set("production", &[("orders.PAGE_SIZE", "20"), ("pricing.RATE", "2")]);
    assert_eq!(first.unwrap().snapshot.unwrap().version.get(), 1);
    let again = shop.set("production", &[("orders.PAGE_SIZE", "20")]).unwrap();
    assert_eq!((again.snapshot.unwrap().version.get(), again.changed), (1, vec![]));
    let later = |set: &[(&str, &str)], unset: &[&str]| {
        let changes = changes(set, unset);
        shop.store.configure(&deploy, &shop.system, &changes, &author(99)).unwrap()
    };
    let second = later(&[("orders.PAGE_SIZE", "21"), ("pricing.RATE", "2")], &[]);
    assert_eq!(second.snapshot.unwrap().version.get(), 2);
    assert_eq!(second.changed, ["orders.PAGE_SIZE"]);
    let list = shop.store.settings(&deploy, &shop.system).unwrap();
    let set = |setting: &str| list.iter().find(|it| it.setting == setting).unwrap().set.unwrap();
    assert_eq!(set("orders.PAGE_SIZE").as_second(), 99);
    assert_eq!(set("pricing.RATE").as_second(), 1, "it was not touched");
    let third = later(&[], &["pricing.RATE", "orders.PAGE_SIZE"]);
    assert_eq!(third.snapshot.unwrap().version.get(), 3);
    let list = shop.store.settings(&deploy, &shop.system).unwrap();
    assert!(list.iter().all(|it| it.state != SettingState::Set));
}

#[test]
fn deploys_have_values_of_their_own() {
    let shop = Shop::complete();
    shop.set("staging", &[("orders.PAGE_SIZE", "7"), ("db", ADDRESS)]).unwrap();
    let (values, resources) =
        shop.store.between(&name("production"), &name("staging"), &shop.system).unwrap();
    let told: Vec<_> = values
        .iter()
        .map(|it| (it.setting.as_str(), it.value.before.as_deref(), it.value.after.as_deref()))
        .collect();
    let expected = [
        ("orders.PAGE_SIZE", Some("20"), Some("7")),
        ("orders.PUBLIC_URL", Some("https://…@shop.example/"), None),
        ("orders.STRIPE_SECRET", None, None),
    ];
    assert_eq!(told, expected);
    assert_eq!(resources, [], "the same address");
    let deploys = shop.store.deploys().unwrap();
    assert_eq!(deploys, [name("production"), name("staging")]);
}
