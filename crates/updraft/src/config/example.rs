//! A configuration to begin with, as an env file.

use std::fmt::Write as _;

use super::Config;
use super::declared::{Declared, Group};

/// The groups in the order in which people read them.
pub(super) const GROUPS: [(Group, &str); 3] = [
    (Group::Service, "The service's own variables"),
    (Group::Attachment, "What the service is attached to"),
    (Group::Chassis, "Variables of the chassis"),
];

impl Config {
    /// Every variable with what it is and what it should be. What must be set stands there
    /// with an example; what has a default, or may be missing, is commented out.
    pub(crate) fn example(&self) -> String {
        let mut text = String::new();
        for (group, title) in GROUPS {
            let mut variables = self.declared().iter().filter(|it| it.group == group).peekable();
            if variables.peek().is_none() {
                continue;
            }
            let gap = if text.is_empty() { "" } else { "\n" };
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{gap}## {title}");
            for declared in variables {
                text.push_str(&declared.lines());
            }
        }
        text
    }
}

impl Declared {
    fn lines(&self) -> String {
        let must = match (self.required, &self.default) {
            (true, _) => "required: ",
            (false, Some(_)) => "",
            (false, None) => "may be missing: ",
        };
        let mut text = format!("\n# {}\n# {must}{}\n", self.about, self.expected);
        let proposed = match (&self.default, &self.example) {
            (_, Some(example)) if self.required => Some(example),
            (Some(default), _) if !self.secret => Some(self.example_default(default)),
            (_, Some(example)) => Some(example),
            _ => None,
        };
        let assignment = match proposed {
            Some(proposed) => self.assignment(proposed),
            None => format!("{}=", self.variable),
        };
        let mark = if self.required { "" } else { "#" };
        let _ = writeln!(text, "{mark}{assignment}");
        if self.secret {
            let _ = writeln!(
                text,
                "#{}_FILE=/run/secrets/{}",
                self.variable,
                self.variable.to_lowercase()
            );
        }
        text
    }

    /// The default as its declaration has it, which may say more than what is shown of it.
    fn example_default<'a>(&'a self, shown: &'a String) -> &'a String {
        self.source_default.as_ref().unwrap_or(shown)
    }
}
