//! What can go wrong with a registry, said so that one knows what to do.
//!
//! No text of it holds a secret: requests are shown without their query, which holds states of
//! uploads and signatures of links, and files of credentials by their names alone.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use http::{Method, StatusCode};
use serde::Deserialize;
use url::Url;

use super::credentials::CredentialsError;
use crate::{Digest, LayoutError};

/// The most of a registry's own complaints that are repeated, and the longest text of one.
const COMPLAINTS_MOST: usize = 5;
const COMPLAINT_MOST: usize = 300;

/// A request could not be done.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// Nobody answers there.
    #[error("cannot connect to {host}: see that the name is right and the registry runs")]
    Connect {
        /// Host and port.
        host: String,
        /// Why not.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// TLS says no.
    #[error(
        "no safe connection to {host}: give the certificate of its authority as a CA file, or ask \
         for plain HTTP if the registry has no TLS"
    )]
    Tls {
        /// Host and port.
        host: String,
        /// What rustls says.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The connection was cut.
    #[error("the connection broke during {request}")]
    Broken {
        /// During what.
        request: RequestLine,
        /// How.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The answer breaks the rules of HTTP, or has a giant header.
    #[error("the answer to {request} is not HTTP/1.1, or its header is larger than 64 KiB")]
    NotHttp {
        /// To what.
        request: RequestLine,
        /// What hyper says.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Nothing came or went for too long.
    #[error("{request} stood still for {} s", after.as_secs_f32())]
    Stalled {
        /// What.
        request: RequestLine,
        /// How long.
        after: Duration,
    },
    /// The registry says no.
    #[error("{0}")]
    Answer(Box<Answer>),
    /// It asks who this is.
    #[error("{0}")]
    Unauthorized(Box<Unauthorized>),
    /// A secret would have been readable on the way.
    #[error(
        "{host} asks for credentials over plain HTTP, and they are not sent so to a host that is \
         not this machine: use TLS"
    )]
    PlainCredentials {
        /// Host and port.
        host: String,
    },
    /// A redirect or a token server leads out of TLS.
    #[error("{from} leads to {to} without TLS, which is not followed")]
    PlainHttp {
        /// What leads there.
        from: RequestLine,
        /// Where to.
        to: String,
    },
    /// A `Location` is missing, or is no URL.
    #[error("the answer to {0} leads nowhere: its `Location` is missing, or is no URL")]
    Location(RequestLine),
    /// Redirects do not end.
    #[error("{0} was redirected more than {REDIRECTS_MOST} times")]
    Redirects(RequestLine),
    /// The token server's answer is none.
    #[error("the token server at {host} {problem}")]
    Token {
        /// Host and port.
        host: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// Credentials cannot be read.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    /// The file of authorities cannot be used.
    #[error("the CA file {} cannot be used: it must have certificates as PEM", path.display())]
    CaFile {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The content is another one.
    #[error("{what} has the digest {got}, and {expected} was expected")]
    Digest {
        /// What content.
        what: String,
        /// What it should be.
        expected: Digest,
        /// What it is, or what the registry says it is.
        got: String,
    },
    /// The content has another length.
    #[error("{what} has {} than the {expected} bytes that it should have", if *longer { "more" } else { "fewer" })]
    Length {
        /// What content.
        what: String,
        /// In bytes.
        expected: u64,
        /// Or shorter.
        longer: bool,
    },
    /// More than is read.
    #[error("{what} is larger than {most} bytes")]
    TooLarge {
        /// What.
        what: String,
        /// In bytes.
        most: u64,
    },
    /// A document has another shape.
    #[error("{what} is not what the OCI specifications have there")]
    Document {
        /// Which.
        what: String,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// A document says what cannot be used.
    #[error("{what} {problem}")]
    Unusable {
        /// Which.
        what: String,
        /// Why not.
        problem: String,
    },
    /// No image of an index runs on the platform.
    #[error("{what} has no image for {wanted}; it has {there}")]
    Platform {
        /// Which index.
        what: String,
        /// What was asked for.
        wanted: String,
        /// What it has.
        there: String,
    },
    /// The layout on disk cannot be read or written.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// A blob's file cannot be read or written.
    #[error("cannot {action} {}", path.display())]
    File {
        /// What was to be done.
        action: &'static str,
        /// Which file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

/// The most redirects that are followed for one request.
pub(super) const REDIRECTS_MOST: usize = 5;

/// A request without what is secret in it: `PUT https://host/v2/a/manifests/1`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestLine(String);

impl RequestLine {
    pub(super) fn of(method: &Method, url: &Url) -> Self {
        Self(format!("{method} {}://{}{}", url.scheme(), super::origin(url), url.path()))
    }
}

impl fmt::Display for RequestLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a registry answered instead of doing it.
#[derive(Debug)]
pub struct Answer {
    pub(super) request: RequestLine,
    pub(super) status: StatusCode,
    pub(super) complaints: Vec<Complaint>,
    pub(super) retry_after: Option<Duration>,
}

impl Answer {
    /// The HTTP status.
    pub fn status(&self) -> u16 {
        self.status.as_u16()
    }

    /// The codes of the registry's error document, such as `MANIFEST_UNKNOWN`.
    pub fn codes(&self) -> impl Iterator<Item = &str> {
        self.complaints.iter().map(|complaint| complaint.code.as_str())
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} was answered {}", self.request, self.status)?;
        write_complaints(f, &self.complaints)?;
        let advice = match self.status.as_u16() {
            403 => "; these credentials may not do it, or the repository does not exist",
            404 => "; see that repository and tag are right",
            413 => "; the registry takes no content this large",
            429 => "; the registry asks for less: try again later",
            500..=599 => "; the registry or what is before it fails",
            _ => "",
        };
        f.write_str(advice)
    }
}

/// A registry that wants to know who asks, and does not take what it was told.
#[derive(Debug)]
pub struct Unauthorized {
    pub(super) request: RequestLine,
    pub(super) host: String,
    pub(super) complaints: Vec<Complaint>,
    /// Where credentials came from, or where they were looked for.
    pub(super) looked: Looked,
}

/// Where credentials were looked for, for people who wonder why there are none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Looked {
    Found(String),
    Missing(Vec<PathBuf>),
}

impl fmt::Display for Unauthorized {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} was answered 401 Unauthorized", self.request)?;
        write_complaints(f, &self.complaints)?;
        let host = &self.host;
        match &self.looked {
            Looked::Found(place) => write!(f, "; it does not take the credentials of {place}"),
            Looked::Missing(files) if files.is_empty() => {
                write!(f, "; no credentials for {host} were given, and no file to look for them")
            }
            Looked::Missing(files) => {
                let files: Vec<String> =
                    files.iter().map(|file| file.display().to_string()).collect();
                write!(f, "; no credentials for {host} are in {}", files.join(" or "))?;
                write!(f, ": log in (`docker login {host}` or `skopeo login {host}`)")
            }
        }
    }
}

/// One entry of a registry's error document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Complaint {
    pub(super) code: String,
    pub(super) message: String,
}

