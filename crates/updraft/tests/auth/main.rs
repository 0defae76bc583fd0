//! A built service and an OpenID provider whose keys rotate, that is away, and that is asked no
//! oftener than it should be.

#[cfg(test)]
mod provider;
#[cfg(test)]
mod rotation;
#[cfg(test)]
mod service;
