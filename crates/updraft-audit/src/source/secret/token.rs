//! Tokens that begin with a name of their own.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::Value;

use super::checksum;
use super::randomness::is_drawn;
use super::scan::{Judgement, Weight};

/// The first letters of the key that every installation of Azurite, the emulator, has.
const OF_THE_EMULATOR: &[u8] = b"Eby8vdM02xNOcqFl";

/// Judges the token whose beginning was found at a place.
pub(super) fn judge(text: &[u8], start: usize, beginning: &[u8]) -> Option<Judgement> {
    let before = start.checked_sub(1).map(|place| text[place]);
    let continues = before.is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    // In Base64 these letters may come in the middle of something else.
    let inside = before.is_some_and(|byte| matches!(byte, b'+' | b'/' | b'-' | b'.'));
    let is_short = matches!(beginning, b"cio" | b"eyJ" | b"AIza");
    if continues || (inside && is_short) {
        return None;
    }
    let rest = text.get(start + beginning.len()..)?;
    let (length, weight, what) = match beginning {
        b"github_pat_" => fine_grained(rest)?,
        b"npm_" => checked(rest, "a token of npm (`npm_…`)")?,
        b"glpat-" => gitlab(rest)?,
        b"sk_live_" => stripe(rest, "a live key of Stripe (`sk_l…`)")?,
        b"rk_live_" => stripe(rest, "a restricted live key of Stripe (`rk_l…`)")?,
        b"AIza" => google(rest)?,
        b"pypi-AgE" => pypi(text.get(start + b"pypi-".len()..)?)?,
        b"AccountKey=" => azure(rest)?,
        b"eyJ" => web_token(text.get(start..)?)?,
        b"cio" => crates_io(text, start, rest)?,
        _ if beginning.starts_with(b"gh") => checked(rest, "a token of GitHub (`gh?_…`)")?,
        _ if beginning.starts_with(b"xox") => slack(rest)?,
        _ => return None,
    };
    Some(Judgement { weight, what, end: start + beginning.len() + length })
}

