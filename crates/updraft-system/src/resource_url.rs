//! The address of a resource, which cannot be printed by accident: it holds a password.

use std::fmt;
use std::path::{Path, PathBuf};

use url::Url;

use crate::ResourceKind;

/// Where a resource is, with its credentials. `Debug` and `Display` leave out the
/// user information and the query; [`ResourceUrl::expose`] gives all of it.
#[derive(Clone, PartialEq, Eq)]
pub struct ResourceUrl(String);

/// The text is not a URL. It is not repeated, since it may hold a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a URL: write scheme://user:password@host:port/path, special characters as %XX")]
pub struct InvalidUrl;

/// The address is not one that a resource of this kind can have. Never repeats the address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnfitUrl {
    /// The URL is of something else.
    #[error("a resource of kind `{kind}` cannot be at a `{scheme}:` address: use {allowed}")]
    Scheme {
        /// The kind.
        kind: &'static str,
        /// The scheme of the URL.
        scheme: String,
        /// What would do.
        allowed: &'static str,
    },
    /// A part that an address of this kind must have is not there.
    #[error("the address lacks {what}: write it as {form}")]
    Incomplete {
        /// The missing part.
        what: &'static str,
        /// An example.
        form: &'static str,
    },
}

/// What an address of a kind looks like.
struct Form {
    schemes: &'static [&'static str],
    example: &'static str,
    kind: &'static str,
}

impl ResourceUrl {
    /// Takes a URL as it was written.
    ///
    /// # Errors
    ///
    /// [`InvalidUrl`] for anything else.
    pub fn parse(text: &str) -> Result<Self, InvalidUrl> {
        // The parser strips these silently; what a service gets must be what was checked.
        if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err(InvalidUrl);
        }
        match Url::parse(text) {
            Ok(_) => Ok(Self(text.to_owned())),
            Err(_) => Err(InvalidUrl),
        }
    }

    /// The URL of an absolute path, with `scheme` instead of `file`.
    ///
    /// # Errors
    ///
    /// [`InvalidUrl`] when the path is not absolute.
    pub fn of_path(scheme: &str, path: &Path) -> Result<Self, InvalidUrl> {
        let url = Url::from_file_path(path).map_err(|()| InvalidUrl)?;
        Ok(Self(format!("{scheme}{}", &url.as_str()["file".len()..])))
    }

    /// For text put together here, from parts that need no escaping.
    pub fn from_parts(text: String) -> Self {
        Self(text)
    }

    /// The whole text, for the environment of a service and nothing else.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The same address through a gateway that listens on `port` of the loopback interface.
    #[must_use]
    pub fn through(&self, port: u16) -> Self {
        let text = self.expose();
        let start = text.find("://").map_or(0, |at| at + 3);
        let end = text[start..].find(['/', '?', '#']).map_or(text.len(), |at| start + at);
        let credentials = text[start..end].rfind('@').map_or("", |at| &text[start..=start + at]);
        let (head, tail) = (&text[..start], &text[end..]);
        Self(format!("{head}{credentials}127.0.0.1:{port}{tail}"))
    }

    /// What a program writes to when it uses the address: the folder of a database in a file,
    /// which has files beside it, or of blobs. `None`: it is no place in the file system.
    pub fn written_path(&self) -> Option<PathBuf> {
        let scheme = self.scheme();
        if !matches!(scheme.as_str(), "sqlite" | "file") {
            return None;
        }
        let path = Url::parse(&format!("file{}", self.0.get(scheme.len()..)?)).ok()?;
        // Without an absolute path there is no knowing what it is relative to.
        let path = path.to_file_path().ok()?;
        if scheme == "file" { Some(path) } else { path.parent().map(Path::to_owned) }
    }

    /// The scheme, in lower case.
    pub fn scheme(&self) -> String {
        self.0.split(':').next().unwrap_or_default().to_ascii_lowercase()
    }

    /// Whether a resource of this kind can be at this address.
    ///
    /// # Errors
    ///
    /// [`UnfitUrl`], which says what would do.
    pub fn fits(&self, kind: &ResourceKind) -> Result<(), UnfitUrl> {
        let form = form(kind);
        let scheme = self.scheme();
        if !form.schemes.contains(&scheme.as_str()) {
            let (kind, allowed) = (form.kind, form.example);
            return Err(UnfitUrl::Scheme { kind, scheme, allowed });
        }
        let missing = match scheme.as_str() {
            "memory" => None,
            "sqlite" | "file" => {
                let rest = &self.0[scheme.len()..];
                let absolute = rest.starts_with(":///") && rest.len() > ":///".len();
                (!absolute).then_some("an absolute path")
            }
            _ => match Url::parse(&self.0) {
                Ok(url) if url.host_str().is_none_or(str::is_empty) => Some("a host"),
                Err(_) => Some("a host"),
                // A password with a `/` ends the host before it, and would be shown as a path.
                Ok(url)
                    if url.username().is_empty()
                        && url.password().is_none()
                        && self.0.contains('@') =>
                {
                    Some("%XX for the special characters of its user or password")
                }
                Ok(_) => None,
            },
        };
        let incomplete = |what| Err(UnfitUrl::Incomplete { what, form: form.example });
        missing.map_or(Ok(()), incomplete)
    }

    /// The same address with `parameters` (already encoded) added to its query.
    #[must_use]
    pub fn with_query(&self, parameters: &str) -> Self {
        let separator = if self.0.contains('?') { '&' } else { '?' };
        Self(format!("{}{separator}{parameters}", self.0))
    }
}

