//! Where a queue is and how it behaves: `same:db?queue=NAME&max_attempts=5`.

use std::time::Duration;

use super::store::Rules;
use crate::config::Variable;
use crate::sql::SqlUrl;

/// A lease must outlast a few heartbeats on a busy machine.
const LEASE_LEAST: Duration = Duration::from_millis(500);

/// The longest name of a queue, in bytes: it becomes part of names in every store.
const NAME_MOST: usize = 64;

/// Where a queue is, and how it behaves.
#[derive(Clone, PartialEq, Eq)]
pub struct QueueUrl {
    pub(super) place: Place,
    pub(super) rules: Rules,
    /// The field of the database that holds the outbox, where there are several.
    pub(super) outbox: Option<String>,
}

/// A URL may hold a password, so it is shown as people may see it.
impl std::fmt::Debug for QueueUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.show())
    }
}

/// What a queue is kept in.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// The database of this field of the `App`.
    Same(String),
    /// A database.
    Sql(SqlUrl),
    /// NATS JetStream.
    Nats(url::Url),
    /// Redis, and what speaks like it.
    Redis(url::Url),
}

impl Variable for QueueUrl {
    const EXPECTED: &'static str = "the URL of a job queue: same:FIELD for the database of that \
        field, or one that begins with sqlite:, postgres:, nats: or redis:; with ?queue=jobs, \
        max_attempts=5, lease=10s and max_waiting=100000 if they should differ";

    fn parse(text: &str) -> Result<Self, String> {
        let mut url = url::Url::parse(text).map_err(|_not_url| "is not a URL".to_owned())?;
        let mut rules = Rules::default();
        let mut outbox = None;
        let mut others = Vec::new();
        for (key, value) in url.query_pairs().into_owned().collect::<Vec<_>>() {
            match key.as_str() {
                "queue" => rules.name = name(value)?,
                "max_attempts" => rules.max_attempts = positive(&value, "max_attempts")?,
                "max_waiting" => rules.max_waiting = positive(&value, "max_waiting")?,
                "outbox" => outbox = Some(value),
                "lease" => {
                    rules.lease = <Duration as Variable>::parse(&value)
                        .ok()
                        .filter(|lease| LEASE_LEAST <= *lease)
                        .ok_or("has a `lease` that is not a time span of 500ms or more")?;
                }
                _ => others.push((key, value)),
            }
        }
        // Our parameters never reach a driver.
        url.set_query(None);
        let place = place(url, &others)?;
        Ok(Self { place, rules, outbox })
    }

    fn show(&self) -> String {
        let name = &self.rules.name;
        match &self.place {
            Place::Same(field) => format!("same:{field}?queue={name}"),
            Place::Sql(url) => format!("{}?queue={name}", url.show()),
            Place::Nats(url) => format!("nats://{}?queue={name}", url.host_str().unwrap_or("")),
            Place::Redis(url) => format!("redis://{}?queue={name}", url.host_str().unwrap_or("")),
        }
    }
}

fn place(mut url: url::Url, others: &[(String, String)]) -> Result<Place, String> {
    let scheme = url.scheme().to_owned();
    if let "sqlite" | "postgres" | "postgresql" = scheme.as_str() {
        // What is left is the database's own.
        if !others.is_empty() {
            url.query_pairs_mut().extend_pairs(others);
        }
        return SqlUrl::parse(url.as_str()).map(Place::Sql);
    }
    if !others.is_empty() {
        return Err("has a parameter that no queue knows".to_owned());
    }
    match scheme.as_str() {
        "same" if url.path().is_empty() => {
            Err("does not name a field after same:, as in same:db".to_owned())
        }
        "same" => Ok(Place::Same(url.path().to_owned())),
        "nats" | "tls" if url.has_host() => {
            compiled(cfg!(feature = "nats"), "nats", Place::Nats(url))
        }
        "redis" | "rediss" if url.has_host() => {
            compiled(cfg!(feature = "redis"), "redis", Place::Redis(url))
        }
        "nats" | "tls" | "redis" | "rediss" => Err("does not name a host".to_owned()),
        _ => Err("has a scheme that no queue has".to_owned()),
    }
}

fn compiled(is: bool, feature: &str, place: Place) -> Result<Place, String> {
    match is {
        true => Ok(place),
        false => Err(format!(
            "has a scheme that this build does not have: compile `updraft` with the feature `{feature}`"
        )),
    }
}

fn name(value: String) -> Result<String, String> {
    let fits = !value.is_empty()
        && value.len() <= NAME_MOST
        && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    match fits {
        true => Ok(value),
        false => Err(format!(
            "has a `queue` that is no name of 1 to {NAME_MOST} letters, digits, `-`, `_` and `.`"
        )),
    }
}

fn positive(value: &str, key: &str) -> Result<u32, String> {
    let number = value.parse().ok().filter(|number| 0 < *number);
    number.ok_or_else(|| format!("has a `{key}` that is not a whole number above 0"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_gives_the_place_and_the_rules() {
        let url = QueueUrl::parse("same:db?queue=mail&max_attempts=3&lease=2s").unwrap();
        assert!(url.place == Place::Same("db".to_owned()));
        assert_eq!((url.rules.name.as_str(), url.rules.max_attempts), ("mail", 3));
        assert_eq!((url.rules.max_waiting, url.rules.lease), (100_000, Duration::from_secs(2)));
        let url = QueueUrl::parse("sqlite:///data/db.sqlite3").unwrap();
        assert!(url.place == Place::Sql(SqlUrl::parse("sqlite:///data/db.sqlite3").unwrap()));
        assert_eq!(url.rules.name, "jobs");
    }

    #[test]
    fn what_is_wrong_is_said_without_the_url() {
        for (wrong, word) in [
            ("canary", "not a URL"),
            ("same:", "same:db"),
            ("sqlite:///canary.db?queue=", "queue"),
            ("sqlite:///canary.db?queue=a%20canary", "queue"),
            ("sqlite:///canary.db?max_attempts=0", "max_attempts"),
            ("sqlite:///canary.db?lease=1ms", "lease"),
            ("same:db?canary=1", "parameter"),
            ("nats:canary", "host"),
            ("amqp://user:canary@host/", "scheme"),
        ] {
            let error = QueueUrl::parse(wrong).unwrap_err();
            assert!(error.contains(word) && !error.contains("canary"), "{wrong}: {error}");
        }
    }
}
