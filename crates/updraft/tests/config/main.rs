//! The configuration and the identity of a real process: the built service `settings`, its
//! answers and its exit codes.

#[cfg(test)]
mod chance;
#[cfg(test)]
mod release;
#[cfg(test)]
mod report;
#[cfg(test)]
mod support;
#[cfg(test)]
mod verbs;
