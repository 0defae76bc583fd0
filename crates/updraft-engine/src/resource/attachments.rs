//! Which resources are somewhere else: `updraft attach NAME URL`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use updraft_system::{Name, Resource};

use super::url::{InvalidUrl, ResourceUrl, UnfitUrl};
use crate::durable;

/// The resources of a system that run elsewhere, kept in its state directory.
#[derive(Clone, Debug)]
pub struct Attachments {
    path: PathBuf,
    urls: BTreeMap<Name, ResourceUrl>,
}

/// A resource could not be attached or detached. Never repeats a URL.
#[derive(Debug, thiserror::Error)]
pub enum AttachError {
    /// The text is not a URL.
    #[error("the address of resource `{resource}` cannot be used")]
    Url {
        /// The resource.
        resource: Name,
        /// Why.
        #[source]
        source: InvalidUrl,
    },
    /// The URL is of something else.
    #[error(
        "resource `{resource}` is of kind `{kind}` and cannot be at a `{scheme}:` address: use {allowed}"
    )]
    Scheme {
        /// The resource.
        resource: Name,
        /// Its kind.
        kind: &'static str,
        /// The scheme of the URL.
        scheme: String,
        /// What would do.
        allowed: &'static str,
    },
    /// A part that an address of this kind must have is not there.
    #[error("the address of resource `{resource}` lacks {what}: write it as {form}")]
    Incomplete {
        /// The resource.
        resource: Name,
        /// The missing part.
        what: &'static str,
        /// An example.
        form: &'static str,
    },
    /// The file of attachments is not what was written there.
    #[error(
        "{path}, line {line}, is not a table of names and addresses: mend it or remove the file, then attach again"
    )]
    Damaged {
        /// The file.
        path: String,
        /// Where in it.
        line: usize,
    },
    /// The file of attachments could not be read or written.
    #[error("cannot {action} {path}")]
    File {
        /// `read` or `write`.
        action: &'static str,
        /// The file.
        path: String,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
}

impl Attachments {
    const FILE: &'static str = "attachments.json";

    /// Reads the attachments of the system with this state directory; none if there
    /// is no such file.
    pub fn load(state: &Path) -> Result<Self, AttachError> {
        let path = state.join(Self::FILE);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(problem) if problem.kind() == std::io::ErrorKind::NotFound => "{}".to_owned(),
            Err(source) => return Err(AttachError::file("read", &path, source)),
        };
        // The parser's own words may quote the text, and with it a password.
        let damaged = |line| AttachError::Damaged { path: path.display().to_string(), line };
        let texts: BTreeMap<Name, String> =
            serde_json::from_str(&text).map_err(|problem| damaged(problem.line()))?;
        let urls = texts
            .into_iter()
            .map(|(name, url)| ResourceUrl::parse(&url).map(|url| (name, url)))
            .collect::<Result<_, InvalidUrl>>()
            .map_err(|InvalidUrl| damaged(1))?;
        Ok(Self { path, urls })
    }

    /// Where the resource is, if it is attached.
    pub fn get(&self, name: &Name) -> Option<&ResourceUrl> {
        self.urls.get(name)
    }

    /// Attaches the resource and keeps that.
    pub fn attach(&mut self, resource: &Resource, url: &str) -> Result<(), AttachError> {
        let url = ResourceUrl::parse(url)
            .map_err(|source| AttachError::Url { resource: resource.name.clone(), source })?;
        check(resource, &url)?;
        let mut urls = self.urls.clone();
        urls.insert(resource.name.clone(), url);
        self.keep(urls)
    }

    /// Makes the resource a local one again; whether it was attached.
    pub fn detach(&mut self, name: &Name) -> Result<bool, AttachError> {
        let mut urls = self.urls.clone();
        if urls.remove(name).is_none() {
            return Ok(false);
        }
        self.keep(urls)?;
        Ok(true)
    }

    /// Writes first, so that what is told from memory is what is on the disk.
    fn keep(&mut self, urls: BTreeMap<Name, ResourceUrl>) -> Result<(), AttachError> {
        let texts: BTreeMap<&str, &str> =
            urls.iter().map(|(name, url)| (name.as_str(), url.expose())).collect();
        let failed = |source| AttachError::file("write", &self.path, source);
        let text = serde_json::to_string_pretty(&texts).map_err(|e| failed(e.into()))?;
        durable::write(&self.path, text.as_bytes()).map_err(failed)?;
        self.urls = urls;
        Ok(())
    }
}

