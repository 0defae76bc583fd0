//! The contract and the service, held against each other: a real process is asked what its
//! contract says that it can be asked, right and wrong, and every answer must be one that the
//! contract knows.

#[cfg(test)]
mod drift;
#[cfg(test)]
mod pages;
#[cfg(test)]
mod requests;
#[cfg(test)]
mod service;
#[cfg(test)]
mod verbs;
