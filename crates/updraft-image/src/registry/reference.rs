//! Names of images in registries, `host[:port]/name[:tag][@digest]`, as people type them.
//!
//! The grammar is that of `github.com/distribution/reference`, so what Docker and podman take is
//! taken here: a first part without a dot, a port or the word `localhost` is a name at Docker Hub.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use crate::{Digest, NotADigest};

/// What short names belong to.
const HUB: &str = "docker.io";
/// Where Docker Hub's API is.
const HUB_API: &str = "registry-1.docker.io";
/// The longest host and name, in bytes.
const NAME_MOST: usize = 255;
/// The longest tag, in bytes.
const TAG_MOST: usize = 128;
const DEFAULT_TAG: &str = "latest";

/// An image, or another artefact, in a registry.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Reference {
    host: String,
    name: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

/// Some text names no image.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` names no image in a registry: {why}")]
pub struct ReferenceError {
    text: String,
    why: String,
}

impl Reference {
    /// The registry, with its port where it has one: `ghcr.io`, `localhost:5000`, `docker.io`.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The repository at the registry, such as `library/debian`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The tag; `latest` when the text had neither tag nor digest.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest that the content must have.
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// The same repository, and in it what has this digest.
    #[must_use]
    pub fn at(&self, digest: Digest) -> Self {
        Self { tag: None, digest: Some(digest), ..self.clone() }
    }

    /// Whether the registry is on this machine: `localhost`, a name below it, or a loopback address.
    pub fn is_loopback(&self) -> bool {
        is_loopback(&self.host)
    }

    /// Where the API is, which for Docker Hub is not where its names are.
    pub(super) fn api_host(&self) -> &str {
        if self.host == HUB { HUB_API } else { &self.host }
    }

    /// The part of a manifest's URL: the digest where there is one, so that it cannot be moved.
    pub(super) fn content(&self) -> &str {
        match (&self.digest, &self.tag) {
            (Some(digest), _) => digest.as_str(),
            (None, Some(tag)) => tag,
            (None, None) => DEFAULT_TAG,
        }
    }
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        parse(text).map_err(|why| ReferenceError { text: text.to_owned(), why })
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.host, self.name)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

/// Of `host` or `host:port`.
pub(super) fn is_loopback(host: &str) -> bool {
    let (name, _) = split_port(host);
    let name = name.trim_start_matches('[').trim_end_matches(']');
    let is_address = name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    is_address || name == "localhost" || name.ends_with(".localhost")
}

/// Whether a repository may have this name.
pub(super) fn is_name(name: &str) -> bool {
    name.len() <= NAME_MOST && name.split('/').all(is_component)
}

fn parse(text: &str) -> Result<Reference, String> {
    if let Some((scheme, rest)) = text.split_once("://") {
        return Err(format!("it begins with `{scheme}://`; write `{rest}`"));
    }
    if text.is_empty() {
        return Err(
            "it is empty; write HOST/NAME:TAG, such as `localhost:5000/orders:1`".to_owned()
        );
    }
    let (rest, digest) = match text.split_once('@') {
        Some((rest, digest)) => {
            let digest = digest.parse::<Digest>().map_err(|error: NotADigest| error.to_string())?;
            (rest, Some(digest))
        }
        None => (text, None),
    };
    let (host, path) = split_host(rest);
    let (name, tag) = match path.rsplit_once(':') {
        Some((name, tag)) => (name, Some(tag)),
        None => (path, None),
    };
    check_host(host)?;
    let hub_name = host == HUB && !name.contains('/');
    let name = if hub_name { format!("library/{name}") } else { name.to_owned() };
    check_name(host, &name)?;
    if let Some(tag) = tag {
        check_tag(tag)?;
    }
    let tag = tag.or_else(|| digest.is_none().then_some(DEFAULT_TAG)).map(str::to_owned);
    Ok(Reference { host: host.to_owned(), name, tag, digest })
}

fn split_host(text: &str) -> (&str, &str) {
    match text.split_once('/') {
        Some(("index.docker.io" | HUB, rest)) => (HUB, rest),
        Some((first, rest)) if is_host(first) => (first, rest),
        _ => (HUB, text),
    }
}

fn is_host(first: &str) -> bool {
    let is_upper = |letter: char| letter.is_ascii_uppercase();
    first == "localhost" || first.contains(['.', ':', '[']) || first.contains(is_upper)
}

fn split_port(host: &str) -> (&str, Option<&str>) {
    match host.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => (name, Some(port)),
        _ => (host, None),
    }
}

fn check_host(host: &str) -> Result<(), String> {
    let (name, port) = split_port(host);
    if let Some(port) = port {
        let digits = port.bytes().all(|byte| byte.is_ascii_digit());
        if !digits || port.parse::<u16>().map_or(true, |port| port == 0) {
            return Err(format!("`{port}` is no port; one is a number from 1 to 65535"));
        }
    }
    let inside = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let good = match inside {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => name.split('.').all(is_label),
    };
    good.then_some(()).ok_or_else(|| format!("`{name}` is no name of a host"))
}

fn is_label(label: &str) -> bool {
    let inside = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    let edges = !label.starts_with('-') && !label.ends_with('-');
    !label.is_empty() && edges && label.bytes().all(inside)
}

fn check_name(host: &str, name: &str) -> Result<(), String> {
    if NAME_MOST < host.len() + 1 + name.len() {
        return Err(format!("host and name have more than {NAME_MOST} bytes; shorten the name"));
    }
    if name.contains(|letter: char| letter.is_ascii_uppercase()) {
        let lower = name.to_ascii_lowercase();
        return Err(format!("names have no upper-case letters; write `{lower}`"));
    }
    let Some(bad) = name.split('/').find(|part| !is_component(part)) else { return Ok(()) };
    Err(format!(
        "`{bad}` cannot be a part of a name; one is of lower-case letters and digits, with single \
         `.`, one or two `_`, or `-` between them"
    ))
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`
fn is_component(part: &str) -> bool {
    let is_inner = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit();
    if !part.starts_with(is_inner) || !part.ends_with(is_inner) {
        return false;
    }
    part.split(is_inner)
        .all(|gap| matches!(gap, "" | "." | "_" | "__") || gap.bytes().all(|byte| byte == b'-'))
}

fn check_tag(tag: &str) -> Result<(), String> {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let first = tag.bytes().next().is_some_and(is_word);
    let good = first && tag.bytes().all(|byte| is_word(byte) || matches!(byte, b'.' | b'-'));
    match good && tag.len() <= TAG_MOST {
        true => Ok(()),
        false => Err(format!(
            "`{tag}` is no tag; one has at most {TAG_MOST} letters, digits, `_`, `.` and `-`, and \
             begins with none of the last two"
        )),
    }
}

#[cfg(test)]
#[path = "reference_tests.rs"]
mod tests;