impl AttachError {
    fn file(action: &'static str, path: &Path, source: std::io::Error) -> Self {
        Self::File { action, path: path.display().to_string(), source }
    }
}

fn check(resource: &Resource, url: &ResourceUrl) -> Result<(), AttachError> {
    let resource_name = || resource.name.clone();
    url.fits(&resource.kind).map_err(|unfit| match unfit {
        UnfitUrl::Scheme { kind, scheme, allowed } => {
            AttachError::Scheme { resource: resource_name(), kind, scheme, allowed }
        }
        UnfitUrl::Incomplete { what, form } => {
            AttachError::Incomplete { resource: resource_name(), what, form }
        }
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use updraft_system::ResourceKind;

    use super::*;

    fn resource(kind: ResourceKind) -> Resource {
        Resource { name: "thing".parse().unwrap(), kind }
    }

    fn kinds() -> Vec<(&'static str, ResourceKind)> {
        vec![
            ("sql", ResourceKind::Sql),
            ("queue", ResourceKind::Queue { on: None, max_attempts: 5 }),
            ("cache", ResourceKind::Cache),
            ("blob", ResourceKind::Blob),
            ("postgres", ResourceKind::Postgres { version: None }),
            ("redis", ResourceKind::Redis { version: None }),
            ("nats", ResourceKind::Nats { version: None }),
        ]
    }

    #[test]
    fn an_address_must_fit_the_kind() {
        let table = [
            ("sqlite:///a/b", "sql queue"),
            ("postgresql://u:p@h/db", "sql queue postgres"),
            ("postgres://h:1/db", "sql queue postgres"),
            ("redis://:p@h:1", "queue cache redis"),
            ("rediss://h", "queue cache redis"),
            ("memory:", "cache"),
            ("nats://h:4222", "queue nats"),
            ("tls://h:4222", "queue nats"),
            ("file:///a/b/", "blob"),
            ("s3://bucket/prefix", "blob"),
            ("https://h", ""),
            ("sqlite::memory:", ""),
            ("sqlite://relative", ""),
            ("redis:///0", ""),
            ("file:relative", ""),
        ];
        let state = tempfile::tempdir().unwrap();
        for (url, fits) in table {
            for (name, kind) in kinds() {
                let mut attachments = Attachments::load(state.path()).unwrap();
                let outcome = attachments.attach(&resource(kind), url);
                assert_eq!(outcome.is_ok(), fits.contains(name), "{name} at {url}: {outcome:?}");
            }
        }
    }

    #[test]
    fn what_is_attached_stays_so_until_it_is_detached() {
        let state = tempfile::tempdir().unwrap();
        let redis = resource(ResourceKind::Redis { version: None });
        let mut attachments = Attachments::load(state.path()).unwrap();
        attachments.attach(&redis, "redis://:hunter2@h:1").unwrap();
        let path = state.path().join(Attachments::FILE);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);

        let mut again = Attachments::load(state.path()).unwrap();
        assert_eq!(again.get(&redis.name).unwrap().expose(), "redis://:hunter2@h:1");
        assert!(again.detach(&redis.name).unwrap());
        assert!(!again.detach(&redis.name).unwrap());
        assert!(Attachments::load(state.path()).unwrap().get(&redis.name).is_none());
    }

    #[test]
    fn no_error_shows_a_password() {
        let state = tempfile::tempdir().unwrap();
        let redis = resource(ResourceKind::Redis { version: None });
        let mut attachments = Attachments::load(state.path()).unwrap();
        for url in ["hunter2", "mysql://u:hunter2@h", "redis://:hunter2@h:port", "redis:hunter2"] {
            let problem = shown(&attachments.attach(&redis, url).unwrap_err());
            assert!(!problem.contains("hunter2"), "{url}: {problem}");
        }
        for text in ["{\"thing\": \"hunter2\"}", "{\"thing\": [\"hunter2\"]}", "\"hunter2\""] {
            std::fs::write(state.path().join(Attachments::FILE), text).unwrap();
            let problem = shown(&Attachments::load(state.path()).unwrap_err());
            assert!(problem.contains("attach again") && !problem.contains("hunter2"), "{problem}");
        }
    }

    fn shown(problem: &AttachError) -> String {
        format!("{problem} {problem:?}")
    }
}