fn write_complaints(f: &mut fmt::Formatter<'_>, complaints: &[Complaint]) -> fmt::Result {
    for (number, complaint) in complaints.iter().enumerate() {
        f.write_str(if number == 0 { ": " } else { ", " })?;
        match complaint.message.is_empty() {
            true => write!(f, "{}", complaint.code)?,
            false => write!(f, "{} ({})", complaint.code, complaint.message)?,
        }
    }
    Ok(())
}

#[derive(Deserialize)]
struct ErrorDocument {
    #[serde(default)]
    errors: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: Option<String>,
}

/// What the error document says, as far as it can be read, and safe for a terminal.
pub(super) fn complaints(body: &[u8]) -> Vec<Complaint> {
    let document = serde_json::from_slice::<ErrorDocument>(body);
    let entries = document.map_or_else(|_not_json| Vec::new(), |document| document.errors);
    let kept = entries.into_iter().take(COMPLAINTS_MOST);
    kept.map(|entry| Complaint {
        code: printable(&entry.code),
        message: printable(&entry.message.unwrap_or_default()),
    })
    .collect()
}

/// A foreign text without what moves a terminal's cursor, and not longer than a line or two.
pub(super) fn printable(text: &str) -> String {
    let safe = |letter: char| if letter.is_control() { ' ' } else { letter };
    text.chars().take(COMPLAINT_MOST).map(safe).collect()
}

impl Complaint {
    /// What an entry says that says nothing.
    pub(super) const EMPTY: Self = Self { code: String::new(), message: String::new() };
}

impl RegistryError {
    /// Whether trying again may help: the network, too many requests, a registry that fails.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Connect { .. } | Self::Broken { .. } | Self::Stalled { .. } => true,
            Self::Answer(answer) => {
                matches!(answer.status.as_u16(), 408 | 425 | 429 | 500 | 502 | 503 | 504)
            }
            _ => false,
        }
    }

    pub(super) fn status(&self) -> Option<u16> {
        match self {
            Self::Answer(answer) => Some(answer.status.as_u16()),
            Self::Unauthorized(_) => Some(401),
            _ => None,
        }
    }

    pub(super) fn has_code(&self, code: &str) -> bool {
        matches!(self, Self::Answer(answer) if answer.codes().any(|it| it == code))
    }

    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Answer(answer) => answer.retry_after,
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_shown_without_what_is_secret() {
        let url = "https://user:pass@cdn.example/blob?X-Signature=secret#part".parse().unwrap();
        let shown = RequestLine::of(&Method::GET, &url).to_string();
        assert_eq!(shown, "GET https://cdn.example/blob");
    }

    #[test]
    fn the_registrys_own_words_are_repeated_within_bounds() {
        let body = br#"{"errors":[{"code":"DENIED","message":"no \u001b[31mway","detail":[1]},{"code":"X"}]}"#;
        let answer = Answer {
            request: RequestLine::of(&Method::PUT, &"http://localhost/v2/a".parse().unwrap()),
            status: StatusCode::FORBIDDEN,
            complaints: complaints(body),
            retry_after: None,
        };
        let shown = answer.to_string();
        assert!(shown.starts_with("PUT http://localhost/v2/a was answered 403"), "{shown}");
        assert!(shown.contains("DENIED (no  [31mway), X; these credentials"), "{shown}");
        let many = format!(r#"{{"errors":[{}{{}}]}}"#, r#"{"code":"A"},"#.repeat(100));
        assert_eq!(complaints(many.as_bytes()).len(), COMPLAINTS_MOST);
        let deep = "[".repeat(100_000);
        assert!(complaints(format!(r#"{{"errors":{deep}"#).as_bytes()).is_empty());
    }
}
