//! A repository at its registry: its URLs, its scopes, and where a secret of it may be sent.

use url::Url;

use super::error::{RegistryError, RequestLine};
use super::options::{Options, Scheme};
use super::origin;
use super::reference::{Reference, is_loopback};
use crate::Digest;

/// What is done there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Pull,
    Push,
}

/// A repository, while something is done there.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// Scheme, host and port of the API.
    pub(super) base: Url,
    /// As people name the registry, which is how its credentials are named.
    pub(super) host: String,
    pub(super) name: String,
    /// In the words of token servers: `repository:NAME:pull,push`.
    pub(super) scopes: Vec<String>,
    /// Whether plain HTTP was asked for.
    pub(super) plain: bool,
}

impl Place {
    /// `others` are repositories from which blobs may be mounted.
    pub(super) fn new(
        reference: &Reference,
        options: &Options,
        purpose: Purpose,
        others: &[String],
    ) -> Result<Self, RegistryError> {
        let plain = options.scheme == Scheme::Plain;
        let local = options.scheme == Scheme::Auto && options.ca_file.is_none();
        let scheme = if plain || local && reference.is_loopback() { "http" } else { "https" };
        let text = format!("{scheme}://{}/", reference.api_host());
        let base = Url::parse(&text).map_err(|error| RegistryError::Unusable {
            what: text.clone(),
            problem: format!("cannot be called: {error}"),
        })?;
        let actions = if purpose == Purpose::Push { "pull,push" } else { "pull" };
        let mut scopes = vec![format!("repository:{}:{actions}", reference.name())];
        scopes.extend(others.iter().map(|other| format!("repository:{other}:pull")));
        let (host, name) = (reference.host().to_owned(), reference.name().to_owned());
        Ok(Self { base, host, name, scopes, plain })
    }

    /// What a token is kept by.
    pub(super) fn key(&self) -> String {
        format!("{} {}", self.base, self.scopes.join(" "))
    }

    /// Whether secrets of this registry may be sent there.
    pub(super) fn owns(&self, url: &Url) -> bool {
        url.origin() == self.base.origin()
    }

    /// Refuses what leads out of TLS.
    pub(super) fn check(&self, url: &Url, line: &RequestLine) -> Result<(), RegistryError> {
        let safe = match url.scheme() {
            "https" => true,
            "http" if self.owns(url) => true,
            "http" if self.base.scheme() == "http" => {
                self.plain || is_loopback(url.host_str().unwrap_or_default())
            }
            _ => false,
        };
        let refused = || RegistryError::PlainHttp { from: line.clone(), to: origin(url) };
        if safe { Ok(()) } else { Err(refused()) }
    }

    pub(super) fn manifest(&self, content: &str) -> Url {
        self.url(&["manifests", content])
    }

    pub(super) fn blob(&self, digest: &Digest) -> Url {
        self.url(&["blobs", digest.as_str()])
    }

    pub(super) fn uploads(&self) -> Url {
        self.url(&["blobs", "uploads", ""])
    }

    pub(super) fn referrers(&self, digest: &Digest) -> Url {
        self.url(&["referrers", digest.as_str()])
    }

    fn url(&self, parts: &[&str]) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!("/v2/{}/{}", self.name, parts.join("/")));
        url
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(text: &str, scheme: Scheme) -> Place {
        let options = Options { scheme, ..Options::default() };
        Place::new(&text.parse().unwrap(), &options, Purpose::Push, &[]).unwrap()
    }

    #[test]
    fn plain_http_is_for_this_machine_or_for_who_asks() {
        for (text, scheme, expected) in [
            (
                "debian",
                Scheme::Auto,
                "https://registry-1.docker.io/v2/library/debian/blobs/uploads/",
            ),
            ("localhost:5000/a/b", Scheme::Auto, "http://localhost:5000/v2/a/b/blobs/uploads/"),
            ("localhost:5000/a", Scheme::Tls, "https://localhost:5000/v2/a/blobs/uploads/"),
            ("10.0.0.1:5000/a", Scheme::Auto, "https://10.0.0.1:5000/v2/a/blobs/uploads/"),
            ("10.0.0.1:5000/a", Scheme::Plain, "http://10.0.0.1:5000/v2/a/blobs/uploads/"),
        ] {
            assert_eq!(place(text, scheme).uploads().as_str(), expected);
        }
    }

    #[test]
    fn nothing_leads_out_of_tls_and_no_secret_leads_out_of_the_registry() {
        for (text, scheme, to, followed, owned) in [
            ("r.example/a", Scheme::Auto, "https://r.example/x", true, true),
            ("r.example/a", Scheme::Auto, "https://r.example:443/x", true, true),
            ("r.example/a", Scheme::Auto, "https://cdn.example/x", true, false),
            ("r.example/a", Scheme::Auto, "https://r.example:444/x", true, false),
            ("r.example/a", Scheme::Auto, "http://r.example/x", false, false),
            ("r.example/a", Scheme::Auto, "http://localhost/x", false, false),
            ("r.example/a", Scheme::Auto, "file:///etc/passwd", false, false),
            ("r.example/a", Scheme::Plain, "http://cdn.example/x", true, false),
            ("localhost:1/a", Scheme::Auto, "http://cdn.example/x", false, false),
            ("localhost:1/a", Scheme::Auto, "http://127.0.0.1:2/x", true, false),
            ("localhost:1/a", Scheme::Auto, "https://cdn.example/x", true, false),
        ] {
            let (place, url) = (place(text, scheme), to.parse().unwrap());
            let line = RequestLine::of(&http::Method::GET, &url);
            assert_eq!(place.check(&url, &line).is_ok(), followed, "{text} {to}");
            assert_eq!(place.owns(&url), owned, "{text} {to}");
        }
    }
}
