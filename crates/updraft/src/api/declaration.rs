//! What is said of an operation where it is declared.

use axum::routing::MethodFilter;

use crate::IdempotencyKey;

/// The method of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Method {
    /// Reads; `HEAD` is answered too.
    Get,
    /// Makes something, or does what no other method does.
    Post,
    /// Puts something in place of what was there.
    Put,
    /// Changes a part.
    Patch,
    /// Removes.
    Delete,
}

impl Method {
    /// As HTTP writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }

    /// As OpenAPI writes it.
    pub(crate) const fn key(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Post => "post",
            Self::Put => "put",
            Self::Patch => "patch",
            Self::Delete => "delete",
        }
    }

    /// Whether requests of this method have a body that means something (RFC 9110, 9.3).
    pub const fn takes_body(self) -> bool {
        !matches!(self, Self::Get | Self::Delete)
    }

    /// As requests have it.
    pub(crate) fn http(self) -> http::Method {
        match self {
            Self::Get => http::Method::GET,
            Self::Post => http::Method::POST,
            Self::Put => http::Method::PUT,
            Self::Patch => http::Method::PATCH,
            Self::Delete => http::Method::DELETE,
        }
    }

    pub(crate) fn filter(self) -> MethodFilter {
        match self {
            Self::Get => MethodFilter::GET,
            Self::Post => MethodFilter::POST,
            Self::Put => MethodFilter::PUT,
            Self::Patch => MethodFilter::PATCH,
            Self::Delete => MethodFilter::DELETE,
        }
    }
}

/// What an operation's attribute and doc comment say. The attributes write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Declaration {
    /// The method.
    pub method: Method,
    /// The template of the path, such as `/orders/{id}`.
    pub path: &'static str,
    /// The name of the function.
    pub id: &'static str,
    /// The module of the function, which tells operations of one name apart.
    pub module: &'static str,
    /// The first paragraph of the doc comment, on one line.
    pub summary: &'static str,
    /// The other paragraphs, in Markdown.
    pub description: &'static str,
    /// Callers should use something else.
    pub deprecated: bool,
    /// Under what it is found among the others; unless it is given, the first word of the
    /// path.
    pub tags: &'static [&'static str],
    /// What a caller must have been granted, all of it.
    pub scopes: &'static [&'static str],
    /// Whether requests have keys, by which one that is sent twice has one effect.
    pub idempotent: Option<IdempotencyKey>,
    /// The first version that has it; without one it is of every version, at its path alone.
    pub since: Option<u32>,
    /// The first version that has it no more.
    pub until: Option<u32>,
}

impl Declaration {
    /// Whether a version has it.
    pub(crate) fn is_of(&self, version: u32) -> bool {
        self.since.is_none_or(|since| since <= version)
            && self.until.is_none_or(|until| version < until)
    }

    /// The names in the template of its path, in their order.
    pub(crate) fn parameters(&self) -> impl Iterator<Item = &'static str> {
        parameters(self.path)
    }

    /// The path with every parameter alike: two that are the same cannot both be routed.
    pub(crate) fn form(&self) -> String {
        form(self.path)
    }
}

/// The names in the template of a path.
pub(crate) fn parameters(path: &str) -> impl Iterator<Item = &str> {
    let within = |part: &'_ str| part.starts_with('{') && part.ends_with('}');
    path.split('/').filter(move |part| within(part)).map(|part| part.trim_matches(['{', '}']))
}

/// A template with every parameter alike.
pub(crate) fn form(path: &str) -> String {
    let part = |part: &str| if part.starts_with('{') { "{}".to_owned() } else { part.to_owned() };
    path.split('/').map(part).collect::<Vec<_>>().join("/")
}
