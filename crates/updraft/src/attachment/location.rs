//! Where something is attached, as people may see it.

use std::fmt;

/// Kind and place of an attachment. It is made of the parts that hold no secret: scheme,
/// host, port and path. User, password, query and fragment have no place in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Location {
    kind: &'static str,
    place: String,
}

impl Location {
    /// `kind` is the scheme; `place` names nothing secret.
    pub(crate) fn new(kind: &'static str, place: impl Into<String>) -> Self {
        Self { kind, place: place.into() }
    }

    /// The parts of `url` that everybody may see.
    pub(crate) fn of_url(kind: &'static str, url: &url::Url) -> Self {
        let host = url.host_str().unwrap_or_default();
        let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
        Self { kind, place: format!("//{host}{port}{}", url.path()) }
    }

    pub(crate) fn kind(&self) -> &'static str {
        self.kind
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind, self.place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_shows_no_part_that_may_be_secret() {
        let url = "postgres://canary:canary@db.example:5433/shop?password=canary#canary";
        let location = Location::of_url("postgres", &url::Url::parse(url).unwrap());
        assert_eq!(location.to_string(), "postgres://db.example:5433/shop");
    }
}
