//! Problem documents that other services have answered with.

use std::borrow::Cow;

use http::StatusCode;
use serde_json::{Map, Value};

use super::ProblemDetails;

impl ProblemDetails {
    /// The document of an answer; `None` when it is none. The status of the answer counts, not
    /// that of the document (RFC 9457 §3.1.2), and a member of the wrong type is no member
    /// (§3.1).
    pub(crate) fn received(status: StatusCode, body: &[u8]) -> Option<Self> {
        let mut members: Map<String, Value> = serde_json::from_slice(body).ok()?;
        let mut text = |name: &str| match members.remove(name) {
            Some(Value::String(text)) => Some(Cow::Owned(text)),
            _ => None,
        };
        let (uri, title, detail) = (text("type"), text("title"), text("detail"));
        members.remove("status");
        let uri = uri.filter(|uri| uri != "about:blank");
        let problem = Self::new(status);
        let problem = uri.into_iter().fold(problem, Self::kind);
        let problem = title.into_iter().fold(problem, Self::title);
        let problem = detail.into_iter().fold(problem, Self::detail);
        Some(
            members.into_iter().fold(problem, |problem, (name, value)| problem.member(name, value)),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_read_as_it_was_written() {
        let sent = ProblemDetails::new(StatusCode::CONFLICT)
            .kind("/docs#problem-duplicate")
            .title("Duplicate")
            .detail("an invoice with this number exists")
            .member("number", "A-7");
        let body = serde_json::to_vec(&sent).unwrap();
        let received = ProblemDetails::received(StatusCode::CONFLICT, &body).unwrap();
        assert_eq!(received, sent);
        assert_eq!(received.uri(), Some("/docs#problem-duplicate"));
        assert_eq!(received.explanation(), Some("an invoice with this number exists"));
        assert_eq!(received.get("number"), Some(&Value::from("A-7")));
    }

    #[test]
    fn what_is_of_the_wrong_type_is_not_there() {
        let body = br#"{"type":"about:blank","title":7,"detail":null,"status":"x","y":[1]}"#;
        let received = ProblemDetails::received(StatusCode::BAD_GATEWAY, body).unwrap();
        let expected = ProblemDetails::new(StatusCode::BAD_GATEWAY).member("y", [1]);
        assert_eq!(received, expected);
        for none in [&b""[..], b"[]", b"\"x\"", b"{"] {
            assert_eq!(ProblemDetails::received(StatusCode::BAD_GATEWAY, none), None);
        }
    }
}
