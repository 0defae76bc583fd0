//! The crates that are put to the test, one file each; ours is the last.
//!
//! Left out: ninelives 0.2, which pins tokio 1.48 and so cannot be built together with a
//! crate that needs a newer one.

mod backon;
mod circuitbreaker_rs;
mod failsafe;
mod hedged;
mod nobreak;
mod ours;
mod recloser;
mod resilient;
mod seatbelt;
mod tower;
mod tower_resilience;

use crate::traps::Subject;

pub fn all() -> Vec<Box<dyn Subject>> {
    vec![
        Box::new(tower_resilience::TowerResilience),
        Box::new(seatbelt::Seatbelt),
        Box::new(failsafe::Failsafe),
        Box::new(recloser::Recloser),
        Box::new(nobreak::Nobreak),
        Box::new(circuitbreaker_rs::CircuitbreakerRs),
        Box::new(resilient::Policies),
        Box::new(resilient::InPipeline),
        Box::new(hedged::Hedged),
        Box::new(backon::Backon),
        Box::new(tower::Tower),
        Box::new(ours::Ours),
    ]
}

/// The crate with the version that it was built with.
fn named(crate_name: &str) -> String {
    let lock = include_str!("../Cargo.lock");
    let entry = format!("name = \"{crate_name}\"\nversion = \"");
    let version = lock.split_once(&entry).and_then(|(_, rest)| rest.split_once('"'));
    format!("{crate_name} {}", version.map_or("?", |(version, _)| version))
}

/// A runtime whose time jumps to the next timer: waits take no time.
fn paused_runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().start_paused(true).build().expect("a runtime")
}
