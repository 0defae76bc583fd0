//! Notes: `web` takes them, `worker` counts their words, old ones are forgotten. The end of
//! the tutorial, `docs/guide/tutorial.md`, each block of which stands in these files.

mod count;
mod forget;
mod store;
mod web;

use std::time::Duration;

use updraft::{App, Exit, Queue, Schedule, Sql};

/// What this service reads from its environment, and what is attached to it.
#[derive(App)]
struct Notes {
    /// How long a note is kept
    #[env(default = "720h", range = "1m"..)]
    keep_for: Duration, // KEEP_FOR
    /// The notes
    db: Sql, // DB_URL
    /// Work on notes, in the same database
    #[env(default = "same:db")]
    jobs: Queue, // JOBS_URL
}

fn main() -> Exit {
    updraft::service!(Notes)
        .migrations(store::MIGRATIONS)
        .api(updraft::api![web::write, web::list, web::show])
        .jobs(updraft::jobs![count::CountWords])
        .cron("forget", Schedule::new("0 4 * * *", "UTC"), forget::each_night)
        .task("forget", forget::by_hand)
        .main()
}
