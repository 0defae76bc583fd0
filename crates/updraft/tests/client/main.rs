//! Clients and the services that they call: real processes where a contract is spoken, and
//! servers that misbehave on demand where a client must cope.

#[cfg(test)]
mod balance;
#[cfg(test)]
mod hops;
#[cfg(test)]
mod process;
#[cfg(test)]
mod repeat;
#[cfg(test)]
mod server;
#[cfg(test)]
#[cfg(all(feature = "testing", feature = "tls"))]
mod tls;
#[cfg(test)]
mod typed;
