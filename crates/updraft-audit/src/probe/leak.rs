//! `III.leak`: secrets stand neither in what the program writes, nor in its arguments, nor in
//! its answers.

use std::time::Duration;

use updraft_system::{ConfigKey, ConfigType};

use super::contract::{canary, setup};
use super::visit::{candidates, request_limit};
use super::{Bench, Control, Dynamic, Looking};
use crate::catalogue::ProbeId;
use crate::control::Behaviour;
use crate::control::site::SECRET;
use crate::lab::client::Request;
use crate::lab::{Attached, Running};
use crate::report::Moment;
use crate::seen::Seen;
use crate::subject::{Serves, Subject};

/// Shorter words are met by chance.
const SECRET_BYTES_MIN: usize = 8;
/// How long the last lines may take to come.
const LAST_LINES: Duration = Duration::from_millis(300);

pub(super) const LEAK: Dynamic = Dynamic {
    id: ProbeId::IiiLeak,
    applies,
    look: |bench| -> Looking { Box::pin(look(bench)) },
    needs: &[],
    controls: &[
        Control::new(&[Behaviour::Good], crate::verdict::Verdict::Pass).with(with_secret),
        Control::new(&[Behaviour::LeaksSecret], crate::verdict::Verdict::Fail).with(with_secret),
    ],
};

fn with_secret(subject: &mut Subject) {
    let key = ConfigKey { shape: ConfigType::Secret, default: None };
    subject.config.insert(SECRET.to_owned(), key);
}

fn secret_names(subject: &Subject) -> impl Iterator<Item = &String> {
    subject.config.iter().filter(|(_, key)| key.shape.is_secret()).map(|(name, _)| name)
}

fn applies(subject: &Subject) -> Result<(), Seen> {
    if secret_names(subject).next().is_none() && subject.needs.is_empty() {
        return Err(Seen::unknown(
            "no secret of it is known: declare one in [service.NAME.config], or a resource",
        ));
    }
    Ok(())
}

/// A word that must stand nowhere, and the variable it was given by.
struct Secret {
    variable: String,
    word: String,
}

async fn look(bench: Bench) -> Seen {
    let mut secrets: Vec<_> = secret_names(&bench.subject)
        .map(|name| Secret { variable: name.clone(), word: canary(name) })
        .collect();
    let setup = secrets
        .iter()
        .fold(setup(&bench), |setup, one| setup.variable(&one.variable, Some(&one.word)));
    let running = match bench.start_with(&setup).await {
        Ok(running) => running,
        Err(seen) => return redacted(seen, &secrets),
    };
    secrets.extend(running.attached().iter().filter_map(password));
    if secrets.is_empty() {
        running.end().await;
        return Seen::unknown("what it needs has no password here");
    }
    let mut found = arguments(&running, &secrets);
    let asked = if bench.subject.serves == Serves::Http {
        let requests = provoking(&bench.subject);
        found.extend(answers(&bench, &running, &requests, &secrets).await);
        requests.len()
    } else {
        0
    };
    found.extend(arguments(&running, &secrets));
    tokio::time::sleep(bench.limit(LAST_LINES)).await;
    let lines = running.output().all();
    for line in &lines {
        found.extend(held(&line.text, &secrets).map(|variable| {
            let stream = if line.is_error { "standard error" } else { "standard output" };
            format!("{variable} stands on {stream}")
        }));
    }
    found.sort();
    found.dedup();
    let timeline = running.end().await;
    let names = secrets.iter().map(|one| one.variable.as_str()).collect::<Vec<_>>().join(", ");
    let mut seen = if found.is_empty() {
        Seen::pass(format!(
            "{names}: nothing of it stands in {} lines of output, in its arguments, or in the \
             answers to {asked} requests",
            lines.len()
        ))
    } else {
        let secret = secrets.iter().find(|one| found.iter().any(|it| it.contains(&one.variable)));
        let again = secret.map(|one| again(&bench, &one.variable));
        Seen { reproducer: again, ..Seen::fail(found.join("; ")) }
    };
    seen.timeline = timeline;
    redacted(seen, &secrets)
}

/// The password in the address of a resource.
fn password(attached: &Attached) -> Option<Secret> {
    let (_, rest) = attached.url.split_once("://")?;
    let (user, _) = rest.rsplit_once('@')?;
    let (_, password) = user.split_once(':')?;
    let variable = attached.variables.first()?.clone();
    let long = password.len() >= SECRET_BYTES_MIN;
    long.then(|| Secret { variable, word: password.to_owned() })
}

