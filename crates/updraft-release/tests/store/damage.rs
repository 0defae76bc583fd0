//! Files that a disk has changed or cut off: each is named, and the others stay readable.

use std::fs;
use std::path::Path;

use updraft_release::StoreError;

use crate::fixture::{Shop, name, number};

fn shop() -> Shop {
    let shop = Shop::complete();
    shop.release("production", "one");
    shop.set("production", &[("pricing.RATE", "2")]).unwrap();
    shop.release("production", "two");
    shop
}

/// Each way to damage a file, as its new content.
fn damages(content: &[u8]) -> Vec<Vec<u8>> {
    let middle = content.len() / 2;
    let mut damages: Vec<Vec<u8>> = vec![content[..middle].to_vec(), Vec::new()];
    for place in [0, middle, content.len() - 1] {
        let mut flipped = content.to_vec();
        flipped[place] ^= 1;
        damages.push(flipped);
    }
    damages
}

#[test]
fn each_damaged_file_is_named_and_the_rest_is_readable() {
    let shop = shop();
    let folders = ["records", "values/production", "manifests", "current"];
    let mut tried = 0;
    for folder in folders {
        for file in crate::fixture::files_below(&shop.store.root().join(folder)) {
            let content = fs::read(&file).unwrap();
            for damaged in damages(&content) {
                fs::write(&file, &damaged).unwrap();
                let found = shop.store.verify().unwrap();
                // What is left of a pointer may still be the pointer that it was.
                let same = folder == "current" && found.is_empty();
                assert!(same || found.iter().any(|it| it.path == file), "{file:?}: {found:?}");
                let listing = shop.store.list(None).unwrap();
                let lost = usize::from(folder == "records");
                assert_eq!(listing.releases.len(), 2 - lost, "{}", file.display());
                assert_eq!(listing.damaged.len(), lost);
                tried += 1;
            }
            fs::write(&file, &content).unwrap();
        }
    }
    assert!(tried >= 25, "{tried}");
    assert_eq!(shop.store.verify().unwrap(), []);
}

fn damage(path: &Path) {
    let content = fs::read(path).unwrap();
    fs::write(path, &content[..content.len() - 1]).unwrap();
}

fn one(shop: &Shop, part: &str) -> std::path::PathBuf {
    let mut files = shop.files().into_iter();
    files.find(|it| it.to_string_lossy().contains(part)).unwrap()
}

#[test]
fn what_needs_a_damaged_file_says_which() {
    let shop = shop();
    let (first, second) = (number(1), number(2));
    let release = shop.store.release(first).unwrap();
    damage(&one(&shop, "/values/production/1-"));
    let lost = shop.store.environment(&release, &name("orders")).unwrap_err().to_string();
    assert!(lost.starts_with("version 1 of the values of production is damaged: /"), "{lost}");
    let back =
        shop.store.rollback(&name("production"), Some(first), None, &crate::fixture::author(3));
    assert!(matches!(back, Err(StoreError::Damaged(_))), "{back:?}");
    let other = shop.store.release(second).unwrap();
    assert!(shop.store.environment(&other, &name("orders")).is_ok());

    damage(&one(&shop, "/records/1-"));
    let lost = shop.store.release(first).unwrap_err().to_string();
    assert!(lost.contains("release 1 is damaged") && lost.contains("/records/1-"), "{lost}");
    // Its number is still its own, and what it may need is kept.
    let next = shop.release("production", "three");
    assert_eq!(next.number, number(3));

    damage(&one(&shop, "/manifests/"));
    let lost = shop.store.manifest(&other).unwrap_err().to_string();
    assert!(lost.starts_with("the manifest of release 2 is damaged"), "{lost}");
    shop.release("production", "four");
    assert!(shop.store.manifest(&other).is_ok(), "the same text heals it");
}

#[test]
fn manifests_of_a_release_that_cannot_be_read_are_kept() {
    let shop = Shop::complete();
    let mut new = shop.new_release("production", "old");
    new.manifest.push_str("# another\n");
    let old = shop.store.append(new, &crate::fixture::author(2)).unwrap();
    let record = one(&shop, "/records/1-");
    let content = fs::read(&record).unwrap();
    damage(&record);
    shop.release("production", "new");
    fs::write(&record, content).unwrap();
    assert!(shop.store.manifest(&old).is_ok());
}