type Read = (usize, Weight, &'static str);

/// The longest beginning of such bytes.
fn run(text: &[u8], belongs: impl Fn(u8) -> bool) -> &[u8] {
    let end = text.iter().position(|byte| !belongs(*byte)).unwrap_or(text.len());
    &text[..end]
}

fn is_alphanumeric(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn is_url_safe(byte: u8) -> bool {
    is_word(byte) || byte == b'-'
}

/// Thirty drawn characters and their checksum.
fn checked(rest: &[u8], what: &'static str) -> Option<Read> {
    let body = run(rest, is_word);
    let is_one = body.len() == 36 && checksum::is_right(body);
    is_one.then_some((body.len(), Weight::Fail, what))
}

/// The checksum of these is not documented: where it fits it proves, where not it warns.
fn fine_grained(rest: &[u8]) -> Option<Read> {
    let body = run(rest, is_word);
    let (id, secret) = (body.get(..22)?, body.get(23..)?);
    let is_shaped = body.len() == 82
        && body[22] == b'_'
        && id.iter().chain(secret).all(u8::is_ascii_alphanumeric)
        && is_drawn(secret, 4.0);
    let weight = if checksum::is_right(secret) { Weight::Fail } else { Weight::Warn };
    is_shaped.then_some((body.len(), weight, "a fine-grained token of GitHub (`gith…`)"))
}

fn gitlab(rest: &[u8]) -> Option<Read> {
    let body = run(rest, |byte| is_url_safe(byte) || byte == b'.');
    let body = body.strip_suffix(b".").unwrap_or(body);
    let what = "a personal token of GitLab (`glpa…`)";
    let is_routable = |body: &[u8]| {
        let parts: Vec<&[u8]> = body.split(|byte| *byte == b'.').collect();
        matches!(*parts, [payload, sum] | [payload, _, sum] if payload.len() >= 27 && sum.len() == 9)
    };
    let is_shaped = body.len() == 20 && !body.contains(&b'.') || is_routable(body);
    (is_shaped && is_drawn(body, 3.4)).then_some((body.len(), Weight::Fail, what))
}

fn stripe(rest: &[u8], what: &'static str) -> Option<Read> {
    let body = run(rest, is_word);
    let is_shaped = (24..=247).contains(&body.len()) && !body.contains(&b'_');
    (is_shaped && is_drawn(body, 3.6)).then_some((body.len(), Weight::Fail, what))
}

/// A warning only: the keys of Firebase and of maps stand in pages that everybody can read.
fn google(rest: &[u8]) -> Option<Read> {
    let body = run(rest, is_url_safe);
    let what = "an API key of Google (`AIza…`), which is a secret unless it is for browsers";
    (body.len() == 35 && is_drawn(body, 3.8)).then_some((body.len(), Weight::Warn, what))
}

fn slack(rest: &[u8]) -> Option<Read> {
    let body = run(rest, is_url_safe);
    let parts: Vec<&[u8]> = body.split(|byte| *byte == b'-').collect();
    let (secret, numbers) = parts.split_last()?;
    let is_shaped = (2..=3).contains(&numbers.len())
        && numbers.iter().all(|part| (9..=14).contains(&part.len()))
        && numbers.iter().copied().flatten().all(u8::is_ascii_digit)
        && matches!(secret.len(), 24 | 32 | 64)
        && secret.iter().all(u8::is_ascii_alphanumeric);
    let is_one = is_shaped && is_drawn(secret, 3.0);
    is_one.then_some((body.len(), Weight::Fail, "a token of Slack (`xox?…`)"))
}

/// A macaroon, version 2, for `pypi.org`: <https://github.com/rescrv/libmacaroons>.
fn pypi(text: &[u8]) -> Option<Read> {
    let body = run(text, is_url_safe);
    let Ok(bytes) = URL_SAFE_NO_PAD.decode(body) else { return None };
    let rest = bytes.strip_prefix(&[2])?;
    let (location, rest) = field(rest, 1)?;
    let (identifier, rest) = field(rest, 2)?;
    let (rest, signature) = rest.split_last_chunk::<32>()?;
    let is_signed = rest.ends_with(&[6, 32]);
    let is_one = location == b"pypi.org" && !identifier.is_empty() && is_signed;
    let drawn = signature.iter().collect::<std::collections::BTreeSet<_>>().len() > 16;
    (is_one && drawn).then_some((body.len(), Weight::Fail, "a token of PyPI (`pypi…`)"))
}

/// One field of a macaroon: its kind, its length, its bytes.
fn field(bytes: &[u8], kind: u8) -> Option<(&[u8], &[u8])> {
    let [found, length, rest @ ..] = bytes else { return None };
    // Fields of 128 bytes and more have longer lengths, and these two are short.
    let is_short = *found == kind && *length < 128;
    if is_short { rest.split_at_checked(usize::from(*length)) } else { None }
}

fn azure(rest: &[u8]) -> Option<Read> {
    let body = run(rest, |byte| is_alphanumeric(byte) || matches!(byte, b'+' | b'/' | b'='));
    let Ok(key) = STANDARD.decode(body) else { return None };
    let is_one = key.len() == 64 && !body.starts_with(OF_THE_EMULATOR) && is_drawn(body, 4.5);
    is_one.then_some((body.len(), Weight::Fail, "the key of a storage account of Azure"))
}

/// A warning: most of them have expired.
fn web_token(text: &[u8]) -> Option<Read> {
    let body = run(text, |byte| is_url_safe(byte) || byte == b'.');
    let parts: Vec<&[u8]> = body.split(|byte| *byte == b'.').collect();
    let [header, claims, signature] = *parts else { return None };
    let (header, claims) = (object(header)?, object(claims)?);
    let is_signed = header.get("alg").and_then(Value::as_str).is_some_and(|alg| alg != "none");
    // The one of <https://jwt.io>, which is in every second manual.
    let is_famous = claims.get("sub").and_then(Value::as_str) == Some("1234567890");
    let is_one = is_signed && !is_famous && signature.len() >= 42 && is_drawn(signature, 4.0);
    is_one.then_some((body.len(), Weight::Warn, "a JSON web token (`eyJ…`)"))
}

fn object(part: &[u8]) -> Option<serde_json::Map<String, Value>> {
    let Ok(bytes) = URL_SAFE_NO_PAD.decode(part) else { return None };
    serde_json::from_slice(&bytes).ok()
}

/// Too short a beginning to prove anything, unless the line says what it is.
fn crates_io(text: &[u8], start: usize, rest: &[u8]) -> Option<Read> {
    let body = run(rest, is_url_safe);
    let is_shaped = body.len() == 32
        && body.iter().all(u8::is_ascii_alphanumeric)
        && body.iter().any(u8::is_ascii_uppercase)
        && body.iter().any(u8::is_ascii_lowercase)
        && !matches!(rest.get(body.len()), Some(b'+' | b'/' | b'='));
    let line = text[..start].rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = line.to_ascii_lowercase();
    let says = |word: &&[u8]| line.windows(word.len()).any(|part| part == *word);
    let is_named = [b"token".as_slice(), b"cargo", b"crates"].iter().any(says);
    let weight = if is_named { Weight::Fail } else { Weight::Warn };
    let what = "a token of crates.io (`cio…`)";
    (is_shaped && is_drawn(body, 4.0)).then_some((body.len(), weight, what))
}
