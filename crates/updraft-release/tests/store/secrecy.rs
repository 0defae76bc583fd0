//! No secret lies in any file of a store, and none comes out in what is said.

use crate::fixture::{ADDRESS, COMPLETE, SECRET, Shop, author, changes, files_below, name, number};

/// Part of every secret of the shop, and of nothing else.
const CANARY: &str = "hunter2";

#[test]
fn no_secret_lies_in_any_file() {
    assert!([SECRET, ADDRESS, COMPLETE[1].1].iter().all(|it| it.contains(CANARY)));
    let shop = Shop::complete();
    let one = shop.release("production", "one");
    shop.set("production", &[("orders.STRIPE_SECRET", "hunter2-second")]).unwrap();
    shop.release("production", "two");
    let back = shop.store.rollback(&name("production"), None, None, &author(3)).unwrap();
    shop.store.set_current(back.number).unwrap();
    let files = files_below(shop.folder.path());
    assert!(files.len() > 10, "{files:?}");
    for file in files {
        let content = std::fs::read(&file).unwrap();
        let text = format!("{} {}", file.display(), String::from_utf8_lossy(&content));
        assert!(!text.contains(CANARY), "{}", file.display());
    }
    assert_eq!(shop.environment(&one, "orders")[3].1, SECRET, "it is there for whoever may");
}

#[test]
fn nothing_that_is_said_holds_a_secret() {
    let shop = Shop::complete();
    let release = shop.release("production", "one");
    let deploy = name("production");
    let wrong = [
        ("orders.STRIPE_SECRET", "hunter2\0"),
        ("orders.PUBLIC_URL", "hunter2"),
        ("db", "hunter2"),
        ("db", "mysql://u:hunter2@h"),
        ("hunter", "x"),
    ];
    let mut said = format!("{:?}", changes(COMPLETE, &[]));
    for one in wrong {
        let refused = shop.set("production", &[one]).unwrap_err();
        said.push_str(&format!("{refused} {refused:?}"));
    }
    let set = [("orders.STRIPE_SECRET", "hunter2-third"), ("db", "postgresql://a:hunter2@h/x")];
    said.push_str(&format!("{:?}", shop.set("production", &set).unwrap()));
    let next = shop.release("production", "two");
    said.push_str(&format!("{:?}", shop.store.difference(&release, &next).unwrap()));
    said.push_str(&format!("{:?}", shop.store.unreleased(&deploy, &shop.system).unwrap()));
    said.push_str(&format!("{:?}", shop.store.settings(&deploy, &shop.system).unwrap()));
    said.push_str(&format!("{:?}", shop.store.environment(&next, &name("orders")).unwrap()));
    said.push_str(&format!("{:?} {:?}", shop.store.addresses(&next).unwrap(), shop.store));
    said.push_str(&serde_json::to_string(&shop.store.release(number(2)).unwrap()).unwrap());
    let key = shop.folder.path().join("config/age.key");
    let text = std::fs::read_to_string(&key).unwrap();
    std::fs::write(&key, text.replace("AGE-SECRET-KEY-1", "hunter2-")).unwrap();
    let unread = shop.store.environment(&next, &name("orders")).unwrap_err();
    said.push_str(&format!("{unread} {unread:?}"));
    assert!(said.len() > 2000 && !said.contains(CANARY), "{said}");
}
