//! Which attachments a process cannot do without.

use std::sync::Arc;

use crate::config::Variable;

/// Names of attachments: the fields of the `App`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Needs(Arc<[String]>);

/// Names in one list at most.
const NAMES_MOST: usize = 32;

impl Needs {
    pub(super) fn names(&self) -> &[String] {
        &self.0
    }
}

impl Variable for Needs {
    const EXPECTED: &'static str = "names of attachments with commas between, such as db,cache";

    fn parse(text: &str) -> Result<Self, String> {
        let names = text.split(',').map(|name| name.trim().to_owned());
        let names: Vec<_> = names.filter(|name| !name.is_empty()).collect();
        let word = |name: &String| name.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'_');
        if !names.iter().all(word) {
            return Err("holds something that is no name of a field".to_owned());
        }
        if NAMES_MOST < names.len() {
            return Err(format!("has more than {NAMES_MOST} names"));
        }
        Ok(Self(names.into()))
    }

    fn show(&self) -> String {
        self.0.join(",")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_separated_by_commas_and_nothing_else() {
        let names = |text| Needs::parse(text).map(|needs| needs.names().join("|"));
        assert_eq!(names(" db, cache,"), Ok("db|cache".to_owned()));
        assert_eq!(names(","), Ok(String::new()));
        assert!(names("db cache").is_err());
        assert!(names("postgres://canary@x").is_err_and(|error| !error.contains("canary")));
    }
}
