//! The store as its users see it: what it takes, what it refuses, and what is left of it when
//! somebody is killed or a disk lies.

#[cfg(test)]
mod config;
#[cfg(test)]
mod crash;
#[cfg(test)]
mod damage;
#[cfg(test)]
mod fixture;
#[cfg(test)]
mod model;
#[cfg(test)]
mod recipients;
#[cfg(test)]
mod releases;
#[cfg(test)]
mod secrecy;
