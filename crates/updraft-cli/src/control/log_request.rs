//! Which lines of the log are wanted, as the query of `GET /v1/logs`.

use std::time::Duration;

use jiff::Timestamp;
use regex::{Regex, RegexBuilder};
use updraft_engine::logs::LogQuery;
use updraft_system::{LogSelector, duration};
use url::form_urlencoded;

/// Most memory that one `grep` may compile to.
const GREP_BYTES_MAX: usize = 1024 * 1024;

/// A choice of lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LogRequest {
    /// Only these sources; empty: all.
    pub(crate) select: Vec<LogSelector>,
    /// Only lines read at or after this moment.
    pub(crate) since: Option<Timestamp>,
    /// Only lines that match this regular expression.
    pub(crate) grep: Option<String>,
    /// Only so many of the newest stored lines.
    pub(crate) last: Option<usize>,
    /// Go on with new lines.
    pub(crate) follow: bool,
}

/// A query that cannot be understood.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InvalidLogRequest {
    #[error("`{0}` is neither a time span such as 10m nor a time such as 2026-01-31T12:00:00Z")]
    Since(String),
    #[error("`{0}` is not a regular expression")]
    Grep(String, #[source] Box<regex::Error>),
    #[error("`{0}` is not a selector: write `service`, `service.process` or `service.process.1`")]
    Select(String),
    #[error("`last` is a number of lines, not `{0}`")]
    Last(String),
    #[error("`follow` is `true` or `false`, not `{0}`")]
    Follow(String),
    #[error("no parameter `{0}`; there are select, since, grep, last and follow")]
    Unknown(String),
}

/// A moment: a time span before now, or an RFC 3339 time.
pub(crate) fn parse_since(text: &str, now: Timestamp) -> Result<Timestamp, InvalidLogRequest> {
    let ago = |span: Duration| now.checked_sub(span).ok();
    let moment = duration::parse(text).ok().and_then(ago).or_else(|| text.parse().ok());
    moment.ok_or_else(|| InvalidLogRequest::Since(text.to_owned()))
}

impl LogRequest {
    /// As the query of a URL.
    pub(crate) fn to_query(&self) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        for selector in &self.select {
            query.append_pair("select", &selector.to_string());
        }
        if let Some(since) = self.since {
            query.append_pair("since", &since.to_string());
        }
        if let Some(grep) = &self.grep {
            query.append_pair("grep", grep);
        }
        if let Some(last) = self.last {
            query.append_pair("last", &last.to_string());
        }
        if self.follow {
            query.append_pair("follow", "true");
        }
        query.finish()
    }

    /// From the query of a URL.
    pub(crate) fn from_query(query: &str, now: Timestamp) -> Result<Self, InvalidLogRequest> {
        let mut request = Self::default();
        for (key, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*key {
                "select" => {
                    let invalid = |_| InvalidLogRequest::Select(value.to_string());
                    request.select.push(value.parse().map_err(invalid)?);
                }
                "since" => request.since = Some(parse_since(&value, now)?),
                "grep" => request.grep = Some(value.into_owned()),
                "last" => {
                    let invalid = |_| InvalidLogRequest::Last(value.to_string());
                    request.last = Some(value.parse().map_err(invalid)?);
                }
                "follow" => match &*value {
                    "true" | "1" | "" => request.follow = true,
                    "false" | "0" => request.follow = false,
                    _ => return Err(InvalidLogRequest::Follow(value.into_owned())),
                },
                _ => return Err(InvalidLogRequest::Unknown(key.into_owned())),
            }
        }
        Ok(request)
    }

    /// As the engine's log store takes it.
    pub(crate) fn to_engine(&self) -> Result<LogQuery, InvalidLogRequest> {
        Ok(LogQuery {
            selectors: self.select.clone(),
            since: self.since,
            grep: self.grep.as_deref().map(compile).transpose()?,
            last: self.last,
            follow: self.follow,
        })
    }
}

fn compile(pattern: &str) -> Result<Regex, InvalidLogRequest> {
    let compiled = RegexBuilder::new(pattern).size_limit(GREP_BYTES_MAX).build();
    compiled.map_err(|error| InvalidLogRequest::Grep(pattern.to_owned(), Box::new(error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        "2026-01-31T12:00:00Z".parse().unwrap()
    }

    #[test]
    fn a_request_survives_its_query() {
        let requests = [
            LogRequest::default(),
            LogRequest {
                select: vec!["orders".parse().unwrap(), "orders.web.2".parse().unwrap()],
                since: Some(now()),
                grep: Some(r"a&b=c %20 \d+ ü #".to_owned()),
                last: Some(0),
                follow: true,
            },
        ];
        for request in requests {
            assert_eq!(LogRequest::from_query(&request.to_query(), now()).unwrap(), request);
        }
    }

    #[test]
    fn since_is_a_span_or_a_time() {
        let since = |text| parse_since(text, now()).map(|moment| moment.to_string());
        assert_eq!(since("10m").unwrap(), "2026-01-31T11:50:00Z");
        assert_eq!(since("1h30m").unwrap(), "2026-01-31T10:30:00Z");
        assert_eq!(since("2026-01-31T13:00:00+02:00").unwrap(), "2026-01-31T11:00:00Z");
        for bad in ["", "yesterday", "10", "10 m", "2026-01-31", "99999999999999999h"] {
            assert!(since(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_cannot_be_understood_is_refused_by_name() {
        let said = |query: &str| LogRequest::from_query(query, now()).unwrap_err().to_string();
        assert!(said("select=Orders").contains("`Orders` is not a selector"));
        assert!(said("select=a.b.c").contains("`a.b.c` is not a selector"));
        assert!(said("last=-1").contains("`-1`"));
        assert!(said("follow=maybe").contains("`maybe`"));
        assert!(said("tail=1").contains("no parameter `tail`"));
        let huge = LogRequest { grep: Some("(x{1000}){1000}".to_owned()), ..Default::default() };
        assert!(huge.to_engine().is_err());
        let open = LogRequest { grep: Some("(".to_owned()), ..Default::default() };
        assert!(matches!(open.to_engine(), Err(InvalidLogRequest::Grep(..))));
    }
}
