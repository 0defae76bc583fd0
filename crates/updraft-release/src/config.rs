//! Values of a deploy: set and unset against the contract of the manifest, and listed.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;
use updraft_system::release::{Snapshot, Visibility};
use updraft_system::{Name, ResourceUrl, System};

use crate::age;
use crate::author::Author;
use crate::bindings;
use crate::disk::Disk;
use crate::document::{Document, Value, visibility};
use crate::error::StoreError;
use crate::finding::Finding;
use crate::layout::sha256;
use crate::store::Store;

/// The longest value: Linux takes no longer string in an environment than twice that.
const VALUE_BYTES_MAX: usize = 64 * 1024;
/// The most bytes of all values of a deploy.
const VALUES_BYTES_MAX: usize = 1024 * 1024;

/// Something that has a value in each deploy.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Setting {
    /// A variable of a service's configuration, written `service.KEY`.
    Value {
        /// The service.
        service: Name,
        /// The variable.
        key: String,
    },
    /// Where a resource is, written by its name alone.
    Address {
        /// The resource.
        resource: Name,
    },
}

/// The text is not a [`Setting`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` names no value: write `service.KEY`, or the name of a resource for its address")]
pub struct InvalidSetting(String);

/// What is to become of the values of a deploy.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// What gets a value.
    pub set: Vec<(Setting, SecretString)>,
    /// What loses its value.
    pub unset: Vec<Setting>,
}

/// The values of a deploy after a change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Configured {
    /// The newest version; `None`: there is none, since nothing was ever set.
    pub snapshot: Option<Snapshot>,
    /// What has another value than before; empty: nothing was written.
    pub changed: Vec<String>,
}

/// How a value stands in a deploy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SettingStatus {
    /// `service.KEY`, or a resource.
    pub setting: String,
    /// Whether it has a value.
    pub state: SettingState,
    /// How much of it may be shown.
    pub visibility: Visibility,
    /// What may be shown.
    pub value: Option<String>,
    /// Who set it.
    pub who: Option<String>,
    /// When it was set.
    pub set: Option<Timestamp>,
}

/// Whether something has a value in a deploy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SettingState {
    /// It was set.
    Set,
    /// It has the default of the manifest; a resource is bound where it runs.
    Default,
    /// It is required and has none.
    Missing,
    /// It was set, and the manifest does not know it.
    Unused,
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value { service, key } => write!(f, "{service}.{key}"),
            Self::Address { resource } => resource.fmt(f),
        }
    }
}

impl FromStr for Setting {
    type Err = InvalidSetting;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidSetting(text.to_owned());
        let sound = |key: &str| {
            !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        };
        match text.split_once('.') {
            Some((service, key)) => match service.parse() {
                Ok(service) if sound(key) => Ok(Self::Value { service, key: key.to_owned() }),
                _ => Err(invalid()),
            },
            None => {
                text.parse().ok().map(|resource| Self::Address { resource }).ok_or_else(invalid)
            }
        }
    }
}

impl Store {
    /// Sets and unsets values of a deploy, all of them or none. A change that changes nothing
    /// writes nothing.
    ///
    /// # Errors
    ///
    /// [`StoreError::Refused`] with everything that the contract of `system` refuses; else why
    /// the store could not be written.
    pub fn configure(
        &self,
        deploy: &Name,
        system: &System,
        changes: &Changes,
        author: &Author,
    ) -> Result<Configured, StoreError> {
        let mut findings = check(system, changes);
        // A mistake leaves no trace: neither a store nor a key.
        if !findings.is_empty() && !self.exists() {
            return Err(StoreError::Refused(findings));
        }
        let disk = Disk::open(self.layout())?;
        let latest = self.latest(deploy)?;
        let before = latest.as_ref().map(|(_, document)| document);
        findings.extend(changes.unset.iter().filter_map(|setting| unset_finding(before, setting)));
        if !findings.is_empty() {
            return Err(StoreError::Refused(findings));
        }
        let changed = changed(before, changes);
        if changed.is_empty() {
            return Ok(Configured { snapshot: latest.map(|(snapshot, _)| snapshot), changed });
        }
        let recipients = self.recipients_or_own(&disk, author)?;
        self.must_read(&recipients)?;
        let document = self.changed_document(deploy, before, system, changes, author)?;
        self.reseal(&disk, &recipients)?;
        let snapshot = Some(self.seal(&disk, &document, &recipients)?);
        Ok(Configured { snapshot, changed })
    }

    /// How each value of the contract stands in a deploy, and what is set beside it.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when the values cannot be read.
    pub fn settings(
        &self,
        deploy: &Name,
        system: &System,
    ) -> Result<Vec<SettingStatus>, StoreError> {
        let latest = self.latest(deploy)?.map(|(_, document)| document);
        let mut all = BTreeMap::new();
        for (name, service) in &system.services {
            for (key, shape) in &service.config {
                let setting = Setting::Value { service: name.clone(), key: key.clone() };
                let state = match shape.default {
                    Some(_) => SettingState::Default,
                    None => SettingState::Missing,
                };
                let visibility = Visibility::of(&shape.shape);
                all.insert(setting, (state, visibility, shape.default.clone()));
            }
        }
        let missing = bindings::required(system, deploy);
        for resource in system.resources.keys() {
            let required = missing.contains(resource);
            let state = if required { SettingState::Missing } else { SettingState::Default };
            let setting = Setting::Address { resource: resource.clone() };
            all.insert(setting, (state, Visibility::Address, None));
        }
        let mut list: BTreeMap<Setting, SettingStatus> = all
            .into_iter()
            .map(|(setting, (state, visibility, value))| {
                let name = setting.to_string();
                let nobody = (None, None);
                let (who, set) = nobody;
                (setting, SettingStatus { setting: name, state, visibility, value, who, set })
            })
            .collect();
        for (setting, value) in latest.iter().flat_map(Document::settings) {
            let contract = visibility(system, &setting);
            let state = if contract.is_some() { SettingState::Set } else { SettingState::Unused };
            let (visibility, shown) = value.shown(contract);
            let status = SettingStatus {
                setting: setting.to_string(),
                state,
                visibility,
                value: shown,
                who: Some(value.who.clone()),
                set: Some(value.set),
            };
            list.insert(setting, status);
        }
        Ok(list.into_values().collect())
    }

