//! What all problems of one kind have in common.

/// A kind of problem: what does not change from one occurrence to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProblemKind {
    /// The status of the answer: 400 to 599.
    pub status: u16,
    /// The `type` of the document, an URI reference by which programs tell kinds apart;
    /// `None` is `about:blank`, a problem that its status says all of.
    pub uri: Option<&'static str>,
    /// The title of the document.
    pub title: &'static str,
    /// The template of the detail, for people: `{number}` stands for what changes.
    pub detail: Option<&'static str>,
    /// The answer says after how many seconds to try again.
    pub retry_after: bool,
}

impl ProblemKind {
    /// A fault of the service, of which the caller learns nothing.
    pub const INTERNAL: Self = Self::bare(500, "Internal Server Error");

    /// The request cannot be read.
    pub(crate) const MALFORMED: Self = Self::bare(400, "Bad Request");

    /// The request can be read, and says something that is not allowed.
    pub(crate) const INVALID: Self = Self::bare(422, "Unprocessable Entity");

    /// The body is larger than the service takes.
    pub(crate) const TOO_LARGE: Self = Self::bare(413, "Payload Too Large");

    /// The body is of a media type that is not read here.
    pub(crate) const MEDIA_TYPE: Self = Self::bare(415, "Unsupported Media Type");

    /// There is no such thing.
    pub(crate) const NOT_FOUND: Self = Self::bare(404, "Not Found");

    /// Nobody has said who asks.
    pub(crate) const UNAUTHORIZED: Self = Self::bare(401, "Unauthorized");

    /// Who asks may not do this.
    pub(crate) const FORBIDDEN: Self = Self::bare(403, "Forbidden");

    /// The same request is being answered already.
    pub(crate) const IN_PROGRESS: Self = Self { retry_after: true, ..Self::bare(409, "Conflict") };

    /// A problem that its status says all of.
    pub const fn bare(status: u16, title: &'static str) -> Self {
        Self { status, uri: None, title, detail: None, retry_after: false }
    }
}
