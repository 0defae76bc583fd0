//! Where a queue is and how it behaves: `sqlite:///path/file.db?queue=NAME&max_attempts=5`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::config::Variable;
use crate::sql::sqlite_file;

const MAX_ATTEMPTS: u32 = 5;
const MAX_WAITING: u32 = 100_000;
const LEASE: Duration = Duration::from_secs(10);

/// A lease must outlast a few heartbeats on a busy machine.
const LEASE_LEAST: Duration = Duration::from_millis(500);

/// Where a queue is, and how it behaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueUrl {
    path: PathBuf,
    pub(super) name: String,
    pub(super) max_attempts: u32,
    pub(super) max_waiting: u32,
    pub(super) lease: Duration,
}

impl QueueUrl {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Variable for QueueUrl {
    const EXPECTED: &'static str = "the URL of a job queue; this build has \
        sqlite:///absolute/path/file.db?queue=NAME, with max_attempts=5, lease=10s and \
        max_waiting=100000 if they should differ";

    fn parse(text: &str) -> Result<Self, String> {
        let (path, parameters) = sqlite_file(text)?;
        let mut url = Self {
            path,
            name: String::new(),
            max_attempts: MAX_ATTEMPTS,
            max_waiting: MAX_WAITING,
            lease: LEASE,
        };
        for (key, value) in parameters {
            match key.as_str() {
                "queue" => url.name = value,
                "max_attempts" => url.max_attempts = positive(&value, "max_attempts")?,
                "max_waiting" => url.max_waiting = positive(&value, "max_waiting")?,
                "lease" => {
                    url.lease = Duration::parse(&value)
                        .ok()
                        .filter(|lease| LEASE_LEAST <= *lease)
                        .ok_or("has a `lease` that is not a time span of 500ms or more")?;
                }
                _ => return Err("has a parameter that no queue knows".to_owned()),
            }
        }
        if url.name.is_empty() {
            return Err("does not name its queue".to_owned());
        }
        Ok(url)
    }

    fn show(&self) -> String {
        format!("sqlite://{}?queue={}", self.path.display(), self.name)
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
    fn a_url_gives_the_file_and_the_queue() {
        let url = QueueUrl::parse("sqlite:///data/db.sqlite3?queue=jobs&max_attempts=3&lease=2s");
        let url = url.unwrap();
        assert_eq!(url.path, Path::new("/data/db.sqlite3"));
        assert_eq!((url.name.as_str(), url.max_attempts), ("jobs", 3));
        assert_eq!((url.max_waiting, url.lease), (MAX_WAITING, Duration::from_secs(2)));
    }

    #[test]
    fn what_is_wrong_is_said_without_the_url() {
        for (wrong, word) in [
            ("sqlite:///canary.db", "name its queue"),
            ("sqlite:///canary.db?queue=q&max_attempts=0", "max_attempts"),
            ("sqlite:///canary.db?queue=q&lease=1ms", "lease"),
            ("sqlite:///canary.db?queue=q&canary=1", "parameter"),
            ("nats://user:canary@host/", "scheme"),
        ] {
            let error = QueueUrl::parse(wrong).unwrap_err();
            assert!(error.contains(word) && !error.contains("canary"), "{error}");
        }
    }
}
