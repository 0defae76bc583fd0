//! Failures as RFC 9457 problem documents, so that every service answers errors alike: the
//! document, the enums that become one, and the errors that a caller learns nothing of.

mod details;
mod error;
mod kind;
mod received;

pub(crate) use details::PROBLEM_JSON;
pub use details::ProblemDetails;
pub use error::{Error, Fault};
pub use kind::ProblemKind;

use crate::contract::Shape;

/// What can go wrong in an operation, told to its caller. Derive it for an enum.
///
/// ```
/// use updraft::{Error, Problem};
///
/// /// Why an invoice was not created.
/// #[derive(Problem)]
/// enum CreateError {
///     /// An invoice with this number exists
///     ///
///     /// The number {number} is taken.
///     #[problem(409)]
///     Duplicate { number: String },
///     /// Too many invoices at once
///     #[problem(429, retry_after = 5)]
///     TooMany,
///     #[problem(500)]
///     Internal(#[from] Error),
/// }
///
/// let details = CreateError::Duplicate { number: "A-7".to_owned() }.into_details();
/// let document: serde_json::Value = serde_json::to_value(&details).unwrap();
/// assert_eq!(document["status"], 409);
/// assert_eq!(document["detail"], "The number A-7 is taken.");
/// assert_eq!(document["number"], "A-7");
/// ```
///
/// The first paragraph of a variant's doc comment is the title of the problem, the second its
/// detail, where `{field}` is the field of this name. Named fields become members of the
/// document. What is declared here is also what the contract says of the operation.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a problem",
    label = "cannot be told to a caller",
    note = "derive `Problem` for an enum, or use `updraft::Error` (500, and the body says nothing) or `updraft::ProblemDetails`"
)]
pub trait Problem: Sized {
    /// The document for the caller. What is not for the caller is logged here.
    fn into_details(self) -> ProblemDetails;

    /// Tells the contract each kind of problem that [`into_details`](Self::into_details) can
    /// give.
    fn describe(shape: &mut Shape<'_>);
}

/// Any problem: the contract says nothing of its kinds but that it is a problem document.
impl Problem for ProblemDetails {
    fn into_details(self) -> ProblemDetails {
        self
    }

    fn describe(_: &mut Shape<'_>) {}
}

/// A fault of the service: logged with its chain, and the caller gets a bare 500.
impl Problem for Error {
    fn into_details(self) -> ProblemDetails {
        ProblemDetails::internal(self.into_inner())
    }

    fn describe(shape: &mut Shape<'_>) {
        shape.problem(&ProblemKind::INTERNAL);
    }
}
