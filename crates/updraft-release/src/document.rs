//! The values of a deploy at one version, as they are inside an encrypted file.

use std::collections::BTreeMap;
use std::num::NonZeroU64;

use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use updraft_system::release::Visibility;
use updraft_system::{ConfigKey, Name, ResourceUrl, Service, System};
use zeroize::{Zeroize as _, Zeroizing};

use crate::config::Setting;

/// The values of a deploy at one version.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Document {
    /// Random, so that the digest of the document tells nothing about the values.
    pub(crate) salt: String,
    pub(crate) deploy: Name,
    pub(crate) version: NonZeroU64,
    pub(crate) written: Timestamp,
    pub(crate) who: String,
    pub(crate) values: BTreeMap<Name, BTreeMap<String, Value>>,
    pub(crate) resources: BTreeMap<Name, Value>,
}

/// One value, and who set it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Value {
    #[serde(serialize_with = "expose", deserialize_with = "enclose")]
    pub(crate) text: SecretString,
    /// By the contract of when it was set.
    pub(crate) visibility: Visibility,
    pub(crate) who: String,
    pub(crate) set: Timestamp,
}

/// Values as the contract reads them, wiped when they are no longer needed.
#[derive(Default)]
pub(crate) struct Exposed(pub(crate) BTreeMap<String, String>);

impl Drop for Exposed {
    fn drop(&mut self) {
        self.0.values_mut().for_each(|value| value.zeroize());
    }
}

fn expose<S: Serializer>(text: &SecretString, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(text.expose_secret())
}

fn enclose<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SecretString, D::Error> {
    String::deserialize(deserializer).map(SecretString::from)
}

impl Document {
    pub(crate) fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        // A text that grows leaves copies behind.
        let values = self.values.values().flat_map(|keys| keys.values());
        let room: usize = values
            .chain(self.resources.values())
            .map(|value| 512 + 6 * value.text.expose_secret().len())
            .sum();
        let mut bytes = Zeroizing::new(Vec::with_capacity(4096 + room));
        // Maps with text as keys can be written as JSON, and a vector takes everything.
        serde_json::to_writer(&mut *bytes, self).unwrap_or_default();
        bytes
    }

    /// `None`: it is no document. The parser's own words may quote a value.
    pub(crate) fn of_bytes(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }

    pub(crate) fn get(&self, setting: &Setting) -> Option<&Value> {
        match setting {
            Setting::Value { service, key } => self.values.get(service)?.get(key),
            Setting::Address { resource } => self.resources.get(resource),
        }
    }

    pub(crate) fn insert(&mut self, setting: &Setting, value: Value) {
        match setting {
            Setting::Value { service, key } => {
                let of_service = self.values.entry(service.clone()).or_default();
                drop(of_service.insert(key.clone(), value));
            }
            Setting::Address { resource } => {
                drop(self.resources.insert(resource.clone(), value));
            }
        }
    }

    pub(crate) fn remove(&mut self, setting: &Setting) {
        match setting {
            Setting::Value { service, key } => {
                if let Some(of_service) = self.values.get_mut(service) {
                    of_service.remove(key);
                }
                self.values.retain(|_, keys| !keys.is_empty());
            }
            Setting::Address { resource } => drop(self.resources.remove(resource)),
        }
    }

    /// What is set, in the order in which it is shown.
    pub(crate) fn settings(&self) -> impl Iterator<Item = (Setting, &Value)> {
        let values = self.values.iter().flat_map(|(service, keys)| {
            keys.iter().map(|(key, value)| {
                (Setting::Value { service: service.clone(), key: key.clone() }, value)
            })
        });
        let resources = self.resources.iter();
        values.chain(
            resources
                .map(|(resource, value)| (Setting::Address { resource: resource.clone() }, value)),
        )
    }

    /// What is set for a service.
    pub(crate) fn given(&self, service: &Service) -> Exposed {
        let values = self.values.get(&service.name).into_iter().flatten();
        let exposed =
            values.map(|(key, value)| (key.clone(), value.text.expose_secret().to_owned()));
        Exposed(exposed.collect())
    }
}

impl Value {
    pub(crate) fn is(&self, text: &SecretString) -> bool {
        self.text.expose_secret() == text.expose_secret()
    }

    /// What of it may be shown by the contract then and the one now.
    pub(crate) fn shown(&self, now: Option<Visibility>) -> (Visibility, Option<String>) {
        let visibility = now.map_or(self.visibility, |now| now.max(self.visibility));
        let text = self.text.expose_secret();
        let shown = match visibility {
            Visibility::Plain => Some(text.to_owned()),
            Visibility::Address => ResourceUrl::parse(text).ok().map(|url| url.to_string()),
            Visibility::Secret => None,
        };
        (visibility, shown)
    }
}

/// How much may be shown of a setting by the contract of a system; `None`: it is not in it.
pub(crate) fn visibility(system: &System, setting: &Setting) -> Option<Visibility> {
    match setting {
        Setting::Value { service, key } => {
            let key: &ConfigKey = system.services.get(service)?.config.get(key)?;
            Some(Visibility::of(&key.shape))
        }
        Setting::Address { resource } => {
            system.resources.contains_key(resource).then_some(Visibility::Address)
        }
    }
}
