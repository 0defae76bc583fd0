//! One migration at a time, whatever number of replicas want to. On PostgreSQL the lock is
//! asked for again and again, never waited for: a session that waits holds a snapshot, for whose
//! end `CREATE INDEX CONCURRENTLY` waits in turn, and neither ever ends.

use std::time::Duration;

use tokio::time::Instant;

use super::MigrateError;
use super::record::unread;
use crate::sql::Session;

/// How long one replica waits for another one's migrations.
const PATIENCE: Duration = Duration::from_secs(900);

/// From one try to the next.
const PAUSE: Duration = Duration::from_millis(200);

/// From one line about it in the log to the next, in tries.
const TELL_EVERY: u32 = 50;

/// Takes the lock of the session's schema. It is the session's until that is closed, however
/// that happens.
///
/// # Errors
///
/// [`MigrateError::Locked`] when another process has it for too long.
pub(super) async fn take(session: &mut Session) -> Result<(), MigrateError> {
    if session.is_sqlite() {
        // Each transaction takes the file's own write lock.
        return Ok(());
    }
    let lock = "SELECT pg_try_advisory_lock(
        hashtextextended('updraft migrations of ' || current_schema(), 0))";
    let deadline = Instant::now() + PATIENCE;
    for tries in 0_u32.. {
        if session.ask_one::<bool>(lock).await.map_err(unread)? {
            return Ok(());
        }
        if deadline <= Instant::now() {
            break;
        }
        if tries % TELL_EVERY == 0 {
            tracing::info!("another process migrates; waiting for it");
        }
        tokio::time::sleep(PAUSE.mul_f64(0.5 + fastrand::f64())).await;
    }
    Err(MigrateError::Locked { waited: PATIENCE })
}
