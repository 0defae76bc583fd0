//! Users of this machine, as getent(1) knows them: also those of a directory service.

use std::path::PathBuf;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

use crate::failure::Failure;

/// How long a directory service may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// A row of passwd(5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) name: String,
    pub(super) uid: u32,
    pub(super) home: PathBuf,
}

impl Account {
    /// The user with this name or number.
    pub(super) async fn find(user: &str) -> Result<Self, Failure> {
        let mut getent = Command::new("getent");
        getent.args(["passwd", "--", user]).kill_on_drop(true);
        let output = match timeout(ANSWER_WITHIN, getent.output()).await {
            Ok(output) => output.map_err(|error| {
                Failure::environment("cannot look users up with getent").because(&error)
            })?,
            Err(_) => {
                return Err(Failure::environment(format!(
                    "getent does not tell within {ANSWER_WITHIN:?} who {user} is"
                )));
            }
        };
        let row = String::from_utf8_lossy(&output.stdout);
        Self::of(row.lines().next().unwrap_or_default())
            .ok_or_else(|| Failure::usage(format!("there is no user {user} on this machine")))
    }

    fn of(row: &str) -> Option<Self> {
        let fields: Vec<&str> = row.split(':').collect();
        let [name, _, uid, _, _, home, _] = fields[..] else { return None };
        Some(Self { name: name.to_owned(), uid: uid.parse().ok()?, home: home.into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_seven_fields() {
        let row = "alice:x:1000:1000:Alice,,,:/home/alice:/bin/sh";
        let alice = Account { name: "alice".to_owned(), uid: 1000, home: "/home/alice".into() };
        assert_eq!(Account::of(row), Some(alice));
        for broken in ["", "alice", "alice:x:many:1000::/home/alice:/bin/sh"] {
            assert_eq!(Account::of(broken), None, "{broken}");
        }
    }
}
