//! A shop with a contract, and a store in a folder of its own.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use tempfile::TempDir;
use updraft_release::{Author, Changes, Configured, KeyFile, NewRelease, Store, StoreError};
use updraft_system::release::{Artifact, ManifestForm, Release, ReleaseNumber, Sha256};
use updraft_system::{Name, System};

pub(crate) const SHOP: &str = r#"system = "shop"

[resource]
db    = { kind = "postgres" }
cache = { kind = "cache" }

[service.orders]
run    = "orders"
needs  = ["db"]
config = { LEVEL = { one_of = ["debug", "info"], default = "info" }, PAGE_SIZE = { type = "int", min = 1, max = 500 }, PUBLIC_URL = "url", STRIPE_SECRET = "secret" }

[service.pricing]
run    = "pricing"
config = { RATE = { type = "float", default = 1.5 } }
"#;

pub(crate) const ADDRESS: &str = "postgresql://app:hunter2-address@db.example/shop";
pub(crate) const SECRET: &str = "hunter2-value";

/// Everything that a release of production needs.
pub(crate) const COMPLETE: &[(&str, &str)] = &[
    ("orders.PAGE_SIZE", "20"),
    ("orders.PUBLIC_URL", "https://me:hunter2-url@shop.example/"),
    ("orders.STRIPE_SECRET", SECRET),
    ("db", ADDRESS),
];

pub(crate) struct Shop {
    pub(crate) folder: TempDir,
    pub(crate) store: Store,
    pub(crate) system: System,
}

pub(crate) fn name(text: &str) -> Name {
    text.parse().unwrap()
}

pub(crate) fn number(number: u64) -> ReleaseNumber {
    number.to_string().parse().unwrap()
}

pub(crate) fn author(second: i64) -> Author {
    Author { who: "ada@lab".to_owned(), now: Timestamp::from_second(second).unwrap() }
}

pub(crate) fn store_in(folder: &Path) -> Store {
    Store::open(folder.join("state/releases"), KeyFile::at(folder.join("config/age.key"))).unwrap()
}

pub(crate) fn changes(set: &[(&str, &str)], unset: &[&str]) -> Changes {
    let setting = |text: &str| text.parse().unwrap();
    let set = set.iter().map(|(it, value)| (setting(it), SecretString::from(*value)));
    Changes { set: set.collect(), unset: unset.iter().map(|it| setting(it)).collect() }
}

pub(crate) fn builds(text: &str, services: &[&str]) -> BTreeMap<Name, Artifact> {
    let artifact = |service: &str| Artifact {
        digest: digest(&format!("{text} of {service}")),
        commit: Some(text.to_owned()),
        dirty: false,
    };
    services.iter().map(|service| (name(service), artifact(service))).collect()
}

/// Some digest that follows from the text.
pub(crate) fn digest(text: &str) -> Sha256 {
    let mut digits = String::new();
    let mut state = 1_469_598_103_934_665_603_u64;
    while digits.len() < 64 {
        for byte in text.bytes() {
            state = (state ^ u64::from(byte)).wrapping_mul(1_099_511_628_211);
        }
        digits.push_str(&format!("{state:016x}"));
    }
    Sha256::of_hex(&digits[..64]).unwrap()
}

impl Shop {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = store_in(folder.path());
        Self { folder, store, system: updraft_system::parse_manifest(SHOP).unwrap() }
    }

    /// A shop in whose production everything is set.
    pub(crate) fn complete() -> Self {
        let shop = Self::new();
        shop.set("production", COMPLETE).unwrap();
        shop
    }

    pub(crate) fn set(&self, deploy: &str, set: &[(&str, &str)]) -> Result<Configured, StoreError> {
        self.store.configure(&name(deploy), &self.system, &changes(set, &[]), &author(1))
    }

    pub(crate) fn new_release(&self, deploy: &str, text: &str) -> NewRelease {
        NewRelease {
            deploy: name(deploy),
            builds: builds(text, &["orders", "pricing"]),
            manifest: SHOP.to_owned(),
            form: ManifestForm::Toml,
            note: None,
        }
    }

    /// A release that is made and current.
    pub(crate) fn release(&self, deploy: &str, text: &str) -> Release {
        let release = self.store.append(self.new_release(deploy, text), &author(2)).unwrap();
        self.store.set_current(release.number).unwrap()
    }

    pub(crate) fn environment(&self, release: &Release, service: &str) -> Vec<(String, String)> {
        let values = self.store.environment(release, &name(service)).unwrap();
        values.into_iter().map(|(key, value)| (key, value.expose_secret().to_owned())).collect()
    }

    /// Every file of the store, sorted.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        files_below(self.store.root())
    }
}

pub(crate) fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(files_below(&path));
        } else {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// What was refused, one line for each.
pub(crate) fn refused<T: std::fmt::Debug>(outcome: Result<T, StoreError>) -> Vec<String> {
    match outcome {
        Err(StoreError::Refused(findings)) => findings.iter().map(ToString::to_string).collect(),
        other => panic!("not refused: {other:?}"),
    }
}
