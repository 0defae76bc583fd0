//! The authority of a system: it says who is who. Root → issuer → leaf, all ECDSA on P-256,
//! with lives so short that nothing has to be revoked.
//!
//! All is level-triggered: [`tick`](Authority::tick) looks at the time and at the state, and
//! does what is due, however long nobody called it. A root is replaced in phases, so that at
//! no moment a leaf in use is of a root that a peer does not trust: the new root is in the
//! bundle for one leaf life before it signs, and the old one stays in the bundle for one leaf
//! life after it has signed for the last time.

mod certificate;
mod sealed;

use std::fmt;
use std::time::Duration;

use rustls::pki_types::{CertificateDer, UnixTime};
use updraft_system::Name;
use updraft_system::mesh::{IdentityRequest, IdentityResponse, Octets};

use super::bundle::TrustBundle;
use super::key::{KeyError, PublicKey};
use super::proof::{self, Unproven};
use super::spiffe::SpiffeId;
use certificate::{Kind, Signer};

pub use sealed::{OpenError, SealError, SealKey};

/// The life of a root.
pub(crate) const ROOT_LIFE: Duration = Duration::from_secs(365 * 86_400);
/// The life of an issuer, which signs leafs. It is renewed at half of it.
pub(crate) const ISSUER_LIFE: Duration = Duration::from_secs(7 * 86_400);
/// The life of a leaf.
pub(crate) const LEAF_LIFE: Duration = Duration::from_secs(3600);
/// Certificates begin this long before they are issued: clocks of machines differ.
pub(crate) const BACKDATE: Duration = Duration::from_secs(300);
/// How long a root is in the bundle before it signs, and after: one leaf life, and as much as
/// clocks differ.
pub(crate) const OVERLAP: Duration = LEAF_LIFE.saturating_add(BACKDATE);
/// A new root is prepared when the old one has so much life left.
const ROOT_RENEWAL: Duration = Duration::from_secs(30 * 86_400);

/// The authority of one system.
pub(crate) struct Authority {
    system: Name,
    /// The number of the bundle; see [`touch`](Self::touch).
    sequence: u64,
    /// How often anything changed since this was made or opened.
    revision: u64,
    root: Signer,
    issuer: Signer,
    next: Option<Prepared>,
    retired: Option<Retired>,
}

/// A root that is in the bundle and does not sign yet.
struct Prepared {
    root: Signer,
    since: UnixTime,
}

/// A root that is in the bundle and signs no more: its key is gone.
struct Retired {
    certificate: CertificateDer<'static>,
    since: UnixTime,
}

/// A leaf with its issuer: what a workload serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Leaf {
    /// The leaf first; without the root.
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) not_after: UnixTime,
}

/// What a [`tick`](Authority::tick) did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// A new root is in the bundle.
    RootPrepared,
    /// The new root signs.
    RootSigns,
    /// The old root is out of the bundle.
    RootDropped,
    /// A new issuer signs leafs.
    IssuerRenewed,
}

