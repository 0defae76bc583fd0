//! The one struct of a service: its configuration, what is attached to it, and its state.

mod context;
mod field;

pub use context::Ctx;
pub use field::{Field, FieldSpec};

use crate::attachment::{AttachError, Attaching};
use crate::config::{Config, Invalid};

/// Configuration, attached resources and state of a service in one struct, read from the
/// environment. Derive it.
///
/// ```
/// use std::time::Duration;
/// use updraft::{App, Sql};
///
/// /// A shop's orders.
/// #[derive(App)]
/// struct Orders {
///     /// How long a parcel takes to pack
///     #[env(default = "1s")]
///     packing_time: Duration, // PACKING_TIME
///     /// The orders
///     db: Sql, // DB_URL
/// }
/// ```
///
/// Each field is a [`Field`]: a value that is a [`Variable`](crate::Variable) is read from the
/// variable of its name in capitals, and what is attached from that name with `_URL` behind
/// it. The doc comment of a field tells people what the variable is.
///
/// A variable belongs to one field. This is refused while compiling, since both fields would be
/// read from `DB_URL`:
///
/// ```compile_fail
/// /// A shop's orders.
/// #[derive(updraft::App)]
/// struct Orders {
///     /// The orders
///     db: updraft::Sql,
///     /// The URL of the same
///     db_url: String,
/// }
/// ```
///
/// And this, since `KEY_FILE` may name a file with the text of `KEY`:
///
/// ```compile_fail
/// /// A shop's orders.
/// #[derive(updraft::App)]
/// struct Orders {
///     /// The key of the mail provider
///     key: updraft::Secret,
///     /// Another key
///     key_file: String,
/// }
/// ```
///
/// A value without an order has no range:
///
/// ```compile_fail
/// /// A shop's orders.
/// #[derive(updraft::App)]
/// struct Orders {
///     /// The key of the mail provider
///     #[env(range = "a"..="b")]
///     key: updraft::Secret,
/// }
/// ```
pub trait App: Sized + Send + Sync + 'static {
    /// What the environment says, before anything is connected.
    type Parsed: Send + 'static;

    /// Reads all variables. Every problem is in the report of `config`, not only the first.
    ///
    /// # Errors
    ///
    /// [`Invalid`] when any variable is missing or malformed.
    fn read(config: &mut Config) -> Result<Self::Parsed, Invalid>;

    /// Attaches what is attached, in the order of the fields.
    ///
    /// # Errors
    ///
    /// What cannot become right by waiting. A server that is away is no error: it is waited
    /// for by whoever needs it.
    fn attach(
        parsed: Self::Parsed,
        attaching: &Attaching,
    ) -> impl Future<Output = Result<Self, AttachError>> + Send;
}
