//! Old notes go: each night by themselves, and at once when somebody asks for it.

use std::time::Duration;

use clap::Args;
use updraft::{BoxError, Ctx, Fire, JobError, Stop};

use crate::{Notes, store};

pub(crate) async fn each_night(app: Ctx<Notes>, _fire: Fire) -> Result<(), JobError> {
    store::forget(&app.db, app.keep_for).await?;
    Ok(())
}

/// What the task is told on its command line.
#[derive(Args)]
pub(crate) struct Forget {
    /// Forget notes that are older than so many minutes
    #[arg(long)]
    minutes: u32,
}

pub(crate) async fn by_hand(app: Ctx<Notes>, told: Forget, _stop: Stop) -> Result<(), BoxError> {
    store::forget(&app.db, Duration::from_secs(60 * u64::from(told.minutes))).await?;
    Ok(())
}
