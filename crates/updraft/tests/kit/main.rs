//! The testing kit, used as a service's own tests use it, on every kind of attachment.

#[cfg(test)]
mod clock;
#[cfg(test)]
mod depot;
#[cfg(test)]
mod failing;
#[cfg(test)]
mod isolation;
#[cfg(test)]
mod jobs;
#[cfg(test)]
mod requests;
#[cfg(test)]
mod seen;

#[cfg(test)]
use depot::service;
