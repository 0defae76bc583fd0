//! What a service says of its schedules, and what is wrong with it.

use super::*;

#[test]
fn what_is_wrong_with_a_schedule_is_said_with_its_name() {
    for (expression, zone, word) in [
        ("0 6 * *", "UTC", "`0 6 * *`"),
        ("0 25 * * *", "UTC", "cron"),
        ("0 6 * * *", "Europe/Rga", "Europe/Rga"),
    ] {
        let error = Schedule::new(expression, zone).timing("sweep").unwrap_err().to_string();
        assert!(error.contains("`sweep`") && error.contains(word), "{error}");
    }
}
