//! What the policies of `updraft-resilience` in this process have done, by the names of
//! `docs/reference/resilience-metrics.md`. They are asked when somebody reads, so a call
//! through a policy pays nothing for it.

use std::collections::BTreeMap;

use updraft_resilience::breaker::State;
use updraft_resilience::policy::{Counts, PolicySnapshot, snapshots};

use super::{Exposed, Kind, Text, labels};

/// Policies that are shown at most: the first by name.
const POLICIES_MOST: usize = 200;

/// The metrics of all policies that live.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Policies;

type Pick = fn(&Counts) -> u64;

const COUNTERS: [(&str, &str, Pick); 8] = [
    ("resilience_rejections", "Calls that ended in a refusal.", |it| it.rejected),
    ("resilience_retries", "Attempts after a failed one.", |it| it.retries),
    ("resilience_retries_given_up", "Failures after which no attempt followed.", |it| it.given_up),
    ("resilience_timeouts", "Attempts and calls that were cut off.", |it| it.timed_out),
    ("resilience_hedges", "Attempts beside a slow one.", |it| it.hedges),
    ("resilience_hedges_won", "Of these, those that came first.", |it| it.hedges_won),
    ("resilience_fallbacks", "Values that a fallback gave.", |it| it.fallbacks),
    ("resilience_breaker_transitions", "Changes of the breaker's state.", |it| it.transitions),
];

impl Exposed for Policies {
    fn write(&self, text: &mut Text<'_>) {
        write(text, snapshots());
    }
}

fn write(text: &mut Text<'_>, snapshots: Vec<PolicySnapshot>) {
    let mut policies: BTreeMap<String, Vec<PolicySnapshot>> = BTreeMap::new();
    for snapshot in snapshots {
        // Several policies of one name are one to those who watch them.
        let known = policies.len() < POLICIES_MOST || policies.contains_key(&snapshot.name);
        if known {
            policies
                .entry(labels([("policy", snapshot.name.as_str())]))
                .or_default()
                .push(snapshot);
        }
    }
    if policies.is_empty() {
        return;
    }
    for (name, help, pick) in COUNTERS {
        text.family(name, Kind::Counter, help);
        for (labels, of_name) in &policies {
            text.counter(name, labels, of_name.iter().map(|it| pick(&it.counts)).sum::<u64>());
        }
    }
    let name = "resilience_breaker_state";
    text.family(name, Kind::Gauge, "How many breakers of the policy are in this state.");
    for (labels, of_name) in &policies {
        let breakers = || of_name.iter().filter_map(|it| it.breaker.as_ref());
        for state in [State::Closed, State::HalfOpen, State::Open] {
            if breakers().next().is_some() {
                let labels = format!("{labels},state=\"{}\"", state.name());
                text.gauge(name, &labels, breakers().filter(|it| it.state == state).count());
            }
        }
    }
    type Level = fn(&PolicySnapshot) -> Option<u32>;
    let bulkheads: [(&str, &str, Level); 3] = [
        ("resilience_bulkhead_in_use", "Calls that run.", |it| Some(it.bulkhead.as_ref()?.in_use)),
        ("resilience_bulkhead_queued", "Calls that wait.", |it| Some(it.bulkhead.as_ref()?.queued)),
        ("resilience_adaptive_limit", "Calls that the adaptive limit lets run.", |it| {
            it.adaptive_limit
        }),
    ];
    for (name, help, pick) in bulkheads {
        text.family(name, Kind::Gauge, help);
        for (labels, of_name) in &policies {
            let mut values = of_name.iter().filter_map(pick).peekable();
            if values.peek().is_some() {
                text.gauge(name, labels, values.map(u64::from).sum::<u64>());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Format;
    use super::*;
    use updraft_resilience::Policy;
    use updraft_resilience::breaker::BreakerConfig;

    #[test]
    fn every_policy_that_lives_is_shown_with_its_breaker() {
        let policy =
            Policy::named("ledger \"x\"").breaker(BreakerConfig::default()).build().unwrap();
        let exposition = || {
            let mut out = String::new();
            Policies.write(&mut Text::new(&mut out, Format::Prometheus));
            out
        };
        let text = exposition();
        for line in [
            "resilience_retries_total{policy=\"ledger \\\"x\\\"\"} 0\n",
            "resilience_breaker_state{policy=\"ledger \\\"x\\\"\",state=\"closed\"} 1\n",
            "resilience_breaker_state{policy=\"ledger \\\"x\\\"\",state=\"open\"} 0\n",
        ] {
            assert!(text.contains(line), "{line}{text}");
        }
        drop(policy);
        assert!(!exposition().contains("ledger"));
    }
}
