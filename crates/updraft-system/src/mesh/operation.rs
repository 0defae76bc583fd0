//! An operation of a service: method and path template. It is the label of metrics, the unit
//! of authorization, and what a contract describes.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A method and a path template, such as `GET /quotes/{id}`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Operation {
    /// The method in capital letters; `None`: any, written `*`.
    pub method: Option<String>,
    /// The path.
    pub path: PathTemplate,
}

/// A path whose segments are fixed, or one parameter each: `/quotes/{id}`. A last segment
/// `{*rest}` stands for all that follows, of one segment at least.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PathTemplate(String);

/// The text is no operation.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is not an operation: {why}; write a method and a path, such as `GET /quotes/{{id}}`"
)]
pub struct InvalidOperation {
    text: String,
    why: &'static str,
}

impl InvalidOperation {
    /// What is wrong with it, as part of a sentence.
    pub const fn reason(&self) -> &'static str {
        self.why
    }
}

/// What holds for one operation of a service, whoever calls it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OperationPolicy {
    /// It may run twice without harm, so it may be tried again whatever its method.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idempotent: Option<bool>,
    /// The longest until the head of its response; shorter than that of the calls, or nothing.
    #[serde(skip_serializing_if = "Option::is_none", with = "super::span::optional")]
    pub timeout: Option<Duration>,
    /// Who is shed last where there is too much work.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<Priority>,
}

/// How much it matters that a call is served.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    /// Nobody waits for it.
    Background,
    /// Batch work that can be tried again later.
    Low,
    /// What a user notices.
    #[default]
    Normal,
    /// Goes before ordinary calls.
    High,
    /// Failure would do serious harm.
    Critical,
}

impl PathTemplate {
    /// The text of the template.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its segments, without the slashes.
    pub fn segments(&self) -> impl Iterator<Item = &str> {
        self.0.split('/').skip(1)
    }

    /// Whether both fit the same paths: they differ in the names of parameters alone.
    pub fn same_shape(&self, other: &Self) -> bool {
        let form = |segment| match segment {
            rest if str::starts_with(rest, "{*") => "{*}",
            parameter if is_parameter(parameter) => "{}",
            plain => plain,
        };
        self.segments().map(form).eq(other.segments().map(form))
    }
}

impl Operation {
    /// Whether a request is one of this operation. `path` has no query.
    pub fn matches(&self, method: &str, path: &str) -> bool {
        self.method.as_deref().is_none_or(|own| own == method) && self.path.matches(path)
    }

    /// Whether both are written for the same requests, so that one of the two is never met:
    /// the same method and the same shape of path. `GET /a/{b}` beside `* /a/{b}` or beside
    /// `GET /a/b` is told apart, since the one that says more goes first.
    pub fn same_requests(&self, other: &Self) -> bool {
        self.method == other.method && self.path.same_shape(&other.path)
    }
}

impl PathTemplate {
    /// Whether a path without query fits.
    pub fn matches(&self, path: &str) -> bool {
        let mut given = path.split('/').skip(1);
        for own in self.segments() {
            if own.starts_with("{*") {
                return given.next().is_some_and(|first| !first.is_empty());
            }
            match given.next() {
                Some(segment) if is_parameter(own) => {
                    if segment.is_empty() {
                        return false;
                    }
                }
                Some(segment) if segment == own => {}
                _ => return false,
            }
        }
        given.next().is_none()
    }
}

/// What may stand in a segment that is no parameter: what travels as it is (RFC 3986, 3.3).
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_graphic() && !b"{}?#%\\\"<>^`|[]".contains(&byte)
}

fn is_word(name: &str) -> bool {
    name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b))
}

fn is_parameter(segment: &str) -> bool {
    segment.starts_with('{')
}

impl FromStr for PathTemplate {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if !text.starts_with('/') {
            return Err("a path begins with `/`");
        }
        let mut segments = text.split('/').skip(1).peekable();
        while let Some(segment) = segments.next() {
            let inner = segment.strip_prefix('{').and_then(|inner| inner.strip_suffix('}'));
            let last = segments.peek().is_none();
            match inner {
                Some(rest) if rest.starts_with('*') && !last => {
                    return Err("`{*…}` stands last only");
                }
                Some("" | "*") => return Err("a parameter has a name"),
                Some(name) if !is_word(name.strip_prefix('*').unwrap_or(name)) => {
                    return Err("the name of a parameter is letters, digits, `_`, `-` and `.`");
                }
                Some(_) => {}
                None if !segment.bytes().all(is_plain) => {
                    return Err("a segment is plain text or one parameter in braces");
                }
                None if segment == "." || segment == ".." => {
                    return Err("a path has no dot segments");
                }
                None if segment.is_empty() && !last => return Err("a path has no empty segments"),
                None => {}
            }
        }
        Ok(Self(text.to_owned()))
    }
}

impl FromStr for Operation {
    type Err = InvalidOperation;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = |why| InvalidOperation { text: text.to_owned(), why };
        let (method, path) =
            text.split_once(' ').ok_or_else(|| invalid("there is no method before the path"))?;
        let method = match method {
            "*" => None,
            method if !method.is_empty() && method.bytes().all(|b| b.is_ascii_uppercase()) => {
                Some(method.to_owned())
            }
            _ => return Err(invalid("a method is capital letters, or `*` for any")),
        };
        let path = path.parse().map_err(invalid)?;
        Ok(Self { method, path })
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method.as_deref().unwrap_or("*"), self.path.0)
    }
}

impl TryFrom<String> for Operation {
    type Error = InvalidOperation;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Operation> for String {
    fn from(operation: Operation) -> Self {
        operation.to_string()
    }
}
