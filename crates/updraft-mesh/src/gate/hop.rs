//! Fields that end at this hop (RFC 9110, 7.6.1), found in one pass over the names.

use http::header::{CONNECTION, HeaderName, TE, UPGRADE};
use http::{HeaderMap, HeaderValue};

use super::fields::{has_prefix, is_guarded, is_guarded_alias, is_hop};
use super::rule::Rule;
use super::text::{is_token, members};

/// What the names of a head say.
#[derive(Debug, Default)]
pub(super) struct Survey {
    /// Fields to take away. Empty for most heads, which then costs no memory.
    pub(super) doomed: Vec<HeaderName>,
    /// Connection names `upgrade`, and there is the field.
    pub(super) upgrade: bool,
    /// A name is a guarded one but for underscores.
    pub(super) alias: bool,
}

/// Looks at all names. `spoof` says which fields beside those of the hop the sender has no
/// right to.
pub(super) fn survey(headers: &HeaderMap, spoof: impl Fn(&str) -> bool) -> Result<Survey, Rule> {
    let mut survey = Survey::default();
    for name in headers.keys() {
        let text = name.as_str();
        survey.alias |= is_guarded_alias(text.as_bytes());
        if may_be_hop(text) && is_hop(text.as_bytes())
            || text.starts_with(['x', 'f', 'v']) && spoof(text)
        {
            survey.doomed.push(name.clone());
        }
    }
    if !survey.doomed.contains(&CONNECTION) {
        return Ok(survey);
    }
    let mut nominates_upgrade = false;
    for value in headers.get_all(CONNECTION) {
        for member in members(value.as_bytes()) {
            if !is_token(member) {
                return Err(Rule::InvalidConnection);
            }
            nominates_upgrade |= member.eq_ignore_ascii_case(b"upgrade");
            nominate(member, headers, &mut survey.doomed)?;
        }
    }
    survey.upgrade = nominates_upgrade && headers.contains_key(UPGRADE);
    Ok(survey)
}

/// Takes the first letter for most names, so that the list is read for few.
fn may_be_hop(name: &str) -> bool {
    name.starts_with(['c', 'h', 'k', 'p', 't', 'u'])
}

fn nominate(member: &[u8], headers: &HeaderMap, doomed: &mut Vec<HeaderName>) -> Result<(), Rule> {
    let options: [&[u8]; 4] = [b"close", b"keep-alive", b"upgrade", b"te"];
    if options.iter().any(|option| member.eq_ignore_ascii_case(option)) {
        return Ok(());
    }
    if is_guarded(member) {
        return Err(Rule::NominatedField);
    }
    if is_guarded_alias(member) {
        return Err(Rule::UnderscoreAlias);
    }
    if let Ok(name) = HeaderName::from_bytes(member)
        && headers.contains_key(&name)
    {
        doomed.push(name);
    }
    Ok(())
}

/// Takes the fields away, but for `TE: trailers`, which is how a client of gRPC says that it
/// can be answered at all, and which every hop of ours can keep.
pub(super) fn remove(headers: &mut HeaderMap, doomed: &[HeaderName]) {
    for name in doomed {
        if name == TE && accepts_trailers(headers) {
            headers.insert(TE, HeaderValue::from_static("trailers"));
        } else {
            headers.remove(name);
        }
    }
}

fn accepts_trailers(headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(TE).iter();
    values.any(|value| members(value.as_bytes()).any(|m| m.eq_ignore_ascii_case(b"trailers")))
}

/// Whether a name is one of the fields by which gateways tell about peers.
pub(super) fn is_identity(name: &str) -> bool {
    name == "x-forwarded-client-cert" || has_prefix(name.as_bytes(), b"x-updraft-")
}
