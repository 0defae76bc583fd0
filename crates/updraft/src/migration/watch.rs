//! A watcher of the schema, for whoever decides whether the process is ready.

use std::time::Duration;

use tokio::sync::watch;

use super::{Migration, SchemaState};
use crate::process::Context;
use crate::{Condition, Sql};

/// From one look to the next, while the schema cannot be used.
const PAUSE: Duration = Duration::from_secs(1);

/// What is known of the schema. Clones see the same.
#[derive(Clone, Debug)]
pub(crate) struct SchemaWatch {
    state: watch::Receiver<Seen>,
}

/// What the last look has seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// Nobody has looked yet, or the database could not be asked.
    Unknown,
    /// These are missing.
    Behind(Vec<&'static str>),
    /// It can be used. What was migrated is not undone, so this is the last word.
    Usable,
}

impl From<&SchemaState> for Seen {
    fn from(state: &SchemaState) -> Self {
        match state {
            SchemaState::Current | SchemaState::Ahead => Self::Usable,
            SchemaState::Behind { missing } => Self::Behind(missing.clone()),
            SchemaState::Unknown(_) => Self::Unknown,
        }
    }
}

impl SchemaWatch {
    /// Looks once, and goes on looking until the schema can be used or the process ends.
    pub(crate) async fn start(
        context: &Context,
        sql: &Sql,
        migrations: &'static [Migration],
    ) -> Self {
        let first = sql.schema_state(migrations).await;
        let (sender, state) = watch::channel(Seen::from(&first));
        let current = context.condition("schema");
        decide(&current, &Seen::from(&first));
        // What is said holds already: who reads it may ask at once.
        tell(&first);
        if first.is_usable() {
            return Self { state };
        }
        let (sql, stop) = (sql.clone(), context.stop());
        context.run("schema", async move {
            let mut behind = matches!(first, SchemaState::Behind { .. });
            while !stop.is_requested() && *sender.borrow() != Seen::Usable {
                tokio::select! {
                    () = stop.requested() => break,
                    () = tokio::time::sleep(PAUSE.mul_f64(0.75 + fastrand::f64() / 2.0)) => {}
                }
                let state = sql.schema_state(migrations).await;
                decide(&current, &Seen::from(&state));
                sender.send_replace(Seen::from(&state));
                // Once, not each second.
                if !behind && matches!(state, SchemaState::Behind { .. }) {
                    tell(&state);
                    behind = true;
                }
                if state.is_usable() {
                    tracing::info!("the schema is what this release needs");
                }
            }
            stop.requested().await;
            drop(sender);
            Ok(())
        });
        Self { state }
    }

    /// Waits while changes are known to be missing.
    pub(crate) async fn not_behind(&mut self) {
        let seen = self.state.wait_for(|seen| !matches!(seen, Seen::Behind(_))).await.is_err();
        if seen {
            // The watcher ends with the process, and so does this wait.
            std::future::pending::<()>().await;
        }
    }
}

/// Whether the process may be ready, as far as the schema decides it.
fn decide(current: &Condition, seen: &Seen) {
    match seen {
        Seen::Usable => current.met(),
        Seen::Unknown => current.unmet("its database cannot be asked"),
        Seen::Behind(missing) => current.unmet(format!("behind: {}", missing.join(", "))),
    }
}

fn tell(state: &SchemaState) {
    match state {
        SchemaState::Current | SchemaState::Ahead => {}
        SchemaState::Behind { missing } => tracing::error!(
            missing = missing.join(", "),
            "the schema is behind: run `migrate`; until then this process is not ready"
        ),
        SchemaState::Unknown(error) => tracing::warn!(
            error = error as &dyn std::error::Error,
            "the schema is not known yet: its database cannot be asked"
        ),
    }
}
