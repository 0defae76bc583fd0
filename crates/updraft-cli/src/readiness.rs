//! Waiting until a running system is ready, or certainly will not be.

use updraft_system::{LogSelector, Name, ProcessState, SystemEvent, SystemState, SystemStatus};

use crate::control::{ControlError, Lines};
use crate::failure::Failure;

/// How a start has gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Every process is ready.
    Ready(SystemStatus),
    /// It ends, because it could not start.
    Failed(String),
    /// A process ends again and again; the others go on.
    CrashLoop(LogSelector, String),
    /// It was stopped before it was ready.
    Stopped,
}

impl Verdict {
    /// The state of a system that is ready; anything else is a finding.
    pub(crate) fn ready_or_failure(self, name: &Name) -> Result<SystemStatus, Failure> {
        Err(Failure::finding(match self {
            Self::Ready(status) => return Ok(status),
            Self::Failed(reason) => format!("{name} could not start: {reason}"),
            Self::CrashLoop(_, reason) => reason,
            Self::Stopped => format!("{name} was stopped before it was ready"),
        }))
    }
}

/// What the state tells about the start; `None`: it is not decided yet.
pub(crate) fn verdict(event: &SystemEvent) -> Option<Verdict> {
    let detail = || event.system.detail.clone().unwrap_or_else(|| "it could not start".to_owned());
    match event.system.state {
        SystemState::Ready => return Some(Verdict::Ready(event.system.clone())),
        SystemState::Failed => return Some(Verdict::Failed(detail())),
        SystemState::Stopping => return Some(Verdict::Stopped),
        SystemState::Building | SystemState::Starting => {}
    }
    if let Some(ended) = &event.ended {
        return Some(ended.failed.clone().map_or(Verdict::Stopped, Verdict::Failed));
    }
    let looping = event.processes.iter().find(|row| row.state == ProcessState::CrashLoop)?;
    let selector = LogSelector {
        service: looping.service.clone(),
        process: Some(looping.process.clone()),
        replica: Some(looping.replica),
    };
    let reason = looping.detail.as_ref().or(looping.last_exit.as_ref());
    let reason = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
    let text = format!("{selector} ends again and again{reason}");
    Some(Verdict::CrashLoop(selector, text))
}

/// Follows the state until the start is decided.
pub(crate) async fn until_decided(
    events: &mut Lines<SystemEvent>,
    mut look: impl FnMut(&SystemEvent),
) -> Result<Verdict, ControlError> {
    while let Some(event) = events.next().await? {
        look(&event);
        if let Some(verdict) = verdict(&event) {
            return Ok(verdict);
        }
    }
    Err(ControlError::Gone(None))
}

/// The start so far, in a few words.
pub(crate) fn progress(event: &SystemEvent) -> String {
    let detail = event.system.detail.as_deref().unwrap_or_default();
    match event.system.state {
        SystemState::Building => format!("building {detail}").trim_end().to_owned(),
        SystemState::Stopping => {
            named("stopping, waiting for", "stopping", &open(event, &[ProcessState::Stopped]))
        }
        _ => {
            let settled = [ProcessState::Ready, ProcessState::Stopped];
            named("starting, not ready yet:", "starting", &open(event, &settled))
        }
    }
}

/// Most names in one line; the others are counted.
const NAMES_MAX: usize = 5;

/// The replicas that are in none of the `settled` states.
fn open(event: &SystemEvent, settled: &[ProcessState]) -> Vec<String> {
    let open = event.processes.iter().filter(|row| !settled.contains(&row.state));
    open.map(|row| format!("{}.{}.{}", row.service, row.process, row.replica)).collect()
}

fn named(with_names: &str, without: &str, names: &[String]) -> String {
    match names.len() {
        0 => without.to_owned(),
        count if count <= NAMES_MAX => format!("{with_names} {}", names.join(", ")),
        count => {
            let first = names[..NAMES_MAX].join(", ");
            format!("{with_names} {first} and {} more", count - NAMES_MAX)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(state: &str, rows: &[(&str, &str)]) -> SystemEvent {
        let row = |(process, state): &(&str, &str)| {
            serde_json::json!({ "kind": "service", "service": "api", "process": process,
                "replica": 1, "pid": null, "port": null, "url": null, "state": state,
                "restarts": 0, "uptime_s": 0, "release": null,
                "last_exit": "exit code 3", "detail": null })
        };
        serde_json::from_value(serde_json::json!({
            "system": { "name": "shop", "directory": "/srv/shop", "pid": 7, "version": "0",
                "state": state, "detail": null, "routes": [] },
            "processes": rows.iter().map(row).collect::<Vec<_>>(),
        }))
        .unwrap()
    }

    #[test]
    fn a_start_is_decided_by_the_system_or_by_a_process_that_cannot_stay() {
        let rows = [("web", "ready"), ("worker", "backoff")];
        assert_eq!(verdict(&event("starting", &rows)), None);
        assert_eq!(verdict(&event("building", &[])), None);
        assert_eq!(verdict(&event("stopping", &rows)), Some(Verdict::Stopped));
        assert!(matches!(verdict(&event("ready", &rows)), Some(Verdict::Ready(_))));
        assert!(matches!(verdict(&event("failed", &rows)), Some(Verdict::Failed(_))));
        let looping = verdict(&event("starting", &[("web", "ready"), ("worker", "crash-loop")]));
        let Some(Verdict::CrashLoop(selector, text)) = looping else { panic!("{looping:?}") };
        assert_eq!(selector.to_string(), "api.worker.1");
        assert_eq!(text, "api.worker.1 ends again and again: exit code 3");
    }

    #[test]
    fn progress_names_what_is_waited_for() {
        let rows = [("web", "ready"), ("worker", "starting")];
        let said = progress(&event("starting", &rows));
        assert_eq!(said, "starting, not ready yet: api.worker.1");
        let said = progress(&event("stopping", &[("web", "ready"), ("worker", "stopped")]));
        assert_eq!(said, "stopping, waiting for api.web.1");
        let many: Vec<_> = ["a", "b", "c", "d", "e", "f", "g"].map(|p| (p, "starting")).into();
        assert!(progress(&event("starting", &many)).ends_with("api.e.1 and 2 more"));
    }
}