    fn changed_document(
        &self,
        deploy: &Name,
        before: Option<&Document>,
        system: &System,
        changes: &Changes,
        author: &Author,
    ) -> Result<Document, StoreError> {
        let salt: [u8; 32] = age::random().map_err(StoreError::Encrypt)?;
        let (values, resources) =
            before.map(|it| (it.values.clone(), it.resources.clone())).unwrap_or_default();
        let mut document = Document {
            salt: sha256(&salt).hex().to_owned(),
            deploy: deploy.clone(),
            version: self.next_version(deploy)?,
            written: author.now,
            who: author.name(),
            values,
            resources,
        };
        changes.unset.iter().for_each(|setting| document.remove(setting));
        for (setting, text) in &changes.set {
            if document.get(setting).is_some_and(|value| value.is(text)) {
                continue;
            }
            let visibility = visibility(system, setting).unwrap_or(Visibility::Secret);
            let (text, who) = (text.clone(), author.name());
            document.insert(setting, Value { text, visibility, who, set: author.now });
        }
        let bytes: usize =
            document.settings().map(|(_, value)| value.text.expose_secret().len()).sum();
        if bytes > VALUES_BYTES_MAX {
            let what = format!("what is set in {deploy}");
            return Err(StoreError::TooLarge { what, bytes_max: VALUES_BYTES_MAX });
        }
        Ok(document)
    }
}

/// What will have another value than before.
fn changed(before: Option<&Document>, changes: &Changes) -> Vec<String> {
    let set = changes.set.iter().filter(|(setting, text)| {
        !before.and_then(|it| it.get(setting)).is_some_and(|value| value.is(text))
    });
    let set = set.map(|(setting, _)| setting);
    set.chain(&changes.unset).map(ToString::to_string).collect()
}

/// Everything that the contract refuses.
fn check(system: &System, changes: &Changes) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut seen = Vec::new();
    for (setting, text) in &changes.set {
        let text = text.expose_secret();
        findings.extend(unknown(system, setting));
        if seen.contains(&setting) || changes.unset.contains(setting) {
            findings.push(Finding::new(setting, "is given twice").help("give it once"));
        }
        seen.push(setting);
        if text.len() > VALUE_BYTES_MAX {
            let message = format!("is longer than {VALUE_BYTES_MAX} bytes");
            let help = "keep it in a resource of kind `blob`, and its name here";
            findings.push(Finding::new(setting, message).help(help));
        } else if text.contains('\0') {
            let message = "holds a zero byte, which no environment variable can";
            findings.push(Finding::new(setting, message));
        } else if let Err(message) = fits(system, setting, text) {
            findings.push(Finding::new(setting, message));
        }
    }
    findings
}

/// A value has the type that the contract says; whatever is not in the contract fits.
fn fits(system: &System, setting: &Setting, text: &str) -> Result<(), String> {
    match setting {
        Setting::Value { service, key } => {
            let key = system.services.get(service).and_then(|service| service.config.get(key));
            key.map_or(Ok(()), |key| key.shape.check(text))
        }
        Setting::Address { resource } => {
            let Some(resource) = system.resources.get(resource) else { return Ok(()) };
            let url = ResourceUrl::parse(text).map_err(|invalid| format!("is {invalid}"))?;
            url.fits(&resource.kind).map_err(|unfit| format!("does not fit: {unfit}"))
        }
    }
}

fn unknown(system: &System, setting: &Setting) -> Option<Finding> {
    match setting {
        Setting::Value { service, key } => {
            let Some(known) = system.services.get(service) else {
                let message = format!("is of no service of {}", system.name);
                let known = system.services.keys().map(Name::as_str);
                return Some(Finding::unknown(setting, message, service.as_str(), known));
            };
            let keys = known.config.keys().map(String::as_str);
            let message = format!("is not in the `config` of {service}");
            (!known.config.contains_key(key)).then(|| Finding::unknown(setting, message, key, keys))
        }
        Setting::Address { resource } if system.services.contains_key(resource) => {
            let help = format!("write `{resource}.KEY=VALUE`");
            Some(Finding::new(setting, "is a service, not a resource").help(help))
        }
        Setting::Address { resource } => {
            let message = format!("is no resource of {}", system.name);
            let known = system.resources.keys().map(Name::as_str);
            (!system.resources.contains_key(resource))
                .then(|| Finding::unknown(setting, message, resource.as_str(), known))
        }
    }
}

fn unset_finding(before: Option<&Document>, setting: &Setting) -> Option<Finding> {
    if before.is_some_and(|it| it.get(setting).is_some()) {
        return None;
    }
    let set: Vec<String> =
        before.iter().flat_map(|it| it.settings()).map(|(it, _)| it.to_string()).collect();
    let known = set.iter().map(String::as_str);
    Some(Finding::unknown(setting, "is not set", &setting.to_string(), known))
}
