//! `VI.twins`: two copies on the same resources serve a journey in turn, and the client does not
//! notice.

use std::time::Duration;

use serde_json::Value;

use super::visit::{again, needs_journey, request_limit, with_resource};
use super::{Bench, Control, Dynamic, Looking, unready};
use crate::catalogue::ProbeId;
use crate::control::Behaviour;
use crate::journey::{Broken, Client, Told};
use crate::lab::Setup;
use crate::report::{Lane, Moment};
use crate::seen::Seen;
use crate::subject::Subject;
use crate::verdict::Verdict;

/// How long a read may be behind a write: what is eventually consistent is right too.
const PATIENCE: Duration = Duration::from_secs(2);

pub(super) const TWINS: Dynamic = Dynamic {
    id: ProbeId::ViTwins,
    applies,
    look: |bench| -> Looking { Box::pin(look(bench)) },
    needs: &[],
    controls: &[
        Control::new(&[Behaviour::Good], Verdict::Pass).with(with_resource),
        Control::new(&[Behaviour::KeepsInMemory], Verdict::Fail).with(with_resource),
    ],
};

fn applies(subject: &Subject) -> Result<(), Seen> {
    if subject.exclusive {
        return Err(Seen::not_applicable("there may be one of it only"));
    }
    needs_journey(subject)?;
    if subject.journey.len() < 2 {
        return Err(Seen::unknown("its journey has one step, which two copies cannot share"));
    }
    Ok(())
}

async fn look(bench: Bench) -> Seen {
    let (alone, pair) = tokio::join!(walk(&bench, 1), walk(&bench, 2));
    let (alone, _) = match alone {
        Ok(walked) => walked,
        Err(seen) => return seen,
    };
    let alone = match alone {
        Ok(told) => told,
        Err(broken) => {
            return Seen::unknown(format!("its journey does not work on one copy: {broken}"));
        }
    };
    let (pair, timeline) = match pair {
        Ok(walked) => walked,
        Err(seen) => return seen,
    };
    let mut seen = match pair {
        Err(broken) => gone(&broken),
        Ok(pair) => {
            let mut differing = differences(&alone, &pair);
            // What differs from one run to the next says nothing.
            if !differing.is_empty()
                && let Ok((Ok(other), _)) = walk(&bench, 1).await
            {
                let volatile = differences(&alone, &other);
                differing.retain(|place| !volatile.contains(place));
            }
            same(&differing, pair.len())
        }
    };
    seen = seen.reproduced_by(again(&bench, ProbeId::ViTwins));
    seen.timeline = timeline;
    seen
}

type Walked = (Result<Vec<Told>, Broken>, Vec<Moment>);

/// The journey on so many copies in turn.
async fn walk(bench: &Bench, copies: usize) -> Result<Walked, Seen> {
    let provided = bench.lab.provide(&bench.subject).await;
    let provided = provided.map_err(|error| Seen::unknown(unready(&error)))?;
    let setup = Setup { provided: Some(provided), ..Setup::new(bench.shape) };
    let mut all = Vec::new();
    // One after the other: whether they can start at the same time is another question.
    for _ in 0..copies {
        all.push(bench.start_with(&setup).await?);
    }
    let addresses: Vec<_> = all.iter().map(|running| running.address()).collect();
    let mut client = Client::new(request_limit(bench)).patient(bench.limit(PATIENCE));
    let walked = client.walk(&bench.subject.journey, &addresses).await;
    let mut timeline = Vec::new();
    for running in all {
        running.note(Lane::Client, format!("the journey goes over {copies} copies in turn"));
        timeline = running.end().await;
    }
    Ok((walked, timeline))
}

fn gone(broken: &Broken) -> Seen {
    if broken.status.is_none() {
        return Seen::unknown(format!("on two copies its journey has no answer: {broken}"));
    }
    Seen::fail(format!(
        "its journey works on one copy and not on two in turn, even {} s later: {broken}",
        PATIENCE.as_secs()
    ))
}

fn same(differing: &[String], steps: usize) -> Seen {
    if differing.is_empty() {
        return Seen::pass(format!(
            "the {steps} steps of its journey go over two copies in turn as over one"
        ));
    }
    Seen::warn(format!(
        "its journey works on two copies in turn, with other answers: {}",
        differing.join(", ")
    ))
    .listing("differing", differing.to_vec())
}

/// The most places that are told.
const PLACES_MAX: usize = 10;

/// Where two walks have other answers.
fn differences(one: &[Told], other: &[Told]) -> Vec<String> {
    let mut places = Vec::new();
    for (number, (one, other)) in one.iter().zip(other).enumerate() {
        let step = format!("step {}", number + 1);
        if one.status != other.status {
            places.push(format!("{step}: status"));
        }
        let read = |told: &Told| serde_json::from_slice::<Value>(&told.body).ok();
        match (read(one), read(other)) {
            (Some(one), Some(other)) => compare(&step, &one, &other, &mut places),
            _ if one.body != other.body => places.push(format!("{step}: body")),
            _ => {}
        }
    }
    places.truncate(PLACES_MAX);
    places
}

/// JSON values place by place.
fn compare(place: &str, one: &Value, other: &Value, places: &mut Vec<String>) {
    match (one, other) {
        (Value::Object(one), Value::Object(other)) => {
            let names: std::collections::BTreeSet<_> = one.keys().chain(other.keys()).collect();
            for name in names {
                let (one, other) = (one.get(name), other.get(name));
                let value = |value: Option<&Value>| value.cloned().unwrap_or_default();
                compare(&format!("{place}/{name}"), &value(one), &value(other), places);
            }
        }
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
            for (number, (one, other)) in one.iter().zip(other).enumerate() {
                compare(&format!("{place}/{number}"), one, other, places);
            }
        }
        _ if one != other => places.push(place.to_owned()),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(status: u16, body: &Value) -> Told {
        Told { line: "GET /".into(), status, body: body.to_string().into_bytes() }
    }

    #[test]
    fn answers_are_compared_place_by_place() {
        let one = [told(200, &json!({"n": 1, "items": [{"a": 1}, {"a": 2}]}))];
        let table = [
            (json!({"items": [{"a": 1}, {"a": 2}], "n": 1}), vec![]),
            (json!({"n": 2, "items": [{"a": 1}, {"a": 2}]}), vec!["step 1/n"]),
            (json!({"n": 1, "items": [{"a": 1}, {"a": 3}]}), vec!["step 1/items/1/a"]),
            (json!({"n": 1, "items": []}), vec!["step 1/items"]),
            (json!({"items": [{"a": 1}, {"a": 2}]}), vec!["step 1/n"]),
        ];
        for (body, expected) in table {
            assert_eq!(differences(&one, &[told(200, &body)]), expected, "{body}");
        }
        assert_eq!(
            differences(&[told(200, &json!(1))], &[told(201, &json!(1))]),
            ["step 1: status"]
        );
    }

    #[test]
    fn a_broken_journey_fails_and_other_answers_are_a_warning() {
        let broken = |status| Broken { step: 2, line: "GET /".into(), status, why: "x".into() };
        assert_eq!(gone(&broken(Some(404))).verdict, Verdict::Fail);
        assert_eq!(gone(&broken(None)).verdict, Verdict::Unknown);
        assert_eq!(same(&["step 1/n".into()], 2).verdict, Verdict::Warn);
        assert_eq!(same(&[], 2).verdict, Verdict::Pass);
    }
}
