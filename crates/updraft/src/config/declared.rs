//! A variable that the process reads: what its declaration says, and what came of reading it.

use super::bounds::Bounds;
use super::environment::Found;
use super::report::Problem;
use super::slot::{Slot, TypeFacts};
use super::{Otherwise, SECRET};
use crate::app::FieldSpec;

/// Whose variable it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Group {
    /// A value of the service's own.
    Service,
    /// Where something is that the service is attached to.
    Attachment,
    /// What every service of this chassis reads.
    Chassis,
}

/// Where a value came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Environment,
    /// A file that `NAME_FILE` names.
    File,
    Default,
}

/// What came of reading a variable. A value is there as it may be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    NotSet,
    Value {
        shown: String,
        origin: Origin,
    },
    /// The report has it.
    Wrong,
}

/// A variable that the process reads.
#[derive(Clone, Debug)]
pub(crate) struct Declared {
    pub(crate) variable: &'static str,
    pub(crate) group: Group,
    /// The field of the `App`.
    pub(crate) field: Option<&'static str>,
    pub(crate) about: &'static str,
    /// What the text must be, to end the sentence "set it to …".
    pub(crate) expected: String,
    /// As it may be shown.
    pub(crate) default: Option<String>,
    /// The default as the declaration has it, where everybody may see that.
    pub(crate) source_default: Option<String>,
    /// A text that could be copied.
    pub(crate) example: Option<String>,
    pub(crate) required: bool,
    pub(crate) secret: bool,
    pub(crate) shared: bool,
    pub(crate) outcome: Outcome,
    pub(super) bounds: Option<Bounds>,
    one_of: &'static [&'static str],
    /// The name of the type that it is read as.
    #[cfg(feature = "testing")]
    pub(crate) type_name: &'static str,
}

impl Declared {
    pub(super) fn of(
        of_type: &TypeFacts,
        variable: &'static str,
        about: &'static str,
        field: Option<&(Group, FieldSpec)>,
    ) -> Self {
        let spec = field.map(|(_, spec)| spec);
        // A field may read others beside its own, such as `<NAME>_TIMEOUT`: what its
        // declaration says of a value is not said of those.
        let own = spec.filter(|spec| [spec.plain, spec.url].contains(&variable));
        let bounds = own.and_then(|spec| spec.range);
        let one_of = own.map_or(&[][..], |spec| spec.one_of);
        let expected = match (bounds, one_of) {
            (Some(bounds), _) => (of_type.expected_within)(&bounds),
            (None, []) => (of_type.expected)(),
            (None, one_of) => format!("one of {}", one_of.join(", ")),
        };
        let secret = of_type.secret || spec.is_some_and(|spec| spec.secret);
        // A default that is a secret is one, and a user name and password may stand before an
        // `@`.
        let source_default =
            own.and_then(|spec| spec.default).filter(|it| !secret && !it.contains('@'));
        let usual = (!secret && !of_type.example.is_empty()).then_some(of_type.example);
        let example = own
            .and_then(|spec| spec.example)
            .or(source_default)
            .or_else(|| one_of.first().copied())
            .or_else(|| bounds.and_then(|bounds| bounds.example()))
            .or(usual);
        Self {
            variable,
            group: field.map_or(Group::Chassis, |(group, _)| *group),
            field: spec.map(|spec| spec.field),
            about,
            expected,
            default: None,
            source_default: source_default.map(str::to_owned),
            example: example.map(str::to_owned),
            required: false,
            secret,
            shared: spec.is_some_and(|spec| spec.shared),
            outcome: Outcome::NotSet,
            bounds,
            one_of,
            #[cfg(feature = "testing")]
            type_name: of_type.name,
        }
    }

    /// Whether the declaration, beside the type, allows the text.
    pub(super) fn admit(&self, text: &str) -> Result<(), String> {
        if !self.one_of.is_empty() && !self.one_of.contains(&text) {
            return Err(format!("is none of {}", self.one_of.join(", ")));
        }
        self.bounds.map_or(Ok(()), |bounds| bounds.admit(text))
    }

    /// Takes what was found, and notes what came of it.
    pub(super) fn take(
        &mut self,
        found: Found,
        otherwise: Otherwise,
        value: &mut dyn Slot,
    ) -> Result<(), Problem> {
        let (text, file) = match found {
            Found::Text(text) => (text, None),
            Found::File { text, path } => (text, Some(path)),
            Found::Wrong(wrong) => return Err(self.problem(wrong.to_owned())),
            Found::WrongFile(wrong) => return Err(self.file_problem(&wrong.to_string())),
            Found::Nothing if otherwise == Otherwise::Required => {
                return Err(self.problem("is not set".to_owned()));
            }
            Found::Nothing => {
                self.is_read(value, Origin::Default);
                return Ok(());
            }
        };
        if let Err(wrong) = self.admit(&text).and_then(|()| value.parse(&text)) {
            return Err(match file {
                Some(_) => self.file_problem(&format!("names a file whose text {wrong}")),
                None => self.problem(wrong),
            });
        }
        if let Some(path) = &file {
            value.of_file(path);
        }
        self.is_read(value, if file.is_some() { Origin::File } else { Origin::Environment });
        Ok(())
    }

    fn is_read(&mut self, value: &dyn Slot, origin: Origin) {
        if let Some(shown) = self.shown(value) {
            self.outcome = Outcome::Value { shown, origin };
        }
    }

    /// The value as it may be shown, when there is one.
    pub(super) fn shown(&self, value: &dyn Slot) -> Option<String> {
        let shown = value.show();
        if self.secret { shown.map(|_| SECRET.to_owned()) } else { shown }
    }

    /// A problem with this variable.
    pub(super) fn problem(&self, wrong: String) -> Problem {
        Problem {
            variable: self.variable.into(),
            wrong,
            expected: self.expected.clone(),
            about: self.about,
            example: self.example.as_ref().map(|example| self.assignment(example)),
            is_of_declaration: false,
        }
    }

    /// A problem with the file that the text of this variable should come from.
    pub(super) fn file_problem(&self, wrong: &str) -> Problem {
        let variable = self.variable;
        Problem {
            variable: format!("{variable}_FILE").into(),
            expected: format!("the path of a file that holds {}; or set {variable}", self.expected),
            example: Some(format!("{variable}_FILE=/run/secrets/{}", variable.to_lowercase())),
            ..self.problem(wrong.to_owned())
        }
    }

    /// `NAME=text`, quoted where a shell or an env file needs it.
    pub(super) fn assignment(&self, text: &str) -> String {
        let plain = |c: char| c.is_alphanumeric() || "_-./:@%+,=".contains(c);
        if text.chars().all(plain) {
            format!("{}={text}", self.variable)
        } else {
            format!("{}='{}'", self.variable, text.replace('\'', r"'\''"))
        }
    }
}
