//! A till whose payments are taken once, however often they are sent: idempotency keys as a
//! real process has them. The tests of this crate kill it in the middle of a payment.

#[path = "till/payments.rs"]
mod payments;

fn main() -> updraft::Exit {
    payments::service().main()
}
