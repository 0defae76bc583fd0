//! The name of a workload: a SPIFFE ID of the form `spiffe://SYSTEM/SERVICE`.
//!
//! SPIFFE-ID, sections 2.1 to 2.4, allows more: a path of several segments, dots and
//! underscores. A mesh of ours has systems and services, whose names are [`Name`]s, so all
//! that is accepted here is a SPIFFE ID, and a SPIFFE ID of another shape is nobody.

use std::fmt;
use std::str::FromStr;

use rustls::pki_types::{DnsName, ServerName};
use updraft_system::Name;

/// Who a service is: the system is the trust domain, the service is the path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct SpiffeId {
    system: Name,
    service: Name,
}

/// The text is not `spiffe://SYSTEM/SERVICE`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is not a SPIFFE ID of the form spiffe://SYSTEM/SERVICE")]
pub(crate) struct InvalidSpiffeId;

/// A service has no host name that TLS can carry.
#[derive(Debug, thiserror::Error)]
#[error("the service has no host name that TLS can carry")]
pub(crate) struct InvalidServerName(#[source] rustls::pki_types::InvalidDnsNameError);

/// What stands after the service and the system in the name that a client asks for by SNI.
/// `internal` is a domain that no public DNS will have (ICANN, 2024).
const SNI_SUFFIX: &str = "updraft.internal";

impl SpiffeId {
    pub(crate) const fn new(system: Name, service: Name) -> Self {
        Self { system, service }
    }

    /// The trust domain.
    pub(crate) const fn system(&self) -> &Name {
        &self.system
    }

    pub(crate) const fn service(&self) -> &Name {
        &self.service
    }

    /// The name by which a client asks for this service: `SERVICE.SYSTEM.updraft.internal`.
    pub(crate) fn sni(&self) -> String {
        format!("{}.{}.{SNI_SUFFIX}", self.service, self.system)
    }

    /// [`sni`](Self::sni) as rustls takes it.
    ///
    /// # Errors
    ///
    /// When it is no DNS name; no two [`Name`]s are that long.
    pub(crate) fn server_name(&self) -> Result<ServerName<'static>, InvalidServerName> {
        DnsName::try_from(self.sni()).map(ServerName::DnsName).map_err(InvalidServerName)
    }
}

impl FromStr for SpiffeId {
    type Err = InvalidSpiffeId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let rest = text.strip_prefix("spiffe://").ok_or(InvalidSpiffeId)?;
        let (system, service) = rest.split_once('/').ok_or(InvalidSpiffeId)?;
        let name = |text: &str| text.parse().ok().ok_or(InvalidSpiffeId);
        Ok(Self { system: name(system)?, service: name(service)? })
    }
}

impl fmt::Display for SpiffeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "spiffe://{}/{}", self.system, self.service)
    }
}

#[cfg(test)]
#[path = "spiffe_tests.rs"]
mod tests;
