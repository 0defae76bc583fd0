//! The manifest through the crate's public interface: what is accepted, what is
//! found wrong and where, and what holds for every text.

#[cfg(test)]
mod documents;
#[cfg(test)]
mod findings;
#[cfg(test)]
mod good;
#[cfg(test)]
mod laws;
#[cfg(test)]
mod meaning;
#[cfg(test)]
mod procfile;
