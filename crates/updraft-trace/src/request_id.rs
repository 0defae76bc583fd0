//! `x-request-id`: one name for a request in the logs of all services. Made where it comes in,
//! kept inside.

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::context::digits;

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The name of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(Text);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Text {
    Kept(HeaderValue),
    /// A UUID is short enough to stand where it is needed.
    Made([u8; 36]),
}

impl RequestId {
    /// The longest that is kept, in bytes.
    pub const LENGTH_MAX: usize = 64;

    /// The id that the request came with, where it comes from inside the mesh and has exactly
    /// one that is a sane token.
    #[must_use]
    pub fn kept(headers: &HeaderMap, is_inside: bool) -> Option<Self> {
        if !is_inside {
            return None;
        }
        let mut all = headers.get_all(X_REQUEST_ID).iter();
        let only = all.next().filter(|_| all.next().is_none());
        only.filter(|value| is_sane(value.as_bytes())).map(|kept| Self(Text::Kept(kept.clone())))
    }

    /// A UUID of version 7 (RFC 9562 §5.7): it begins with the time, so that ids sort by it.
    #[must_use]
    pub fn new(unix_ms: u64, rng: &mut fastrand::Rng) -> Self {
        Self(Text::Made(uuid(unix_ms, rng.u128(..))))
    }

    /// Writes it into the request on its way on, or into the response.
    pub fn write(&self, headers: &mut HeaderMap) {
        headers.insert(X_REQUEST_ID, self.value());
    }

    /// The value of the header.
    #[must_use]
    pub fn value(&self) -> HeaderValue {
        match &self.0 {
            Text::Kept(value) => value.clone(),
            Text::Made(text) => {
                HeaderValue::from_bytes(text).unwrap_or(HeaderValue::from_static("-"))
            }
        }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }

    /// The bytes of the text, which are ASCII.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Text::Kept(value) => value.as_bytes(),
            Text::Made(text) => text,
        }
    }
}

/// Letters, digits and what ids of other makers have; nothing that means something in a log, a
/// shell or a query.
fn is_sane(id: &[u8]) -> bool {
    let sane = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:+/=".contains(byte);
    (1..=RequestId::LENGTH_MAX).contains(&id.len()) && id.iter().all(sane)
}

fn uuid(unix_ms: u64, random: u128) -> [u8; 36] {
    let time = u128::from(unix_ms) & 0xffff_ffff_ffff;
    let random_a = random >> 64 & 0xfff;
    let random_b = random & 0x3fff_ffff_ffff_ffff;
    let value = time << 80 | 0x7 << 76 | random_a << 64 | 0b10 << 62 | random_b;
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = value.to_be_bytes();
    let mut text = [b'-'; 36];
    digits(&mut text[..8], [a, b, c, d]);
    digits(&mut text[9..13], [e, f]);
    digits(&mut text[14..18], [g, h]);
    digits(&mut text[19..23], [i, j]);
    digits(&mut text[24..], [k, l, m, n, o, p]);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(ids: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for id in ids {
            headers.append("x-request-id", id.parse().unwrap());
        }
        headers
    }

    fn kept(ids: &[&str], is_inside: bool) -> Option<String> {
        RequestId::kept(&headers(ids), is_inside).map(|id| id.as_str().to_owned())
    }

    #[test]
    fn a_sane_id_from_inside_is_kept() {
        let longest = "a".repeat(64);
        for id in ["1", "0194f1c2-7b3a-7c00-8000-0123456789ab", "Root=1-67:a_b.c/d+e=", &longest] {
            assert_eq!(kept(&[id], true).as_deref(), Some(id));
        }
    }

    #[test]
    fn anything_else_is_not_kept() {
        let long = "a".repeat(65);
        for ids in [&[][..], &[""], &["a b"], &["a\"b"], &["a;b"], &["a\tb"], &["ä"], &[&long]] {
            assert_eq!(kept(ids, true), None, "{ids:?}");
        }
        assert_eq!(kept(&["a", "a"], true), None);
        assert_eq!(kept(&["a"], false), None);
    }

    #[test]
    fn a_new_id_is_a_uuid_of_version_7() {
        // The example of RFC 9562, appendix A.6.
        let random = 0xcc3 << 64 | 0x18c4_dc0c_0c07_398f;
        let text = uuid(0x017f_22e2_79b0, random);
        assert_eq!(std::str::from_utf8(&text).unwrap(), "017f22e2-79b0-7cc3-98c4-dc0c0c07398f");
        let all = uuid(u64::MAX, u128::MAX);
        assert_eq!(std::str::from_utf8(&all).unwrap(), "ffffffff-ffff-7fff-bfff-ffffffffffff");
    }

    #[test]
    fn it_is_written_in_place_of_all_others() {
        let mut headers = headers(&["a", "b"]);
        let id = RequestId::new(5, &mut fastrand::Rng::with_seed(3));
        id.write(&mut headers);
        let all: Vec<_> = headers.get_all("x-request-id").iter().collect();
        assert_eq!(all, [id.as_str()]);
    }
}
