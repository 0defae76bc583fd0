//! `VIII.jobs`: no job is lost when a worker is killed.

use updraft_system::ResourceKind;

use super::{Bench, Control, Dynamic, Looking};
use crate::catalogue::ProbeId;
use crate::control::Behaviour;
use crate::seen::Seen;
use crate::subject::{DependencyKind, Subject};
use crate::verdict::Verdict;

pub(super) const JOBS: Dynamic = Dynamic {
    id: ProbeId::ViiiJobs,
    applies,
    look: |bench| -> Looking { Box::pin(std::future::ready(look(&bench))) },
    needs: &[],
    controls: &[Control::new(&[Behaviour::Good], Verdict::Unknown)],
};

fn applies(subject: &Subject) -> Result<(), Seen> {
    let is_queue = |kind: &DependencyKind| match kind {
        DependencyKind::Resource(resource) => matches!(resource.kind, ResourceKind::Queue { .. }),
        _ => false,
    };
    if !subject.needs.iter().any(|need| is_queue(&need.kind)) {
        return Err(Seen::not_applicable("it needs no queue"));
    }
    Err(unseen())
}

/// Says the same as [`applies`], which never lets a program come so far.
fn look(_bench: &Bench) -> Seen {
    unseen()
}

fn unseen() -> Seen {
    Seen::unknown(
        "the jobs of its queue are rows of a database that only programs write and read: they \
         cannot be put in and counted from outside",
    )
}
