//! What refers to a content: by the registry's list, or by the tag that stands for it where the
//! registry keeps none (Distribution Specification 1.1, "Referrers Tag Schema").

use http::{HeaderValue, Method, StatusCode, header};
use serde_json::{Value, json};

use super::content::Payload;
use super::document::{Document, MANIFEST_MOST};
use super::error::RegistryError;
use super::place::{Place, Purpose};
use super::reference::Reference;
use super::{Call, Registry};
use crate::oci::media;
use crate::{Descriptor, Digest};

/// How often the list is written again when another writer was faster.
const WRITES_MOST: usize = 4;

/// `sha256-HEX`
fn tag(subject: &Digest) -> String {
    subject.as_str().replace(':', "-")
}

impl Registry {
    /// What refers to the content of this digest, such as its SBOM; nothing when the registry
    /// knows of nothing.
    ///
    /// # Errors
    ///
    /// [`RegistryError`].
    pub async fn referrers(
        &self,
        repository: &Reference,
        subject: &Digest,
    ) -> Result<Vec<Descriptor>, RegistryError> {
        let place = Place::new(repository, &self.options, Purpose::Pull, &[])?;
        let url = place.referrers(subject);
        let list = match self.list(&place, url).await? {
            Some(list) => Some(list),
            None => self.list(&place, place.manifest(&tag(subject))).await?,
        };
        let Some(list) = list else { return Ok(Vec::new()) };
        let what = format!("the list of what refers to {subject}");
        let bytes = list.to_string();
        let document = Document::read(bytes.as_bytes(), &what)?;
        let entries = document.entries().unwrap_or_default();
        Ok(entries.iter().map(super::document::Entry::descriptor).collect())
    }

    /// Enters a referrer into the tagged list. Registries have no conditional writing, so the
    /// list is read again afterwards, and the entry is entered again if another writer lost it
    /// by then.
    pub(super) async fn list_referrer(
        &self,
        place: &Place,
        subject: &Digest,
        referrer: &Descriptor,
    ) -> Result<(), RegistryError> {
        let what = format!("the list of what refers to {subject}");
        let url = place.manifest(&tag(subject));
        for _ in 0..WRITES_MOST {
            let list = self.list(place, url.clone()).await?;
            let mut list = list.unwrap_or_else(
                || json!({"schemaVersion": 2, "mediaType": media::INDEX, "manifests": []}),
            );
            if list.get("manifests").is_some_and(Value::is_null) {
                list["manifests"] = json!([]);
            }
            // Fields that are not known here are kept: others write to this list too.
            let entries = list.get_mut("manifests").and_then(Value::as_array_mut);
            let entries = entries.ok_or_else(|| RegistryError::Unusable {
                what: what.clone(),
                problem: "is no index, and is left as it is".to_owned(),
            })?;
            let is_it = |entry: &Value| {
                entry.get("digest").and_then(Value::as_str) == Some(referrer.digest.as_str())
            };
            if entries.iter().any(is_it) {
                return Ok(());
            }
            let entry = serde_json::to_value(referrer)
                .map_err(|source| RegistryError::Document { what: what.clone(), source })?;
            entries.push(entry);
            let bytes = list.to_string();
            if MANIFEST_MOST < bytes.len() {
                return Err(RegistryError::TooLarge { what, most: MANIFEST_MOST as u64 });
            }
            let call = Call::new(Method::PUT, url.clone())
                .with(header::CONTENT_TYPE, HeaderValue::from_static(media::INDEX))
                .sending(Payload::Bytes(bytes.into()));
            self.persist(place, &call, &[StatusCode::CREATED]).await?;
        }
        match self.list(place, url).await? {
            Some(list) if list.to_string().contains(referrer.digest.as_str()) => Ok(()),
            _ => Err(RegistryError::Unusable {
                what,
                problem: format!(
                    "was changed by others {WRITES_MOST} times in between: push again"
                ),
            }),
        }
    }

    /// Nothing when the registry has no such list.
    async fn list(&self, place: &Place, url: url::Url) -> Result<Option<Value>, RegistryError> {
        let call = Call::new(Method::GET, url)
            .with(header::ACCEPT, HeaderValue::from_static(media::INDEX));
        let (headers, bytes) = match self.document(place, &call).await {
            Ok((headers, bytes)) => (headers, bytes),
            // What a registry without such lists answers; for a tag it is 404 alone.
            Err(error) if matches!(error.status(), Some(400 | 404 | 405)) => return Ok(None),
            Err(error) => return Err(error),
        };
        let what = "the list of referrers".to_owned();
        let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        if kind.is_some_and(|kind| !kind.starts_with(media::INDEX)) {
            let problem = "is no index, and is left as it is".to_owned();
            return Err(RegistryError::Unusable { what, problem });
        }
        let list = serde_json::from_slice(&bytes);
        list.map(Some).map_err(|source| RegistryError::Document { what, source })
    }
}
