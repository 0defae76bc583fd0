//! What a field of an `App` can be: a value, or something that is attached.

use crate::attachment::{AttachError, Attaching};
use crate::config::{Bounds, Config, Invalid, Variable};

/// What a field's declaration says of its variable.
#[derive(Clone, Copy, Debug)]
pub struct FieldSpec {
    /// The field's name, by which attachments call each other.
    pub field: &'static str,
    /// The variable of a plain value: the field's name in capitals.
    pub plain: &'static str,
    /// The variable of something that is attached: the same with `_URL` behind it.
    pub url: &'static str,
    /// What it is, for people: the first paragraph of the doc comment.
    pub about: &'static str,
    /// The text that is read when the variable is not set.
    pub default: Option<&'static str>,
    /// A text that people can copy.
    pub example: Option<&'static str>,
    /// The texts that it may be; none means that the type decides alone.
    pub one_of: &'static [&'static str],
    /// The least and the greatest value.
    pub range: Option<Bounds>,
    /// The value is never shown, whatever its type.
    pub secret: bool,
    /// All replicas must see the same: kinds that live in one process are refused then.
    pub shared: bool,
}

impl FieldSpec {
    /// A required field of this name: the variables of a value and of an attachment, and what
    /// it is. Its other parts are none.
    pub const fn new(
        field: &'static str,
        plain: &'static str,
        url: &'static str,
        about: &'static str,
    ) -> Self {
        Self {
            field,
            plain,
            url,
            about,
            default: None,
            example: None,
            one_of: &[],
            range: None,
            secret: false,
            shared: false,
        }
    }
}

/// A type that a field of an [`App`](crate::App) can have.
pub trait Field: Sized + Send + Sync + 'static {
    /// Whether it is something that is attached, read from the variable with `_URL`; else it
    /// is a plain value.
    const ATTACHED: bool = true;

    /// What its variable says.
    type Parsed: Send + 'static;

    /// Reads its variable, and connects to nothing.
    ///
    /// # Errors
    ///
    /// [`Invalid`]; the report of `config` says what is wrong.
    fn read(config: &mut Config, spec: &FieldSpec) -> Result<Self::Parsed, Invalid>;

    /// Makes the field's value. It waits for no server.
    ///
    /// # Errors
    ///
    /// What cannot become right by waiting.
    fn attach(
        parsed: Self::Parsed,
        spec: &FieldSpec,
        attaching: &Attaching,
    ) -> impl Future<Output = Result<Self, AttachError>> + Send;
}

impl<T: Variable + Send + Sync + 'static> Field for T {
    const ATTACHED: bool = false;

    type Parsed = T;

    fn read(config: &mut Config, spec: &FieldSpec) -> Result<T, Invalid> {
        config.field(spec.plain, spec)
    }

    async fn attach(parsed: T, _: &FieldSpec, _: &Attaching) -> Result<T, AttachError> {
        Ok(parsed)
    }
}

/// Makes `Option` of an attachment a field too: one that is attached only where its variable
/// is set.
macro_rules! optional_attachment {
    ($attachment:ty) => {
        impl Field for Option<$attachment> {
            type Parsed = Option<<$attachment as Field>::Parsed>;

            fn read(config: &mut Config, spec: &FieldSpec) -> Result<Self::Parsed, Invalid> {
                config.optional(spec.url, spec.about)
            }

            async fn attach(
                parsed: Self::Parsed,
                spec: &FieldSpec,
                attaching: &Attaching,
            ) -> Result<Self, AttachError> {
                match parsed {
                    Some(parsed) => {
                        <$attachment as Field>::attach(parsed, spec, attaching).await.map(Some)
                    }
                    None => Ok(None),
                }
            }
        }
    };
}

optional_attachment!(crate::Sql);
optional_attachment!(crate::Queue);

/// What may be missing.
impl<T: Variable + Send + Sync + 'static> Field for Option<T> {
    const ATTACHED: bool = false;

    type Parsed = Option<T>;

    fn read(config: &mut Config, spec: &FieldSpec) -> Result<Option<T>, Invalid> {
        config.optional(spec.plain, spec.about)
    }

    async fn attach(parsed: Option<T>, _: &FieldSpec, _: &Attaching) -> Result<Self, AttachError> {
        Ok(parsed)
    }
}
