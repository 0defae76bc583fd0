//! The orders of the shop: `web` takes them, `worker` fulfils them, `migrate` makes their
//! tables. One binary, so all three are always of the same release.

mod fulfil;
mod store;
mod web;

use std::time::Duration;

use updraft::{App, Exit, Queue, Sql};

/// What this service reads from the environment, and what is attached to it.
#[derive(App)]
struct Orders {
    /// The database of the orders
    db: Sql,
    /// The queue of work on orders, in that database
    jobs: Queue,
    /// How long a parcel takes to pack
    #[env(default = "1s")]
    packing_time: Duration,
}

fn main() -> Exit {
    updraft::service!(Orders)
        .api(updraft::api![web::place, web::list, web::show])
        .jobs(updraft::jobs![fulfil::Fulfil])
        .migrations(store::MIGRATIONS)
        .main()
}