/// No certificate could be made.
#[derive(Debug, thiserror::Error)]
pub enum CertifyError {
    /// A key.
    #[error("no key could be made for the authority")]
    Key(#[source] KeyError),
    /// A signature.
    #[error("the certificate could not be signed")]
    Certificate(#[source] rcgen::Error),
    /// A time that no certificate has.
    #[error("{0} s after 1970 is no time for a certificate")]
    Time(u64),
}

/// A workload gets no certificate.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    /// No proof of the key.
    #[error("the request does not show that its key is there")]
    Unproven(#[source] Unproven),
    /// The issuer has ended, or not begun.
    #[error("the issuer is not valid now; the authority has to be ticked")]
    Expired,
    /// The certificate itself.
    #[error("no certificate could be made")]
    Certify(#[source] CertifyError),
}

impl Authority {
    /// A new authority with a root and an issuer.
    ///
    /// # Errors
    ///
    /// When the system gives no random bytes, or `now` is beyond the year 9000.
    pub(crate) fn create(system: Name, now: UnixTime) -> Result<Self, CertifyError> {
        let root = Signer::root(&system, now)?;
        let issuer = root.issuer(&system, now)?;
        let mut created =
            Self { system, sequence: 0, revision: 0, root, issuer, next: None, retired: None };
        created.touch(now);
        Ok(created)
    }

    #[cfg(test)]
    pub(crate) const fn system(&self) -> &Name {
        &self.system
    }

    /// Changes with each change of what has to be [`seal`](Self::seal)ed again.
    pub(crate) const fn revision(&self) -> u64 {
        self.revision
    }

    /// All roots that are to be trusted.
    #[must_use]
    pub(crate) fn bundle(&self) -> TrustBundle {
        let next = self.next.as_ref().map(|next| &next.root.certificate);
        let retired = self.retired.as_ref().map(|retired| &retired.certificate);
        let roots = [Some(&self.root.certificate), next, retired];
        TrustBundle {
            sequence: self.sequence,
            roots: roots.into_iter().flatten().cloned().collect(),
        }
    }

    /// A leaf for a service whose key has shown that it is there. Whether the one who asks is
    /// that service is for the caller to know.
    ///
    /// # Errors
    ///
    /// When the proof is wrong, or the issuer is not valid now.
    pub(crate) fn issue(
        &self,
        request: &IdentityRequest,
        now: UnixTime,
    ) -> Result<Leaf, IssueError> {
        let key = proof::proven(&self.system, request).map_err(IssueError::Unproven)?;
        self.certify(&request.service, &key, now)
    }

    /// The answer to `POST /v1/mesh/identity`: a leaf, and the bundle.
    ///
    /// # Errors
    ///
    /// As [`issue`](Self::issue).
    pub(crate) fn answer(
        &self,
        request: &IdentityRequest,
        now: UnixTime,
    ) -> Result<IdentityResponse, IssueError> {
        let leaf = self.issue(request, now)?;
        Ok(IdentityResponse {
            chain: leaf.chain.iter().map(|certificate| Octets(certificate.to_vec())).collect(),
            bundle: self.bundle().into(),
            not_after: leaf.not_after.as_secs(),
        })
    }

    fn certify(&self, service: &Name, key: &PublicKey, now: UnixTime) -> Result<Leaf, IssueError> {
        if !self.issuer.is_valid(now) {
            return Err(IssueError::Expired);
        }
        let id = SpiffeId::new(self.system.clone(), service.clone());
        let (certificate, not_after) =
            self.issuer.sign(&Kind::Leaf(&id), key, now).map_err(IssueError::Certify)?;
        Ok(Leaf { chain: vec![certificate, self.issuer.certificate.clone()], not_after })
    }

    /// Does what is due, and says what it did. To be called every minute or so, and before
    /// requests after a long pause. What it did has to be sealed again.
    ///
    /// # Errors
    ///
    /// When a certificate cannot be made; the next call tries again.
    pub(crate) fn tick(&mut self, now: UnixTime) -> Result<Vec<Turn>, CertifyError> {
        let mut turns = Vec::new();
        if self.retired.as_ref().is_some_and(|retired| OVERLAP <= since(now, retired.since)) {
            self.retired = None;
            turns.push(Turn::RootDropped);
        }
        if since(self.root.not_after, now) <= ROOT_RENEWAL && self.prepare(now)? {
            turns.push(Turn::RootPrepared);
        }
        if self.promote(now)? {
            turns.extend([Turn::RootSigns, Turn::IssuerRenewed]);
        }
        if since(self.issuer.not_after, now) <= ISSUER_LIFE / 2
            && self.issuer.not_after < self.root.not_after
        {
            self.issuer = self.root.issuer(&self.system, now)?;
            turns.push(Turn::IssuerRenewed);
        }
        if !turns.is_empty() {
            self.touch(now);
        }
        Ok(turns)
    }

    /// Begins to replace the root now; [`tick`](Self::tick) does the rest. Whether it began:
    /// a replacement that is under way goes on.
    ///
    /// # Errors
    ///
    /// When the new root cannot be made.
    pub(crate) fn rotate_root(&mut self, now: UnixTime) -> Result<bool, CertifyError> {
        let began = self.prepare(now)?;
        if began {
            self.touch(now);
        }
        Ok(began)
    }

    fn prepare(&mut self, now: UnixTime) -> Result<bool, CertifyError> {
        if self.next.is_some() {
            return Ok(false);
        }
        self.next = Some(Prepared { root: Signer::root(&self.system, now)?, since: now });
        Ok(true)
    }

    /// Lets the prepared root sign, once it was in the bundle for long enough. With an expired
    /// root there is nothing to wait for: no leaf of it is valid any more.
    fn promote(&mut self, now: UnixTime) -> Result<bool, CertifyError> {
        let expired = self.root.not_after <= now;
        let due = |next: &mut Prepared| expired || OVERLAP <= since(now, next.since);
        let Some(next) = self.next.take_if(due) else { return Ok(false) };
        let issuer = match next.root.issuer(&self.system, now) {
            Ok(issuer) => issuer,
            Err(error) => {
                self.next = Some(next);
                return Err(error);
            }
        };
        let old = std::mem::replace(&mut self.root, next.root);
        self.issuer = issuer;
        self.retired = (!expired).then_some(Retired { certificate: old.certificate, since: now });
        Ok(true)
    }

    /// A state that was lost and begun anew must not count from the start, or nobody would
    /// take its bundle for the newer one: so the time is the least number.
    fn touch(&mut self, now: UnixTime) {
        self.sequence = now.as_secs().max(self.sequence + 1);
        self.revision += 1;
    }
}

/// How long from `earlier` to `later`; nothing when the clock went back.
fn since(later: UnixTime, earlier: UnixTime) -> Duration {
    Duration::from_secs(later.as_secs().saturating_sub(earlier.as_secs()))
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority")
            .field("system", &self.system)
            .field("sequence", &self.sequence)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "authority/authority_tests.rs"]
mod tests;
