//! What works on this machine: tried, not assumed.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use super::output::Line;
use super::{Lab, Setup, Unstartable};
use crate::control::Behaviour;
use crate::subject::Subject;
use crate::verdict::{Shape, Tier};

/// How often a network of its own is refused before there is none.
const NETWORK_REFUSALS: usize = 3;
/// How long an attempt may take.
const ATTEMPT: Duration = Duration::from_secs(10);

/// What works on this machine, and why the rest does not.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tiers {
    missing: BTreeMap<Feature, String>,
}

/// What a trial uses of this machine.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Means {
    /// An overlay file system over the program's folder.
    pub(super) overlay: bool,
    /// A network in which nobody is.
    pub(super) network: bool,
}

/// One thing that a machine may refuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Feature {
    /// A process namespace whose first process is the program.
    Pid1,
    /// An overlay file system over the program's folder.
    Overlay,
    /// A root that cannot be written.
    ReadOnly,
    /// A network of its own.
    Network,
    /// A tracer of the program.
    Trace,
}

impl Feature {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Pid1, Self::Overlay, Self::ReadOnly, Self::Network, Self::Trace];

    /// What it is called.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pid1 => "process namespace",
            Self::Overlay => "overlay file system",
            Self::ReadOnly => "read-only root",
            Self::Network => "network namespace",
            Self::Trace => "tracer",
        }
    }
}

impl Tiers {
    /// Runs a control with each feature.
    pub(super) async fn try_out(lab: &Lab) -> Self {
        let mut missing = BTreeMap::new();
        for feature in Feature::ALL {
            let tried = if lab.0.without.contains(&feature) {
                Err(Absent::Refused("it is to be done without".to_owned()))
            } else {
                attempted(lab, feature).await
            };
            if let Some(reason) = tried.err().and_then(|why| why.lacks(feature)) {
                missing.insert(feature, reason);
            }
        }
        Self { missing }
    }

    /// Why a feature is not there; `None`: it is.
    pub(crate) fn without(&self, feature: Feature) -> Option<&str> {
        self.missing.get(&feature).map(String::as_str)
    }

    /// The tiers that work.
    pub(crate) fn working(&self) -> Vec<Tier> {
        let namespaces = [Feature::Pid1, Feature::ReadOnly, Feature::Network];
        let t1 = namespaces.iter().all(|feature| !self.missing.contains_key(feature));
        let t1 = t1.then_some(Tier::T1);
        let t2 = (!self.missing.contains_key(&Feature::Trace)).then_some(Tier::T2);
        [Tier::Static, Tier::T0].into_iter().chain(t1).chain(t2).collect()
    }

    /// What does not work, by its name.
    pub(crate) fn missing(&self) -> BTreeMap<String, String> {
        let named =
            |(feature, reason): (&Feature, &String)| (feature.as_str().to_owned(), reason.clone());
        self.missing.iter().map(named).collect()
    }
}

/// Why a feature is not there.
#[derive(Debug)]
enum Absent {
    /// The machine does not grant it.
    Refused(String),
    /// It was not seen in time.
    Slow(String),
}

impl Absent {
    /// Why it is done without a feature. Without a network of their own programs reach whom this
    /// machine reaches, which a slow moment must not bring about: a trial that does not get one
    /// goes without a verdict.
    fn lacks(self, feature: Feature) -> Option<String> {
        match self {
            Self::Slow(_) if feature == Feature::Network => None,
            Self::Slow(reason) | Self::Refused(reason) => Some(reason),
        }
    }
}

impl From<Unstartable> for Absent {
    fn from(error: Unstartable) -> Self {
        let reason = error.to_string();
        if matches!(error, Unstartable::Slow(_)) {
            Self::Slow(reason)
        } else {
            Self::Refused(reason)
        }
    }
}

/// A machine that has no room for one more network at a moment may have it at the next.
async fn attempted(lab: &Lab, feature: Feature) -> Result<(), Absent> {
    let mut tried = attempt(lab, feature).await;
    for _ in 1..NETWORK_REFUSALS {
        if feature != Feature::Network || !matches!(tried, Err(Absent::Refused(_))) {
            break;
        }
        tried = attempt(lab, feature).await;
    }
    tried
}

async fn attempt(lab: &Lab, feature: Feature) -> Result<(), Absent> {
    let folder = lab.place().map_err(Unstartable::from)?;
    let mut setup = Setup::new(Shape::Child);
    match feature {
        Feature::Pid1 => setup.shape = Shape::Pid1,
        // What every trial asks for.
        Feature::Overlay | Feature::Network => {}
        Feature::ReadOnly => setup.read_only = true,
        Feature::Trace => setup.trace = Some(folder.join("executed.jsonl")),
    }
    let executable = lab.executable().to_string_lossy().into_owned();
    let control = Subject::control(executable, folder, &[Behaviour::Good]);
    let means =
        Means { overlay: feature == Feature::Overlay, network: feature == Feature::Network };
    let running = lab.raw(&control, &setup, means).await?;
    let output = running.output();
    let listens = |line: &Line| line.text == "listening";
    // Who is refused says nothing and is gone at once.
    let said = tokio::select! {
        said = output.line(ATTEMPT, listens) => said,
        () = output.drained(ATTEMPT) => output.all().into_iter().find(listens),
    };
    let (refused, lives) = (running.refusal(), !running.program().is_empty());
    let blind = feature == Feature::Trace && running.executed().is_empty();
    let unreached = match feature {
        Feature::Network => running.address().connect(|_| Ok(())).await.err(),
        _ => None,
    };
    running.end().await;
    match (said, refused) {
        (_, Some(reason)) => Err(Absent::Refused(reason)),
        (Some(_), None) => match unreached {
            Some(error) if error.kind() == io::ErrorKind::TimedOut => {
                Err(Absent::Slow("a control in it is not reached in time".to_owned()))
            }
            Some(_) => Err(Absent::Refused("a control in it is not reached".to_owned())),
            None if blind => Err(Absent::Refused("nothing of a control was seen".to_owned())),
            None => Ok(()),
        },
        (None, None) if lives => {
            Err(Absent::Slow("a control did not start with it in time".to_owned()))
        }
        (None, None) => Err(Absent::Refused("a control did not start with it".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_machine_does_not_let_programs_reach_what_it_reaches() {
        let slow = || Absent::from(Unstartable::Slow("busy".to_owned()));
        let refused = || Absent::from(Unstartable::Machine("EPERM".to_owned()));
        assert_eq!(slow().lacks(Feature::Network), None);
        for feature in Feature::ALL {
            assert!(refused().lacks(feature).is_some_and(|why| why.contains("EPERM")));
            assert_eq!(slow().lacks(feature).is_some(), feature != Feature::Network);
        }
    }
}
