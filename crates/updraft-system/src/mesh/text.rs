//! Texts of the configuration that have a form of their own and no type: the manifest and
//! the configuration of a gateway are held to the same rules.

use url::Url;

/// A method in capital letters.
pub(crate) fn is_method(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_uppercase())
}

/// The name of a header: a token (RFC 9110, 5.6.2).
pub(crate) fn is_header_name(text: &str) -> bool {
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    !text.is_empty() && text.bytes().all(token)
}

/// A condition on a header: `name` or `name=value`. A value that no header can have would
/// never be met.
pub(crate) fn is_header(text: &str) -> bool {
    let (name, value) = text.split_once('=').unwrap_or((text, ""));
    is_header_name(name.trim()) && is_header_value(value)
}

pub(super) fn is_header_value(text: &str) -> bool {
    text.chars().all(|c| !c.is_control())
}

/// Where a redirect may lead: a path, or an absolute address by `http` or `https`. `//host`
/// is neither, although browsers take it for the second.
pub(crate) fn is_location(text: &str) -> bool {
    let plain = text.bytes().all(|b| b.is_ascii_graphic());
    let path = text.starts_with('/') && !text.starts_with("//") && !text.contains('\\');
    plain && (path || is_address(text, &["http", "https"]))
}

/// Where spans may go. The exporter speaks plain HTTP; a collector beside it speaks TLS.
pub(crate) fn is_otlp_address(text: &str) -> bool {
    is_address(text, &["http"])
        && Url::parse(text).is_ok_and(|url| url.query().is_none() && url.fragment().is_none())
}

/// A path as a request has it, without query.
pub(super) fn is_absolute_path(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_graphic() && !b"?#\\".contains(&b);
    text.starts_with('/') && !text.starts_with("//") && text.bytes().all(plain)
}

fn is_address(text: &str, schemes: &[&str]) -> bool {
    let written = |url: &Url| text.starts_with(&format!("{}://", url.scheme()));
    Url::parse(text).is_ok_and(|url| {
        schemes.contains(&url.scheme())
            && written(&url)
            && url.has_host()
            && url.username().is_empty()
            && url.password().is_none()
    })
}
