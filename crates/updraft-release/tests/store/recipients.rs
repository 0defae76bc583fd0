//! Keys: the real `age` reads what lies in a store, and a team shares it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use jiff::Timestamp;
use updraft_release::{KeyError, KeyFile, Recipient, Store, StoreError};

use crate::fixture::{SECRET, Shop, author, changes, name, refused};

fn key(shop: &Shop, file: &str) -> (KeyFile, Recipient) {
    let key_file = KeyFile::at(shop.folder.path().join(file));
    let recipient = key_file.own_recipient(Timestamp::UNIX_EPOCH).unwrap();
    (key_file, recipient)
}

fn sealed(shop: &Shop) -> Vec<PathBuf> {
    shop.files().into_iter().filter(|it| it.extension().is_some_and(|it| it == "age")).collect()
}

/// What the `age` command makes of a file.
fn age(key: &Path, file: &Path) -> Option<String> {
    let output = Command::new("age").arg("--decrypt").arg("-i").arg(key).arg(file).output();
    let output = output.unwrap_or_else(|error| panic!("age: {error}; `cargo xtask setup`"));
    output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
}

#[test]
fn the_age_command_reads_the_values_of_a_store() {
    let shop = Shop::complete();
    let key = shop.folder.path().join("config/age.key");
    let text = age(&key, &sealed(&shop)[0]).unwrap();
    let values: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(values["values"]["orders"]["STRIPE_SECRET"]["text"], SECRET);
    assert_eq!(values["deploy"], "production");
}

#[test]
fn the_key_is_made_once_and_is_its_owners_alone() {
    let shop = Shop::complete();
    let path = shop.folder.path().join("config/age.key");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let before = fs::read(&path).unwrap();
    shop.set("staging", &[("pricing.RATE", "2")]).unwrap();
    assert_eq!(fs::read(&path).unwrap(), before);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let open = shop.set("staging", &[("pricing.RATE", "3")]).unwrap_err();
    assert!(matches!(open, StoreError::Key(KeyError::Open { .. })), "{open}");
    fs::remove_file(&path).unwrap();
    let missing = shop.set("staging", &[("pricing.RATE", "3")]).unwrap_err();
    assert!(matches!(missing, StoreError::Key(KeyError::Missing { .. })), "{missing}");
    assert!(!path.exists(), "a new key would read nothing that is there");
}

#[test]
fn many_first_users_at_once_make_one_key() {
    let folder = tempfile::tempdir().unwrap();
    let key_file = KeyFile::at(folder.path().join("deep/age.key"));
    let made = std::thread::scope(|scope| {
        let make = || key_file.own_recipient(Timestamp::UNIX_EPOCH).unwrap();
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(make)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
    });
    assert!(made.iter().all(|recipient| *recipient == made[0]), "{made:?}");
    assert_eq!(fs::read_dir(folder.path().join("deep")).unwrap().count(), 1, "no draft is left");
}

#[test]
fn a_recipient_reads_all_versions_and_a_removed_one_nothing_new() {
    let shop = Shop::complete();
    let release = shop.release("production", "one");
    shop.set("production", &[("pricing.RATE", "2")]).unwrap();
    let (bob_key, bob) = key(&shop, "bob");
    let as_bob = Store::open(shop.store.root(), bob_key.clone()).unwrap();
    let locked_out = as_bob.environment(&release, &name("orders")).unwrap_err();
    assert!(matches!(locked_out, StoreError::Sealed { .. }), "{locked_out}");
    let change = changes(&[("pricing.RATE", "3")], &[]);
    let not_bobs = as_bob.configure(&name("new"), &shop.system, &change, &author(4)).unwrap_err();
    assert!(not_bobs.to_string().contains(&format!("recipients add {bob}")), "{not_bobs}");

    shop.store.add_recipient(bob, Some("bob"), &author(4)).unwrap();
    assert_eq!(sealed(&shop).len(), 2, "each version once");
    assert!(as_bob.environment(&release, &name("orders")).is_ok());
    for file in sealed(&shop) {
        assert!(age(bob_key.path(), &file).is_some_and(|text| text.contains(SECRET)));
    }
    as_bob.configure(&name("production"), &shop.system, &change, &author(5)).unwrap();
    let own: Vec<_> =
        shop.store.recipients().unwrap().into_iter().map(|it| (it.note, it.own)).collect();
    let expected = [(Some("ada@lab".to_owned()), true), (Some("bob".to_owned()), false)];
    assert_eq!(own, expected);

    shop.store.remove_recipient(bob, &author(6)).unwrap();
    assert!(sealed(&shop).iter().all(|file| age(bob_key.path(), file).is_none()));
    assert!(shop.store.environment(&release, &name("orders")).is_ok());
    assert_eq!(shop.store.verify().unwrap(), []);
}

