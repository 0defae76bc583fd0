//! Times of the calendar: when a cron expression fires in a time zone, and what becomes of
//! the times that passed while nobody looked. The chassis fires its schedules by it and
//! the command its scheduled tasks, so that one expression means the same in both.
//!
//! Nothing here reads a clock: `now` comes in.

mod missed;
mod times;
mod zone;

pub use missed::{Due, Missed};
pub use times::{Fields, InvalidExpression, Times};
pub use zone::{UnknownZone, Zone, zone_names};
