//! Any sequence of operations does what a model does that fits on a page.

use std::collections::BTreeMap;

use proptest::prelude::*;
use updraft_release::StoreError;
use updraft_system::release::{Origin, Release};

use crate::fixture::{Shop, author, builds, changes, name, number, store_in};

const MANIFEST: &str = "system = \"s\"\n[service.a]\nrun = \"a\"\n\
                        config = { K = \"string\", S = { type = \"int\", default = 5 } }\n";
const DEPLOYS: [&str; 2] = ["staging", "production"];

#[derive(Clone, Debug)]
enum Step {
    Set(usize, &'static str, u8),
    Unset(usize, &'static str),
    Append(usize, u8),
    /// `None`: the newest.
    SetCurrent(Option<u64>),
    Rollback(usize, Option<u64>),
    Promote(usize),
}

type Values = BTreeMap<&'static str, String>;

#[derive(Clone, Debug)]
struct Entry {
    deploy: usize,
    values: Values,
    build: u8,
    parent: Option<u64>,
    back_to: Option<u64>,
}

#[derive(Default)]
struct Model {
    values: [Values; 2],
    current: [Option<u64>; 2],
    entries: Vec<Entry>,
}

impl Model {
    fn entry(&self, number: u64) -> Option<&Entry> {
        self.entries.get(usize::try_from(number).unwrap().checked_sub(1)?)
    }

    /// The number of the release that the step makes, if it makes one.
    fn take(&mut self, step: &Step) -> Option<u64> {
        let made = match *step {
            Step::Set(deploy, key, value) => {
                self.values[deploy].insert(key, value.to_string());
                return None;
            }
            Step::Unset(deploy, key) => {
                self.values[deploy].remove(key);
                return None;
            }
            Step::SetCurrent(number) => {
                let number = number.unwrap_or(self.entries.len() as u64);
                let deploy = self.entry(number)?.deploy;
                self.current[deploy] = Some(number);
                return None;
            }
            Step::Append(deploy, build) => {
                let values = self.values[deploy].clone();
                Entry { deploy, values, build, parent: self.current[deploy], back_to: None }
            }
            Step::Rollback(deploy, to) => {
                let number = match to {
                    Some(number) => number,
                    None => {
                        let current = self.current[deploy]?;
                        let standing = self.entry(current)?.back_to.unwrap_or(current);
                        self.entry(standing)?.parent?
                    }
                };
                let target = self.entry(number).filter(|it| it.deploy == deploy)?.clone();
                Entry { parent: self.current[deploy], back_to: Some(number), ..target }
            }
            Step::Promote(to) => {
                let source = self.entry(self.current[1 - to]?)?.clone();
                let (values, parent) = (self.values[to].clone(), self.current[to]);
                Entry { deploy: to, values, build: source.build, parent, back_to: None }
            }
        };
        if !made.values.contains_key("K") {
            return None;
        }
        self.entries.push(made);
        Some(self.entries.len() as u64)
    }
}

/// The same on a real store.
fn take(shop: &Shop, step: &Step) -> Result<Option<Release>, StoreError> {
    // Each step finds the store as a new process does.
    let store = store_in(shop.folder.path());
    let deploy = |at: usize| name(DEPLOYS[at]);
    let by = author(7);
    let made = match *step {
        Step::Set(at, key, value) => {
            let set = changes(&[(&format!("a.{key}"), &value.to_string())], &[]);
            return store.configure(&deploy(at), &shop.system, &set, &by).map(|_| None);
        }
        Step::Unset(at, key) => {
            let unset = changes(&[], &[&format!("a.{key}")]);
            return store.configure(&deploy(at), &shop.system, &unset, &by).map(|_| None);
        }
        Step::SetCurrent(to) => {
            let newest = store.list(None)?.releases.first().map(|it| it.number);
            let to = to.map(number).or(newest);
            return to.map_or(Ok(None), |to| store.set_current(to).map(|_| None));
        }
        Step::Append(at, build) => {
            let mut new = shop.new_release(DEPLOYS[at], "");
            new.builds = builds(&build.to_string(), &["a"]);
            new.manifest = MANIFEST.to_owned();
            store.append(new, &by)
        }
        Step::Rollback(at, to) => store.rollback(&deploy(at), to.map(number), None, &by),
        Step::Promote(to) => store.promote(&deploy(1 - to), &deploy(to), None, &by),
    };
    made.map(Some)
}

fn step() -> impl Strategy<Value = Step> {
    let deploy = || 0..2_usize;
    let key = || prop_oneof![Just("K"), Just("S")];
    let value = 0..3_u8;
    prop_oneof![
        3 => (deploy(), key(), value.clone()).prop_map(|(d, k, v)| Step::Set(d, k, v)),
        1 => (deploy(), key()).prop_map(|(d, k)| Step::Unset(d, k)),
        3 => (deploy(), value).prop_map(|(d, b)| Step::Append(d, b)),
        6 => Just(Step::SetCurrent(None)),
        1 => (1..8_u64).prop_map(|n| Step::SetCurrent(Some(n))),
        4 => deploy().prop_map(|d| Step::Rollback(d, None)),
        2 => (deploy(), 1..8_u64).prop_map(|(d, n)| Step::Rollback(d, Some(n))),
        2 => deploy().prop_map(Step::Promote),
    ]
}

fn same(shop: &Shop, model: &Model, number: u64) {
    let (entry, release) =
        (model.entry(number).unwrap(), shop.store.release(self::number(number)).unwrap());
    assert_eq!(release.deploy, name(DEPLOYS[entry.deploy]));
    assert_eq!(release.builds, builds(&entry.build.to_string(), &["a"]));
    assert_eq!(release.parent.map(|it| it.get()), entry.parent);
    let back_to = match release.origin {
        Origin::Rollback { of } => Some(of.get()),
        _ => None,
    };
    assert_eq!(back_to, entry.back_to);
    let mut values = entry.values.clone();
    values.entry("S").or_insert_with(|| "5".to_owned());
    let values: Vec<_> = values.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    assert_eq!(shop.environment(&release, "a"), values);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10))]

    #[test]
    fn a_store_does_what_the_model_does(steps in proptest::collection::vec(step(), 8..32)) {
        let mut shop = Shop::new();
        shop.system = updraft_system::parse_manifest(MANIFEST).unwrap();
        let mut model = Model::default();
        let first = DEPLOYS.iter().enumerate().map(|(at, _)| Step::Set(at, "K", 1));
        for step in &first.chain(steps).collect::<Vec<_>>() {
            let expected = model.take(step);
            let made = take(&shop, step).unwrap_or_default();
            prop_assert_eq!(made.map(|it| it.number.get()), expected, "{:?}", step);
        }
        for at in 1..=model.entries.len() {
            same(&shop, &model, at as u64);
        }
        for (deploy, current) in DEPLOYS.iter().zip(model.current) {
            let kept = shop.store.current(&name(deploy)).unwrap();
            prop_assert_eq!(kept.map(|it| it.number.get()), current);
        }
        let listing = shop.store.list(None).unwrap();
        prop_assert_eq!(listing.releases.len(), model.entries.len());
        prop_assert!(shop.store.verify().unwrap().is_empty());
    }
}