#[test]
fn nobody_locks_themselves_out() {
    let shop = Shop::complete();
    let own: Recipient = shop.store.recipients().unwrap()[0].key.parse().unwrap();
    let (_, bob) = key(&shop, "bob");
    shop.store.add_recipient(bob, None, &author(4)).unwrap();
    let told = refused(shop.store.remove_recipient(own, &author(4)));
    assert!(told[0].contains("your own key"), "{told:?}");
    let (_, carol) = key(&shop, "carol");
    let told = refused(shop.store.remove_recipient(carol, &author(4)));
    assert!(told[0].contains("no recipient"), "{told:?}");
}

#[test]
fn who_cannot_read_a_version_changes_no_list() {
    let shop = Shop::complete();
    shop.set("production", &[("pricing.RATE", "2")]).unwrap();
    let own: Recipient = shop.store.recipients().unwrap()[0].key.parse().unwrap();
    let (bob_key, bob) = key(&shop, "bob");
    shop.store.add_recipient(bob, None, &author(4)).unwrap();
    let newest = sealed(&shop).pop().unwrap();
    let readable = fs::read(&newest).unwrap();
    // Bob was killed after he had encrypted the older version for himself alone.
    let as_bob = Store::open(shop.store.root(), bob_key).unwrap();
    as_bob.remove_recipient(own, &author(5)).unwrap();
    fs::remove_file(sealed(&shop).pop().unwrap()).unwrap();
    fs::write(&newest, readable).unwrap();
    let list = || fs::read(shop.store.root().join("recipients")).unwrap();
    let before = (list(), sealed(&shop));
    let (_, carol) = key(&shop, "carol");
    let refused = shop.store.add_recipient(carol, None, &author(6)).unwrap_err();
    assert!(matches!(refused, StoreError::Sealed { .. }), "{refused}");
    assert!(before == (list(), sealed(&shop)), "{refused}");
}

#[test]
fn what_was_cut_off_is_encrypted_anew_by_the_next_change() {
    let shop = Shop::complete();
    let release = shop.release("production", "one");
    let (bob_key, bob) = key(&shop, "bob");
    // As it is when somebody is killed right after the list was written.
    let list = shop.store.root().join("recipients");
    let before = fs::read_to_string(&list).unwrap();
    fs::write(&list, format!("{before}{bob} # bob\n")).unwrap();
    assert!(shop.store.environment(&release, &name("orders")).is_ok());
    shop.set("staging", &[("pricing.RATE", "2")]).unwrap();
    let as_bob = Store::open(shop.store.root(), bob_key).unwrap();
    assert!(as_bob.environment(&release, &name("orders")).is_ok());
    assert_eq!(sealed(&shop).len(), 2);
}

#[test]
fn a_list_that_is_lost_is_not_made_anew() {
    let shop = Shop::complete();
    fs::remove_file(shop.store.root().join("recipients")).unwrap();
    let lost = shop.set("production", &[("pricing.RATE", "2")]).unwrap_err();
    assert!(matches!(lost, StoreError::Damaged(_)), "{lost}");
}
