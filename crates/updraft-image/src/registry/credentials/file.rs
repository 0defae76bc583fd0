//! The files `auth.json` and `config.json`, and which entry of theirs is meant.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::SecretString;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::{BadEntry, Credential, CredentialsError};

/// The largest file that is read, in bytes.
const FILE_MOST: u64 = 1 << 20;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Content {
    #[serde(default)]
    auths: BTreeMap<String, Entry>,
    #[serde(default)]
    cred_helpers: BTreeMap<String, String>,
    #[serde(default)]
    creds_store: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
struct Entry {
    #[serde(default)]
    auth: Option<Zeroizing<String>>,
    #[serde(default)]
    username: Option<String>,
    #[serde(default)]
    password: Option<Zeroizing<String>>,
    #[serde(default)]
    identitytoken: Option<Zeroizing<String>>,
    #[serde(default)]
    registrytoken: Option<Zeroizing<String>>,
}

/// Nothing when there is no such file.
pub(super) fn read(path: &Path) -> Result<Option<Content>, CredentialsError> {
    let failed = |source| CredentialsError::File { path: path.to_owned(), source };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(error) => return Err(failed(error)),
    };
    let mut text = Zeroizing::new(Vec::new());
    file.take(FILE_MOST + 1).read_to_end(&mut text).map_err(failed)?;
    if FILE_MOST < text.len() as u64 {
        return Err(CredentialsError::TooLarge { path: path.to_owned(), most: FILE_MOST });
    }
    if text.trim_ascii().is_empty() {
        return Ok(None);
    }
    // Its own text may repeat a value of the file.
    let content = serde_json::from_slice(&text).map_err(|error| CredentialsError::Json {
        path: path.to_owned(),
        line: error.line(),
        column: error.column(),
    })?;
    Ok(Some(content))
}

impl Content {
    /// The program that is asked about a host: its own, else the one for all.
    pub(super) fn program(&self, host: &str) -> Option<String> {
        let own = self.cred_helpers.iter().find(|(key, _)| is_for(key, host, None));
        let program = own.map(|(_, program)| program).or(self.creds_store.as_ref());
        program.filter(|program| !program.is_empty()).cloned()
    }

    /// The entry with the longest key that fits: a repository's goes before its host's.
    pub(super) fn entry(&self, host: &str, name: &str) -> Result<Option<Credential>, BadEntry> {
        let fitting = self.auths.iter().filter(|(key, _)| is_for(key, host, Some(name)));
        let mut fitting: Vec<_> = fitting.collect();
        fitting.sort_by_key(|(key, _)| std::cmp::Reverse(bare(key).len()));
        for (key, entry) in fitting {
            let read = entry.credential();
            if let Some(credential) =
                read.map_err(|problem| BadEntry { key: key.clone(), problem })?
            {
                return Ok(Some(credential));
            }
        }
        Ok(None)
    }
}

impl Entry {
    /// Nothing where the secret is elsewhere: Docker leaves an empty entry beside its programs.
    fn credential(&self) -> Result<Option<Credential>, &'static str> {
        let given = |value: &Option<Zeroizing<String>>| {
            let value = value.as_ref().filter(|value| !value.is_empty());
            value.map(|value| SecretString::from(value.as_str()))
        };
        if let Some(token) = given(&self.identitytoken) {
            return Ok(Some(Credential::Identity(token)));
        }
        if let Some(token) = given(&self.registrytoken) {
            return Ok(Some(Credential::Bearer(token)));
        }
        if let (Some(user), Some(password)) = (&self.username, given(&self.password)) {
            return Ok(Some(Credential::Password { user: user.clone(), password }));
        }
        let Some(auth) = self.auth.as_ref().filter(|auth| !auth.is_empty()) else {
            return Ok(None);
        };
        let decoded = STANDARD.decode(auth.as_bytes()).map(Zeroizing::new);
        let decoded = decoded.map_err(|_not_base64| "is not base64")?;
        let text = std::str::from_utf8(&decoded).map_err(|_not_text| "is not text")?;
        let (user, password) =
            text.split_once(':').ok_or("has no colon between name and password")?;
        // Docker pads some passwords with zero bytes.
        let password = SecretString::from(password.trim_end_matches('\0'));
        Ok(Some(Credential::Password { user: user.to_owned(), password }))
    }
}

/// Whether a key is for a host, or for a repository of it or a folder of repositories.
fn is_for(key: &str, host: &str, name: Option<&str>) -> bool {
    let key = bare(key);
    let (key_host, path) = key.split_once('/').unwrap_or((key, ""));
    let same = key_host == host || is_hub(key_host) && is_hub(host);
    let inside = |name: &str| {
        let rest = name.strip_prefix(path);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    same && (path.is_empty() || name.is_some_and(inside))
}

/// Old files have URLs as keys, with the version of the API at their end.
fn bare(key: &str) -> &str {
    let (is_url, rest) = match key.split_once("://") {
        Some((_, rest)) => (true, rest),
        None => (false, key),
    };
    let rest = rest.trim_end_matches('/');
    let version = rest.strip_suffix("/v1").or_else(|| rest.strip_suffix("/v2"));
    version.filter(|_| is_url || is_hub(version.unwrap_or_default())).unwrap_or(rest)
}

/// The names that Docker Hub has.
pub(super) fn is_hub(host: &str) -> bool {
    matches!(host, "docker.io" | "index.docker.io" | "registry-1.docker.io")
}
