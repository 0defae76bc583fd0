//! Where a workload gets its certificate: from an authority in this process, or over the
//! control socket from the one of `updraft up`.

mod remote;

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use updraft_system::mesh::{BundleDocument, IdentityRequest, IdentityResponse};

use updraft_system::Name;

use super::authority::{Authority, CertifyError, IssueError, OpenError, SealError, SealKey};
use super::clock::WallClock;

pub(crate) use remote::{RemoteError, RemoteIssuer};

/// Gives certificates to workloads.
pub(crate) trait Issuer: Send + Sync {
    /// A certificate for a key, and the bundle.
    fn issue(
        &self,
        request: IdentityRequest,
    ) -> impl Future<Output = Result<IdentityResponse, IssuerError>> + Send;

    /// The bundle alone.
    fn bundle(&self) -> impl Future<Output = Result<BundleDocument, IssuerError>> + Send;
}

/// The issuer gave nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IssuerError {
    #[error("the authority refused")]
    Refused(#[source] IssueError),
    #[error("the authority could not do what was due")]
    Tick(#[source] CertifyError),
    #[error("the control socket brought no certificate")]
    Remote(#[source] RemoteError),
}

/// An authority in this process.
#[derive(Clone, Debug)]
pub struct LocalIssuer {
    authority: Arc<Mutex<Authority>>,
    clock: WallClock,
}

/// The authority cannot do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// A certificate could not be made.
    #[error("the authority could not make a certificate")]
    Certify(#[source] CertifyError),
    /// A request was not granted.
    #[error("the authority refused")]
    Refused(#[source] IssueError),
    /// It could not be sealed.
    #[error("the authority could not be sealed")]
    Seal(#[source] SealError),
    /// What was sealed could not be opened.
    #[error("the sealed authority could not be opened")]
    Open(#[source] OpenError),
}

impl LocalIssuer {
    /// A new authority, with a root of its own.
    ///
    /// # Errors
    ///
    /// [`AuthorityError::Certify`].
    pub fn create(system: Name) -> Result<Self, AuthorityError> {
        let clock = WallClock::System;
        let authority = Authority::create(system, clock.now()).map_err(AuthorityError::Certify)?;
        Ok(Self::new(authority, clock))
    }

    /// The authority that was sealed with this key.
    ///
    /// # Errors
    ///
    /// [`AuthorityError::Open`] when the key is another one, or any byte is.
    pub fn open(sealed: &[u8], key: &SealKey) -> Result<Self, AuthorityError> {
        let authority = Authority::open(sealed, key).map_err(AuthorityError::Open)?;
        Ok(Self::new(authority, WallClock::System))
    }

    /// Everything of it, encrypted: what is kept on disk.
    ///
    /// # Errors
    ///
    /// [`AuthorityError::Seal`].
    pub fn seal(&self, key: &SealKey) -> Result<Vec<u8>, AuthorityError> {
        self.with(|authority| authority.seal(key)).map_err(AuthorityError::Seal)
    }

    /// Grows with each change that has to be sealed again.
    pub fn revision(&self) -> u64 {
        self.with(|authority| authority.revision())
    }

    /// Does what is due: a new issuer, the next phase of a rotation. To be called every minute.
    ///
    /// # Errors
    ///
    /// [`AuthorityError::Certify`].
    pub fn tick(&self) -> Result<(), AuthorityError> {
        let now = self.clock.now();
        self.with(|authority| authority.tick(now)).map(drop).map_err(AuthorityError::Certify)
    }

    /// Begins a rotation of the root; false: one goes on already.
    ///
    /// # Errors
    ///
    /// [`AuthorityError::Certify`].
    pub fn rotate_root(&self) -> Result<bool, AuthorityError> {
        let now = self.clock.now();
        self.with(|authority| authority.rotate_root(now)).map_err(AuthorityError::Certify)
    }

    /// A certificate for a service, whose key is proven. Who may ask is the caller's matter.
    ///
    /// # Errors
    ///
    /// [`AuthorityError::Refused`].
    pub fn answer(&self, request: &IdentityRequest) -> Result<IdentityResponse, AuthorityError> {
        let now = self.clock.now();
        self.with(|authority| authority.answer(request, now)).map_err(AuthorityError::Refused)
    }

    /// All roots that are trusted now.
    pub fn trusted(&self) -> BundleDocument {
        self.with(|authority| authority.bundle()).into()
    }

    pub(crate) fn new(authority: Authority, clock: WallClock) -> Self {
        Self { authority: Arc::new(Mutex::new(authority)), clock }
    }

    /// Does something with the authority. A panic in the middle leaves it as it was before or
    /// after, for each of its changes is one assignment.
    pub(crate) fn with<T>(&self, act: impl FnOnce(&mut Authority) -> T) -> T {
        act(&mut self.authority.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Issuer for LocalIssuer {
    async fn issue(&self, request: IdentityRequest) -> Result<IdentityResponse, IssuerError> {
        let now = self.clock.now();
        self.with(|authority| {
            authority.tick(now).map_err(IssuerError::Tick)?;
            authority.answer(&request, now).map_err(IssuerError::Refused)
        })
    }

    async fn bundle(&self) -> Result<BundleDocument, IssuerError> {
        let now = self.clock.now();
        self.with(|authority| {
            authority.tick(now).map_err(IssuerError::Tick)?;
            Ok(authority.bundle().into())
        })
    }
}
