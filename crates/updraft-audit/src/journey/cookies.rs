//! The cookies of a client (RFC 6265, 5.3), as far as a journey at one site needs them: paths
//! and domains are not looked at, and `Secure` ones are sent too, for a platform's router ends
//! TLS.

use std::collections::BTreeMap;

use crate::lab::client::Answer;

/// Cookies by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Cookies(BTreeMap<String, String>);

impl Cookies {
    /// Keeps what an answer sets, and forgets what it ends.
    pub(super) fn take(&mut self, answer: &Answer) {
        let set = answer.headers.iter().filter(|(name, _)| name == "set-cookie");
        for (_, text) in set {
            let mut parts = text.split(';');
            let pair = parts.next().and_then(|pair| pair.split_once('='));
            let Some((name, value)) = pair else { continue };
            let (name, value) = (name.trim().to_owned(), value.trim().to_owned());
            if parts.any(ends) {
                self.0.remove(&name);
            } else {
                self.0.insert(name, value);
            }
        }
    }

    /// The value of the `Cookie` header; `None`: there are none.
    pub(super) fn header(&self) -> Option<String> {
        let pairs: Vec<_> = self.0.iter().map(|(name, value)| format!("{name}={value}")).collect();
        (!pairs.is_empty()).then(|| pairs.join("; "))
    }
}

/// Whether an attribute says that the cookie is over. Dates are all taken for the future but
/// the one that servers write for the past.
fn ends(attribute: &str) -> bool {
    let Some((name, value)) = attribute.split_once('=') else { return false };
    let value = value.trim();
    match name.trim().to_ascii_lowercase().as_str() {
        "max-age" => value.parse().is_ok_and(|seconds: i64| seconds <= 0),
        "expires" => value.contains(" 1970 ") || value.contains("-1970 "),
        _ => false,
    }
}
