//! The roots that are trusted, swapped while handshakes go on: each handshake checks against
//! the roots of its moment.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use updraft_system::Name;
use updraft_system::mesh::{BundleDocument, Octets};

use super::provider::provider;

/// All roots of a system that are to be trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TrustBundle {
    /// Which state this is; a greater one is newer.
    pub(crate) sequence: u64,
    pub(crate) roots: Vec<CertificateDer<'static>>,
}

/// What peers are held against: the newest bundle of the system.
pub(crate) struct Trust {
    system: Name,
    anchors: ArcSwapOption<Anchors>,
}

/// A bundle, as webpki takes it.
pub(super) struct Anchors {
    bundle: TrustBundle,
    pub(super) roots: Arc<RootCertStore>,
    pub(super) client: Arc<dyn ClientCertVerifier>,
}

/// The bundle cannot be trusted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BundleError {
    #[error("the trust bundle has {0} roots; 1 to 8 it has to have")]
    Roots(usize),
    #[error("a root of the trust bundle is no certificate")]
    Certificate(#[source] rustls::Error),
    #[error("no verifier could be made of the trust bundle")]
    Verifier(#[source] rustls::server::VerifierBuilderError),
}

/// A rotation has two roots; more than this is no bundle of ours.
const ROOTS_MAX: usize = 8;

impl Trust {
    /// Nobody is trusted until the first bundle is there.
    pub(crate) fn new(system: Name) -> Self {
        Self { system, anchors: ArcSwapOption::empty() }
    }

    pub(crate) const fn system(&self) -> &Name {
        &self.system
    }

    /// The sequence number of the bundle in force.
    pub(crate) fn sequence(&self) -> Option<u64> {
        self.anchors.load().as_ref().map(|anchors| anchors.bundle.sequence)
    }

    pub(super) fn anchors(&self) -> Option<Arc<Anchors>> {
        self.anchors.load_full()
    }

    /// Puts a bundle in force, unless it is older than the one that is. Whether it was newer.
    ///
    /// # Errors
    ///
    /// When it has no root or one that is no certificate; what was in force stays.
    pub(crate) fn update(&self, bundle: TrustBundle) -> Result<bool, BundleError> {
        if self.sequence() >= Some(bundle.sequence) {
            return Ok(false);
        }
        let new = Arc::new(Anchors::new(bundle)?);
        let sequence = new.bundle.sequence;
        let is_newer = |current: &Option<Arc<Anchors>>| {
            current.as_ref().is_none_or(|current| current.bundle.sequence < sequence)
        };
        let before = self.anchors.rcu(|current| {
            if is_newer(current) { Some(Arc::clone(&new)) } else { current.clone() }
        });
        Ok(is_newer(&before))
    }
}

impl Anchors {
    pub(super) fn new(bundle: TrustBundle) -> Result<Self, BundleError> {
        if bundle.roots.is_empty() || ROOTS_MAX < bundle.roots.len() {
            return Err(BundleError::Roots(bundle.roots.len()));
        }
        let mut roots = RootCertStore::empty();
        for root in &bundle.roots {
            roots.add(root.clone()).map_err(BundleError::Certificate)?;
        }
        let roots = Arc::new(roots);
        let client = WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots), provider())
            .build()
            .map_err(BundleError::Verifier)?;
        Ok(Self { bundle, roots, client })
    }
}

impl From<BundleDocument> for TrustBundle {
    fn from(document: BundleDocument) -> Self {
        let roots = document.roots.into_iter().map(|root| root.0.into()).collect();
        Self { sequence: document.sequence, roots }
    }
}

impl From<TrustBundle> for BundleDocument {
    fn from(bundle: TrustBundle) -> Self {
        let roots = bundle.roots.iter().map(|root| Octets(root.to_vec())).collect();
        Self { sequence: bundle.sequence, roots }
    }
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trust")
            .field("system", &self.system)
            .field("sequence", &self.sequence())
            .finish_non_exhaustive()
    }
}
