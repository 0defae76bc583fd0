//! Health, metrics and the end of a real process, made ill in all the ways that matter.

#[cfg(test)]
mod attachments;
#[cfg(test)]
mod end;
#[cfg(test)]
mod metrics;
#[cfg(test)]
mod peer;
#[cfg(test)]
mod probes;
#[cfg(test)]
mod scanner;
#[cfg(test)]
#[cfg(all(feature = "postgres", feature = "redis", feature = "testing"))]
mod servers;
#[cfg(test)]
mod support;
#[cfg(test)]
mod watchdog;
