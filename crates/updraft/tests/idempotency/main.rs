//! Requests that are sent twice have one effect: in one service, among replicas, and when a
//! process is killed in the middle.

#[cfg(test)]
mod callers;
#[cfg(test)]
mod cases;
#[cfg(test)]
mod fleet;
#[cfg(test)]
mod killed;
#[cfg(test)]
mod meanwhile;
#[cfg(test)]
#[path = "../../examples/till/payments.rs"]
mod payments;
#[cfg(test)]
mod replicas;

#[cfg(test)]
use payments::service;
