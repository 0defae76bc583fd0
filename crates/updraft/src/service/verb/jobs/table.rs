//! Jobs as people and programs read them.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::queue::{JobRecord, QueueCounts};

/// The longest error in a list.
const ERROR_MOST: usize = 60;

/// One line for each job.
pub(super) fn list(jobs: &[JobRecord]) -> String {
    let mut rows = vec![["ID", "KIND", "STATE", "ATTEMPTS", "AT", "ERROR"].map(str::to_owned)];
    rows.extend(jobs.iter().map(|job| {
        let error = job.last_error.as_deref().unwrap_or_default();
        let error: String =
            error.lines().next().unwrap_or_default().chars().take(ERROR_MOST).collect();
        [
            job.job.id.clone(),
            job.job.kind.clone(),
            job.state.as_str().to_owned(),
            format!("{}/{}", job.attempts, job.job.max_attempts),
            time(job.at_ms),
            error,
        ]
    }));
    let mut widths = [0; 6];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for row in rows {
        let cells: Vec<_> =
            row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}

/// Everything about one job.
pub(super) fn one(job: &JobRecord) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: &str| text.push_str(&format!("{name:<12}{value}\n"));
    line("id", &job.job.id);
    line("kind", &job.job.kind);
    line("state", job.state.as_str());
    line("attempts", &format!("{} of {}", job.attempts, job.job.max_attempts));
    line("priority", &job.job.priority.to_string());
    line("enqueued", &time(job.job.enqueued_ms));
    line("at", &time(job.at_ms));
    if let Some(deadline) = job.job.deadline_ms {
        line("deadline", &time(deadline));
    }
    if let Some(key) = job.job.unique_key() {
        line("unique", key);
    }
    if let Some(trace) = &job.job.trace {
        line("trace", trace);
    }
    if let Some(error) = &job.last_error {
        line("error", error);
    }
    line("payload", &job.job.payload);
    text
}

pub(super) fn counts(counts: QueueCounts) -> String {
    let QueueCounts { waiting, leased, dead, oldest_ms } = counts;
    let oldest = std::time::Duration::from_millis(oldest_ms).as_secs_f64();
    format!("waiting  {waiting}\nleased   {leased}\ndead     {dead}\noldest   {oldest:.1}s\n")
}

pub(super) fn json_of_all(jobs: &[JobRecord]) -> Result<String, serde_json::Error> {
    let values: Vec<_> = jobs.iter().map(value).collect();
    Ok(serde_json::to_string(&values)? + "\n")
}

pub(super) fn json_of(job: &JobRecord) -> Result<String, serde_json::Error> {
    Ok(serde_json::to_string(&value(job))? + "\n")
}

fn value(job: &JobRecord) -> Value {
    let payload = serde_json::from_str(&job.job.payload)
        .unwrap_or_else(|_not_json| Value::String(job.job.payload.clone()));
    json!({
        "id": job.job.id,
        "kind": job.job.kind,
        "state": job.state,
        "attempts": job.attempts,
        "max_attempts": job.job.max_attempts,
        "priority": job.job.priority,
        "enqueued_at": time(job.job.enqueued_ms),
        "at": time(job.at_ms),
        "deadline": job.job.deadline_ms.map(time),
        "unique": job.job.unique_key(),
        "trace": job.job.trace,
        "last_error": job.last_error,
        "payload": payload,
    })
}

fn time(at_ms: i64) -> String {
    Timestamp::from_millisecond(at_ms).map(|at| at.to_string()).unwrap_or_default()
}
