//! `V.repro`: two builds of one source are the same. It judges builds, and a program that is
//! given as a command has none that is known.

use super::{Dynamic, Looking};
use crate::catalogue::ProbeId;
use crate::seen::Seen;
use crate::subject::Subject;

pub(super) const REPRO: Dynamic = Dynamic {
    id: ProbeId::VRepro,
    applies: has_build,
    look: |_bench| -> Looking { Box::pin(std::future::ready(no_build())) },
    needs: &[],
    controls: &[],
};

fn has_build(_subject: &Subject) -> Result<(), Seen> {
    Err(no_build())
}

fn no_build() -> Seen {
    Seen::unknown(
        "the audit knows the program that runs and not how it is built; `updraft build --verify` \
         builds a service twice and compares",
    )
}