impl fmt::Display for ResourceUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (head, rest) = self.0.split_once(':').unwrap_or(("", ""));
        let (rest, hidden) = match rest.find(['?', '#']) {
            Some(end) => (&rest[..end], "?…"),
            None => (rest, ""),
        };
        let Some(authority) = rest.strip_prefix("//") else {
            // Without an authority the rest has no shape to trust, except for a path.
            let shown = if rest.is_empty() || rest.starts_with('/') { rest } else { "…" };
            return write!(f, "{head}:{shown}{hidden}");
        };
        // The last `@` before the path ends the user information, as the URL standard has it.
        let end = authority.find('/').unwrap_or(authority.len());
        match authority[..end].rfind('@') {
            Some(at) => write!(f, "{head}://…@{}{hidden}", &authority[at + 1..]),
            None => write!(f, "{head}://{authority}{hidden}"),
        }
    }
}

impl fmt::Debug for ResourceUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ResourceUrl({self})")
    }
}

fn form(kind: &ResourceKind) -> Form {
    let (kind, schemes, example): (_, &[_], _) = match kind {
        ResourceKind::Sql => (
            "sql",
            &["sqlite", "postgresql", "postgres"],
            "sqlite:///path/to/file or postgresql://user:password@host:port/database",
        ),
        ResourceKind::Queue { .. } => (
            "queue",
            &["sqlite", "postgresql", "postgres", "redis", "rediss", "nats", "tls"],
            "an address of SQLite, PostgreSQL, Redis or NATS, such as redis://host:port",
        ),
        ResourceKind::Cache => {
            ("cache", &["redis", "rediss", "memory"], "redis://host:port or rediss://host:port")
        }
        ResourceKind::Blob => {
            ("blob", &["file", "s3"], "file:///path/to/folder/ or s3://bucket/prefix")
        }
        ResourceKind::Postgres { .. } => (
            "postgres",
            &["postgresql", "postgres"],
            "postgresql://user:password@host:port/database",
        ),
        ResourceKind::Redis { .. } => {
            ("redis", &["redis", "rediss"], "redis://host:port or rediss://host:port")
        }
        ResourceKind::Nats { .. } => {
            ("nats", &["nats", "tls"], "nats://host:port or tls://host:port")
        }
    };
    Form { schemes, example, kind }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_files_are_written() {
        let table = [
            ("sqlite:///a/b/db.sqlite3", Some("/a/b")),
            ("sqlite:///a/b%20c/db.sqlite3?queue=q&max_attempts=5", Some("/a/b c")),
            ("file:///a/files/", Some("/a/files/")),
            ("postgres://user@host/a/b", None),
            ("memory:", None),
        ];
        for (url, expected) in table {
            let url = ResourceUrl::parse(url).unwrap();
            assert_eq!(url.written_path().as_deref(), expected.map(Path::new), "{url}");
        }
    }

    #[test]
    fn only_scheme_host_and_path_are_shown() {
        let table = [
            ("postgresql://app:hunter2@db:5432/shop", "postgresql://…@db:5432/shop"),
            ("redis://:hunter2@127.0.0.1:6379/0", "redis://…@127.0.0.1:6379/0"),
            ("nats://hunter2@n1:4222", "nats://…@n1:4222"),
            ("s3://key:hunter2@host/bucket?token=hunter2", "s3://…@host/bucket?…"),
            ("postgres://h/db?password=hunter2", "postgres://h/db?…"),
            ("https://a:b@hunter2@host/x", "https://…@host/x"),
            ("sqlite:///a/b.sqlite3?queue=jobs", "sqlite:///a/b.sqlite3?…"),
            ("memory:", "memory:"),
            ("odd:hunter2", "odd:…"),
            ("file:///a/b/", "file:///a/b/"),
        ];
        for (text, shown) in table {
            let url = ResourceUrl::parse(text).unwrap();
            assert_eq!(url.to_string(), shown, "{text}");
            assert_eq!(format!("{url:?}"), format!("ResourceUrl({shown})"));
            assert_eq!(url.expose(), text);
        }
    }

    #[test]
    fn what_is_not_a_url_is_refused_without_repeating_it() {
        for text in ["", "hunter2", "postgres://h:port/x", "redis://a b", "redis://h/\n"] {
            let problem = ResourceUrl::parse(text).unwrap_err();
            assert!(!problem.to_string().contains("hunter2"), "{text}");
        }
    }

    #[test]
    fn a_path_with_odd_characters_becomes_a_sound_url() {
        let url = ResourceUrl::of_path("sqlite", Path::new("/a b/50%?#.sqlite3")).unwrap();
        assert_eq!(url.expose(), "sqlite:///a%20b/50%25%3F%23.sqlite3");
    }

    proptest! {
        #[test]
        fn a_password_is_never_shown(
            user in "[a-z]{0,8}", password in "S[A-Za-z0-9@:%.~_-]{6,20}", port in 1u16..,
        ) {
            let text = format!("redis://{user}:{password}@host:{port}/0?secret={password}");
            if let Ok(url) = ResourceUrl::parse(&text) {
                let shown = format!("{url} {url:?}");
                prop_assert!(!shown.contains(&password));
            }
        }
    }
}
