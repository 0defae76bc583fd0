//! The depth of a queue on NATS JetStream: the headers of its jobs are counted.

use async_nats::jetstream::consumer::{AckPolicy, PullConsumer, pull};
use async_nats::jetstream::context::GetStreamErrorKind;
use async_nats::jetstream::{self, ErrorCode};
use async_nats::{ConnectErrorKind, ConnectOptions, HeaderMap};
use futures_util::StreamExt as _;
use url::Url;

use super::{DepthError, LOOK_WITHIN};

/// Jobs that are looked at; those of a longer queue beyond it are taken to be due.
const LOOK_MOST: u64 = 10_000;

/// A queue that nobody has used yet has no stream, and no jobs.
pub(super) async fn depth(server: &Url, queue: &str, now_ms: i64) -> Result<i64, DepthError> {
    let (address, options) = credentials(server)?;
    let client = options
        .connection_timeout(LOOK_WITHIN)
        .request_timeout(Some(LOOK_WITHIN))
        .connect(address.as_str())
        .await
        .map_err(|error| DepthError::Database(unreachable(error.kind()).to_owned()))?;
    let mut context = jetstream::new(client);
    context.set_timeout(LOOK_WITHIN);
    let stream = match context.get_stream(format!("updraft_{}_jobs", token(queue))).await {
        Ok(stream) => stream,
        Err(error) => match error.kind() {
            GetStreamErrorKind::JetStream(said)
                if said.error_code() == ErrorCode::STREAM_NOT_FOUND =>
            {
                return Ok(0);
            }
            GetStreamErrorKind::JetStream(said) => return Err(refused(said.error_code())),
            _ => return Err(DepthError::Database("JetStream does not answer".to_owned())),
        },
    };
    let messages = stream.cached_info().state.messages;
    if messages == 0 {
        return Ok(0);
    }
    let looked_at = pull::Config {
        headers_only: true,
        ack_policy: AckPolicy::None,
        inactive_threshold: LOOK_WITHIN,
        memory_storage: true,
        ..pull::Config::default()
    };
    let jobs = stream.create_consumer(looked_at).await.map_err(unread)?;
    let (looked, counted) = count(&jobs, messages.min(LOOK_MOST), now_ms).await?;
    Ok(counted + unlooked(messages, looked))
}

/// How many jobs were looked at, and how many of them are due at `now_ms` or under way.
async fn count(jobs: &PullConsumer, most: u64, now_ms: i64) -> Result<(u64, i64), DepthError> {
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    // It ends by itself where jobs have gone meanwhile.
    let mut found = jobs.fetch().max_messages(most).messages().await.map_err(unread)?;
    let (mut looked, mut counted) = (0, 0);
    while let Some(job) = found.next().await {
        let job = job.map_err(unread)?;
        looked += 1;
        counted += i64::from(job.headers.as_ref().is_some_and(|headers| counts(headers, now_ms)));
    }
    Ok((looked, counted))
}

/// What the headers of a job say, as `docs/reference/queue.md` has them.
fn counts(headers: &HeaderMap, now_ms: i64) -> bool {
    let read = |name: &str| headers.get(name).map(|value| value.as_str());
    match read("Updraft-State") {
        Some("leased") => true,
        Some("waiting") => {
            read("Updraft-At").and_then(|at| at.parse().ok()).is_some_and(|at: i64| at <= now_ms)
        }
        _ => false,
    }
}

/// Of so many jobs, those beyond the ones that were looked at.
fn unlooked(messages: u64, looked: u64) -> i64 {
    match looked < LOOK_MOST {
        true => 0,
        false => i64::try_from(messages.saturating_sub(looked)).unwrap_or(i64::MAX / 2),
    }
}

/// Of what the name of a queue may hold, only the dot is special in streams and subjects.
fn token(queue: &str) -> String {
    queue.replace('.', "=2e")
}

/// The driver takes no user, password or token from a URL.
fn credentials(server: &Url) -> Result<(Url, ConnectOptions), DepthError> {
    let mut address = server.clone();
    let stripped = address.set_username("").and_then(|()| address.set_password(None));
    stripped.map_err(|()| DepthError::Address)?;
    let options = ConnectOptions::new();
    let options = match (server.username(), server.password()) {
        ("", None) => options,
        (token, None) => options.token(decoded(token)),
        (user, Some(password)) => options.user_and_password(decoded(user), decoded(password)),
    };
    Ok((address, options))
}

/// A part of a URL without its percent signs.
fn decoded(part: &str) -> String {
    percent_encoding::percent_decode_str(part).decode_utf8_lossy().into_owned()
}

/// Why there is no connection; the text of an error may repeat an address.
fn unreachable(kind: ConnectErrorKind) -> &'static str {
    match kind {
        ConnectErrorKind::Authentication | ConnectErrorKind::AuthorizationViolation => {
            "the server takes neither user nor password"
        }
        ConnectErrorKind::Tls => "the server and TLS do not come together",
        ConnectErrorKind::TimedOut => "the server does not answer in time",
        _ => "the server cannot be reached",
    }
}

fn refused(code: ErrorCode) -> DepthError {
    let because = match code {
        ErrorCode::JETSTREAM_NOT_ENABLED | ErrorCode::JETSTREAM_NOT_ENABLED_FOR_ACCOUNT => {
            "the server has no JetStream for this user".to_owned()
        }
        ErrorCode(code) => format!("JetStream says {code}"),
    };
    DepthError::Database(because)
}

/// What JetStream says; it knows no addresses.
fn unread(error: impl std::fmt::Display) -> DepthError {
    DepthError::Database(format!("the stream of its jobs cannot be read: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_long_queue_has_beyond_a_look_counts_and_what_went_meanwhile_does_not() {
        for (messages, looked, expected) in [
            (3, 3, 0),
            (9, 4, 0),
            (10_000, 10_000, 0),
            (10_001, 10_000, 1),
            (70_000, 10_000, 60_000),
        ] {
            assert_eq!(unlooked(messages, looked), expected, "{messages} {looked}");
        }
    }
}