/// The variables whose secrets stand in a text, as they are or percent-encoded.
fn held(text: &str, secrets: &[Secret]) -> impl Iterator<Item = String> {
    let within = |one: &&Secret| text.contains(&one.word);
    secrets.iter().filter(within).map(|one| one.variable.clone()).collect::<Vec<_>>().into_iter()
}

/// What stands in the arguments of its processes, which everybody on the machine can read.
fn arguments(running: &Running, secrets: &[Secret]) -> Vec<String> {
    let mut found = Vec::new();
    for process in running.program() {
        let bytes = std::fs::read(format!("/proc/{}/cmdline", process.pid)).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes).replace('\0', " ");
        let told = |variable| format!("{variable} stands in the arguments of a process");
        found.extend(held(&text, secrets).map(told));
    }
    found
}

/// Requests that are right, that find nothing, and that a program may stumble over.
fn provoking(subject: &Subject) -> Vec<Request> {
    let pages = candidates(subject).into_iter().filter_map(|visit| match visit {
        super::visit::Visit::Get(path) => Some(Request::get(&path)),
        super::visit::Visit::Journey(_) => None,
    });
    let mut all: Vec<_> = pages.collect();
    for path in ["/no-such-page-here", "/%ff%fe", "/?a[]=1&a[b]=%", "/.env", "/debug/vars", "/env"]
    {
        all.push(Request::get(path));
    }
    all.push(Request::post("/", "application/json", "{\"a\": "));
    all.push(Request::post("/", "application/x-www-form-urlencoded", "a=%&b[=1"));
    for step in &subject.journey {
        // Their bodies cannot be understood, so that they fail on their way.
        let mut request = Request::post(&step.ask.path, "application/json", "{\"a\": ");
        request.method.clone_from(&step.ask.method);
        all.push(request);
    }
    all
}

async fn answers(
    bench: &Bench,
    running: &Running,
    requests: &[Request],
    secrets: &[Secret],
) -> Vec<String> {
    let mut found = Vec::new();
    for request in requests {
        let answer = request.send(running.address(), request_limit(bench)).await;
        let Ok(answer) = answer else { continue };
        let headers = answer.headers.iter().map(|(name, value)| format!("{name}: {value}\n"));
        let text = headers.collect::<String>() + &answer.text();
        let line = format!("{} {}", request.method, request.target);
        let told = |variable| format!("{variable} stands in the answer to {line}");
        found.extend(held(&text, secrets).map(told));
    }
    found
}

fn again(bench: &Bench, variable: &str) -> String {
    format!(
        "{} 2>&1 | grep canary-0000",
        super::contract::pasted(bench, &[(variable, Some("canary-0000"))])
    )
}

/// Without the secrets, which a report must not carry further.
fn redacted(mut seen: Seen, secrets: &[Secret]) -> Seen {
    let clean = |text: &str| {
        secrets.iter().fold(text.to_owned(), |text, one| {
            text.replace(&one.word, &format!("‹{}›", one.variable))
        })
    };
    seen.evidence = clean(&seen.evidence);
    let moments = std::mem::take(&mut seen.timeline);
    let moments = moments.into_iter().map(|moment| Moment { what: clean(&moment.what), ..moment });
    seen.timeline = moments.collect();
    seen
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets() -> Vec<Secret> {
        let secret =
            |variable: &str, word: &str| Secret { variable: variable.into(), word: word.into() };
        vec![secret("A", "canary-a"), secret("B", "canary-b")]
    }

    #[test]
    fn a_secret_is_found_inside_of_words_and_its_hash_is_not() {
        for (text, expected) in [
            ("url=http://x:canary-a@y", vec!["A"]),
            ("canary-b canary-a", vec!["A", "B"]),
            ("a hash of it: 5f1c", vec![]),
        ] {
            assert_eq!(held(text, &secrets()).collect::<Vec<_>>(), expected, "{text}");
        }
    }

    #[test]
    fn nothing_that_is_reported_carries_a_secret() {
        let mut seen = Seen::fail("it said canary-a");
        let moment = Moment::new(Duration::ZERO, crate::report::Lane::Output, "key canary-b!");
        seen.timeline.push(moment);
        let seen = redacted(seen, &secrets());
        assert_eq!(seen.evidence, "it said ‹A›");
        assert_eq!(seen.timeline[0].what, "key ‹B›!");
    }
}
