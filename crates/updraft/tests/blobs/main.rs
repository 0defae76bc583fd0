//! The laws of a place for blobs, on every kind: a real folder, memory, and S3 as `moto`
//! plays it.

#[cfg(test)]
mod folder;
#[cfg(test)]
mod laws;
#[cfg(test)]
mod moto;
#[cfg(test)]
mod remote;
#[cfg(test)]
mod support;
