//! Addresses of databases with the password inside.

use super::randomness::is_drawn;
use super::scan::{Judgement, Weight};

const SCHEMES: &[&str] = &[
    "postgres",
    "postgresql",
    "mysql",
    "mariadb",
    "mongodb",
    "redis",
    "rediss",
    "amqp",
    "amqps",
    "nats",
    "mssql",
    "sqlserver",
    "clickhouse",
    "cockroachdb",
];

/// Hosts that are rented with a database on them: there the password opens something.
const PROVIDERS: &[&str] = &[
    "rds.amazonaws.com",
    "neon.tech",
    "supabase.co",
    "supabase.com",
    "mongodb.net",
    "redislabs.com",
    "redis-cloud.com",
    "upstash.io",
    "aivencloud.com",
    "ondigitalocean.com",
    "database.azure.com",
    "database.windows.net",
    "cloudamqp.com",
    "psdb.cloud",
    "render.com",
    "rlwy.net",
    "cockroachlabs.cloud",
    "elephantsql.com",
    "compute-1.amazonaws.com",
];

/// Ends of names that lead nowhere (RFC 2606, RFC 6761) or no farther than a network of one's
/// own.
const NOWHERE: &[&str] =
    &["example", "test", "invalid", "localhost", "local", "internal", "lan", "home", "svc"];

const DOMAINS_OF_MANUALS: &[&str] = &["example.com", "example.org", "example.net"];

const LENGTH_MAX: usize = 512;

/// Judges the address whose `://` is at a place.
pub(super) fn judge(text: &[u8], colon: usize) -> Option<Judgement> {
    let scheme = scheme(&text[..colon])?;
    let rest = &text[colon + 3..text.len().min(colon + 3 + LENGTH_MAX)];
    let end = rest.iter().position(|byte| ends_authority(*byte)).unwrap_or(rest.len());
    let Ok(authority) = std::str::from_utf8(&rest[..end]) else { return None };
    let (user_information, host) = authority.rsplit_once('@')?;
    let (user, password) = user_information.split_once(':')?;
    let host = host.rsplit_once(':').map_or(host, |(host, _)| host).trim_end_matches('.');
    let host = host.to_ascii_lowercase();
    if password == user || is_variable(password) || is_variable(&host) || leads_nowhere(&host) {
        return None;
    }
    let is_rented = PROVIDERS.iter().any(|domain| is_under(&host, domain));
    let is_drawn_long = password.len() >= 12 && is_drawn(password.as_bytes(), 3.0);
    let weight = match (is_rented, is_drawn_long) {
        (true, true) => Weight::Fail,
        (false, true) => Weight::Warn,
        _ => return None,
    };
    Some(Judgement { weight, what: named(scheme), end: colon + 3 + end })
}

fn named(scheme: &str) -> &'static str {
    match scheme {
        "postgres" | "postgresql" | "cockroachdb" => "the address of a PostgreSQL with a password",
        "mysql" | "mariadb" => "the address of a MySQL with a password",
        "mongodb" => "the address of a MongoDB with a password",
        "redis" | "rediss" => "the address of a Redis with a password",
        _ => "the address of a server with a password",
    }
}

/// The scheme before a colon, without what names the driver (`postgresql+asyncpg`).
fn scheme(before: &[u8]) -> Option<&'static str> {
    let belongs = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'+';
    let start = before.iter().rposition(|byte| !belongs(byte)).map_or(0, |place| place + 1);
    let Ok(word) = std::str::from_utf8(&before[start..]) else { return None };
    let word = word.split('+').next()?;
    SCHEMES.iter().find(|known| word.eq_ignore_ascii_case(known)).copied()
}

fn ends_authority(byte: u8) -> bool {
    byte.is_ascii_whitespace() || b"/?#\"'`<>\\,;|".contains(&byte)
}

/// What a template, a shell or a format replaces.
fn is_variable(text: &str) -> bool {
    text.is_empty() || text.contains(['$', '{', '}', '%', '<', '>', '*', '…', '(', '['])
}

fn leads_nowhere(host: &str) -> bool {
    let is_number = host.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let last = host.rsplit('.').next().unwrap_or_default();
    // A name without a dot is one of a private network: a container, a service.
    is_number
        || !host.contains('.')
        || NOWHERE.contains(&last)
        || DOMAINS_OF_MANUALS.iter().any(|domain| is_under(host, domain))
}

fn is_under(host: &str, domain: &str) -> bool {
    host.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}
