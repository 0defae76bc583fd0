//! The streams of a queue on JetStream, and how a job is named in them.

use std::time::Duration;

use async_nats::jetstream::context::{CreateStreamError, CreateStreamErrorKind};
use async_nats::jetstream::stream::{Config, DiscardPolicy, StorageType, Stream};
use async_nats::jetstream::{Context, ErrorCode};

use crate::queue::record::NewJob;
use crate::queue::store::{Rules, StoreError};

/// How long the server itself remembers the id of what came from an outbox or a schedule.
const REMEMBERED: Duration = Duration::from_secs(3600);

/// Dead jobs that are kept; of more, the oldest go.
const DEAD_MOST: i64 = 100_000;

/// Fires of a schedule that are kept.
const FIRES_MOST: i64 = 100;

/// What comes before the digest of a unique key.
const UNIQUE: &str = "unique-";

/// The streams of one queue.
pub(super) struct Streams {
    /// Jobs that wait or run; a unique key that is still held is one too.
    pub(super) live: Stream,
    pub(super) dead: Stream,
    pub(super) fires: Stream,
}

impl Streams {
    /// Finds the streams, and makes those that are missing.
    pub(super) async fn ensure(
        context: &Context,
        subjects: &Subjects,
        rules: &Rules,
    ) -> Result<Self, StoreError> {
        let config = |what: &str, subject: String| Config {
            name: subjects.stream(what),
            subjects: vec![subject],
            storage: StorageType::File,
            num_replicas: 1,
            max_messages_per_subject: 1,
            max_messages: DEAD_MOST,
            ..Config::default()
        };
        let live = Config {
            max_messages: i64::from(rules.max_waiting),
            // The bound is the server's: a full stream refuses new subjects, and only these.
            discard: DiscardPolicy::New,
            duplicate_window: REMEMBERED,
            ..config("jobs", subjects.all_jobs())
        };
        let fires = Config {
            max_messages_per_subject: FIRES_MOST,
            ..config("fires", subjects.fires_of("*"))
        };
        let (live, dead, fires) = tokio::try_join!(
            ensure_one(context, live),
            ensure_one(context, config("dead", subjects.dead("*"))),
            ensure_one(context, fires),
        )?;
        Ok(Self { live, dead, fires })
    }
}

async fn ensure_one(context: &Context, config: Config) -> Result<Stream, StoreError> {
    let wanted = config.max_messages;
    let away = |error| StoreError::Away(error);
    let stream = match context.get_or_create_stream(&config).await {
        Ok(stream) => stream,
        // Of two that make it in the same moment the server tells one that it overlaps.
        Err(error) if is_overlap(&error) => {
            let made = context.get_stream(&config.name).await;
            made.map_err(|_not_made| away(error.into()))?
        }
        Err(error) => return Err(away(error.into())),
    };
    // The bound is that of the process that started last; replicas are the operator's.
    let is = &stream.cached_info().config;
    if is.max_messages == wanted {
        return Ok(stream);
    }
    let config = Config { max_messages: wanted, ..is.clone() };
    context.update_stream(&config).await.map_err(|error| StoreError::Refused(error.into()))?;
    context.get_stream(&config.name).await.map_err(|error| away(error.into()))
}

fn is_overlap(error: &CreateStreamError) -> bool {
    let CreateStreamErrorKind::JetStream(said) = error.kind() else { return false };
    said.error_code() == ErrorCode::STREAM_SUBJECT_OVERLAP
}

/// The names of streams and subjects of one queue.
#[derive(Debug)]
pub(super) struct Subjects {
    queue: String,
}

impl Subjects {
    pub(super) fn of(queue: &str) -> Self {
        Self { queue: token(queue) }
    }

    fn stream(&self, what: &str) -> String {
        format!("updraft_{}_{what}", self.queue)
    }

    pub(super) fn all_jobs(&self) -> String {
        format!("updraft.{}.job.*.*", self.queue)
    }

    /// What the subject of each job of the kind begins with.
    pub(super) fn before_slot(&self, kind: &str) -> String {
        format!("updraft.{}.job.{}.", self.queue, token(kind))
    }

    /// The one subject of a job: that of its unique key where it has one, so that there is
    /// one such job at most.
    pub(super) fn job(&self, job: &NewJob) -> String {
        let before = self.before_slot(&job.kind);
        match job.unique_key() {
            Some(key) => {
                let digest = blake3::hash(key.as_bytes()).to_hex();
                format!("{before}{UNIQUE}{}", &digest.as_str()[..32])
            }
            None => format!("{before}{}", token(&job.id)),
        }
    }

    /// Whether the job at a subject may have this id: those with a unique key do not tell.
    pub(super) fn may_be_of(&self, subject: &str, id: &str) -> bool {
        let slot = subject.rsplit('.').next().unwrap_or(subject);
        slot.starts_with(UNIQUE) || slot == token(id)
    }

    pub(super) fn dead(&self, id: &str) -> String {
        let id = if id == "*" { id.to_owned() } else { token(id) };
        format!("updraft.{}.dead.{id}", self.queue)
    }

    pub(super) fn fires_of(&self, schedule: &str) -> String {
        let schedule = if schedule == "*" { schedule.to_owned() } else { token(schedule) };
        format!("updraft.{}.fire.{schedule}", self.queue)
    }
}

/// A name as one token of a subject: what is special there is written as `=` and its bytes
/// in hexadecimal.
fn token(name: &str) -> String {
    let mut token = String::with_capacity(name.len());
    for character in name.chars() {
        if character.is_ascii_alphanumeric() || character == '-' || character == '_' {
            token.push(character);
        } else {
            let mut bytes = [0; 4];
            for byte in character.encode_utf8(&mut bytes).bytes() {
                token.push_str(&format!("={byte:02x}"));
            }
        }
    }
    token
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_can_reach_out_of_its_token() {
        for (name, expected) in [
            ("cron.sweep", "cron=2esweep"),
            ("a b*>", "a=20b=2a=3e"),
            ("é", "=c3=a9"),
            ("a-b_1", "a-b_1"),
        ] {
            assert_eq!(token(name), expected);
        }
    }
}
