//! What is asked of a program so that it does what it does: a few requests, and its journey
//! where it has one.

use std::time::Duration;

use super::Bench;
use crate::journey::Client;
use crate::lab::Running;
use crate::lab::client::Request;
use crate::report::Lane;
use crate::subject::{Serves, Subject};

/// How long one answer may take.
const ANSWER: Duration = Duration::from_secs(5);
/// Paths where programs commonly say how they are.
const HEALTH: &[&str] = &["/healthz", "/health", "/livez", "/readyz"];

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Exercise {
    /// Requests that were answered.
    pub(super) answered: usize,
    /// Those that got no answer, or one of the class 5xx.
    pub(super) failed: Vec<String>,
}

/// Asks it for what a client would ask for.
pub(super) async fn exercise(bench: &Bench, running: &Running) -> Exercise {
    let mut done = Exercise::default();
    if bench.subject.serves == Serves::Nothing {
        return done;
    }
    for target in targets(&bench.subject) {
        let asked = Request::get(&target).send(running.address(), bench.limit(ANSWER)).await;
        match asked {
            Ok(answer) if answer.status < 500 => done.answered += 1,
            Ok(answer) => done.failed.push(format!("GET {target}: {}", answer.status)),
            Err(lost) => done.failed.push(format!("GET {target}: {lost}")),
        }
    }
    if !bench.subject.journey.is_empty() {
        let mut client = Client::new(bench.limit(ANSWER));
        match client.walk(&bench.subject.journey, &[running.address()]).await {
            Ok(told) => done.answered += told.len(),
            Err(broken) => done.failed.push(broken.to_string()),
        }
    }
    let answered = done.answered;
    running.note(Lane::Audit, format!("{answered} requests were answered"));
    done
}

/// What is asked for, each once.
pub(super) fn targets(subject: &Subject) -> Vec<String> {
    let declared = [&subject.ready, &subject.live].into_iter().flatten().map(String::as_str);
    let mut targets: Vec<String> = Vec::new();
    for target in ["/"].into_iter().chain(declared).chain(HEALTH.iter().copied()) {
        if !targets.iter().any(|own| own == target) {
            targets.push(target.to_owned());
        }
    }
    targets
}

impl Exercise {
    /// How much was asked, in words.
    pub(super) fn words(&self) -> String {
        match self.answered {
            0 => "without a request".to_owned(),
            1 => "with 1 request".to_owned(),
            count => format!("with {count} requests"),
        }
    }
}
