//! The vocabulary in which the table of keys is written: what a value of the
//! manifest may be. The checker, the JSON Schema and the reference all read it.

/// What a value may be.
#[derive(Debug)]
pub(super) enum Shape {
    /// A [`crate::Name`].
    Name,
    /// Any text.
    Text,
    /// A version or its beginning: `17`, `2.9`.
    Version,
    /// A command line that is not blank.
    Command,
    /// A path that stays inside the folder it is relative to.
    Path,
    /// The path of a URL: `/readyz`.
    UrlPath,
    /// A regular expression.
    Regex,
    /// A time span; `zero` tells whether `0s` makes sense.
    Duration { zero: bool },
    /// `true` or `false`.
    Bool,
    /// `true`, where the absence of the key says `false`.
    True,
    /// A whole number within bounds.
    Whole { least: i64, most: i64 },
    /// One of these whole numbers.
    Choice(&'static [i64]),
    /// `false`, where the absence of the key says something else.
    False,
    /// Text with a form of its own.
    Form(&'static Form),
    /// A whole number or one with a fraction.
    Number,
    /// Text, a number, `true` or `false`.
    Scalar,
    /// A day.
    Date,
    /// Any value.
    Any,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A list.
    List(&'static Shape),
    /// A table with known keys.
    Record(&'static Record),
    /// A table whose known keys depend on the value of one of them.
    Tagged(&'static Tagged),
    /// A table with keys of the user's choice.
    Map(Label, &'static Shape),
    /// One of several shapes, told apart by their TOML types.
    Either(&'static [Shape]),
    /// A shape that this version knows and refuses.
    Unbuilt(&'static Unbuilt),
}

/// A form that texts have.
#[derive(Debug)]
pub(super) struct Form {
    /// What it is, after "must be".
    pub what: &'static str,
    /// The code of the finding that a text is not one.
    pub code: &'static str,
    /// What the JSON Schema asks of it; it may let through what `fits` refuses.
    pub pattern: &'static str,
    /// Whether a text is one.
    pub fits: fn(&str) -> bool,
    /// Words that are, for a near miss.
    pub words: &'static [&'static str],
    /// How one is written.
    pub help: &'static str,
}

/// What the keys of a [`Shape::Map`] must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Label {
    /// A [`crate::Name`], and what it names.
    Name(&'static str),
    /// The name of an environment variable.
    Variable,
    /// A [`crate::mesh::Operation`].
    Operation,
    /// Anything.
    Free,
}

/// A table with known keys.
#[derive(Debug)]
pub(super) struct Record {
    /// What stands above it in the reference.
    pub title: &'static str,
    /// What it is for.
    pub doc: &'static str,
    /// Its keys.
    pub keys: &'static [Key],
    /// Exactly one of these keys must be there; empty: no such rule.
    pub exactly_one: &'static [&'static str],
}

/// A table whose keys depend on the value of the key `tag`.
#[derive(Debug)]
pub(super) struct Tagged {
    /// What stands above it in the reference.
    pub title: &'static str,
    /// What it is for.
    pub doc: &'static str,
    /// The key that tells which variant it is.
    pub tag: &'static str,
    /// The variants.
    pub variants: &'static [Variant],
}

/// One variant of a [`Tagged`] table.
#[derive(Debug)]
pub(super) struct Variant {
    /// The value of the tag.
    pub name: &'static str,
    /// What it is for.
    pub doc: &'static str,
    /// Its further keys.
    pub keys: &'static [Key],
    /// What to write instead, where this version does not do it yet.
    pub unbuilt: Option<&'static str>,
}

/// One key of a table.
#[derive(Debug)]
pub(super) struct Key {
    /// The key.
    pub name: &'static str,
    /// What its value may be.
    pub shape: Shape,
    /// What it is for, in one line.
    pub doc: &'static str,
    /// What holds where it is absent.
    pub absent: Absent,
}

/// What holds where a key is absent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Absent {
    /// A problem.
    Required,
    /// This, written as a reader of the reference wants to see it.
    Means(&'static str),
}

/// A shape that this version knows and refuses.
#[derive(Debug)]
pub(super) struct Unbuilt {
    /// The shape it will have.
    pub shape: Shape,
    /// What is not done yet, as the subject of a sentence.
    pub what: &'static str,
    /// What to write instead.
    pub instead: &'static str,
}

impl Shape {
    /// Whether a value of the TOML type `kind` can be meant for this shape at all.
    pub(super) fn takes(&self, kind: &str) -> bool {
        match self {
            Self::Name
            | Self::Text
            | Self::Version
            | Self::Command
            | Self::Path
            | Self::UrlPath
            | Self::Regex
            | Self::Duration { .. }
            | Self::Form(_)
            | Self::Word(_) => kind == "string",
            Self::Bool | Self::True | Self::False => kind == "boolean",
            Self::Whole { .. } | Self::Choice(_) => kind == "integer",
            Self::Number => matches!(kind, "integer" | "float"),
            Self::Scalar => matches!(kind, "string" | "integer" | "float" | "boolean"),
            Self::Date => kind == "datetime",
            Self::Any => true,
            Self::List(_) => kind == "array",
            Self::Record(_) | Self::Tagged(_) | Self::Map(..) => kind == "table",
            Self::Either(shapes) => shapes.iter().any(|shape| shape.takes(kind)),
            Self::Unbuilt(unbuilt) => unbuilt.shape.takes(kind),
        }
    }

    /// The shape in words, after "must be".
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Name => "a name".to_owned(),
            Self::Text => "text".to_owned(),
            Self::Version => "a version such as \"17\" or \"2.9\"".to_owned(),
            Self::Command => "a command line".to_owned(),
            Self::Path => "a relative path".to_owned(),
            Self::UrlPath => "a URL path that starts with `/`".to_owned(),
            Self::Regex => "a regular expression".to_owned(),
            Self::Duration { .. } => "a time span such as \"45s\"".to_owned(),
            Self::Bool => "`true` or `false`".to_owned(),
            Self::True => "`true`".to_owned(),
            Self::False => "`false`".to_owned(),
            Self::Form(form) => form.what.to_owned(),
            Self::Choice(numbers) => {
                let numbers: Vec<_> = numbers.iter().map(ToString::to_string).collect();
                alternatives(&numbers)
            }
            Self::Whole { least, most: i64::MAX } => {
                format!("a whole number, at least {least}")
            }
            Self::Whole { least, most } => format!("a whole number from {least} to {most}"),
            Self::Number => "a number".to_owned(),
            Self::Scalar => "text, a number, `true` or `false`".to_owned(),
            Self::Date => "a date such as 2027-03-01".to_owned(),
            Self::Any => "any value".to_owned(),
            Self::Word(words) => {
                let quoted: Vec<_> = words.iter().map(|word| format!("\"{word}\"")).collect();
                alternatives(&quoted)
            }
            Self::List(each) => format!("a list, each item {}", each.describe()),
            Self::Record(_) | Self::Tagged(_) | Self::Map(..) => "a table".to_owned(),
            Self::Either(shapes) => {
                let built: Vec<_> =
                    shapes.iter().filter(|shape| !shape.is_unbuilt()).map(Self::describe).collect();
                alternatives(&built)
            }
            Self::Unbuilt(unbuilt) => unbuilt.shape.describe(),
        }
    }

    /// Whether this version refuses every value of the shape.
    pub(super) fn is_unbuilt(&self) -> bool {
        matches!(self, Self::Unbuilt(_))
    }
}

/// `a`, `a or b`, `a, b or c`.
pub(super) fn alternatives(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}
